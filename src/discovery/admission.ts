/** Is this new catalog believable? */

export interface AdmissionOptions {
  /** False: every answer is applied as it comes. */
  readonly enabled: boolean
  /** How long endpoints that a doubtful answer leaves out stay in rotation. */
  readonly holdMs: number
}
