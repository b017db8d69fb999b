/** How does the catalog say no? A request that it refuses changes nothing and is answered with a status and one line. */

export class Refusal extends Error {
  /** 400–599 */
  readonly status: number

  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}
