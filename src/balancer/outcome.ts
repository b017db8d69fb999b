/**
 * How did one attempt end, and whose fault was it?
 *
 * `Outcome` is the only error model of the data plane, and `faultOf` the only judge of it.
 */

export type Outcome =
  /** A response came. `relayed` is false when it was thrown away so that another endpoint could be tried. */
  | { readonly kind: 'responded'; readonly status: number; readonly relayed: boolean }
  /** No byte was sent and the request body is untouched: always safe to try elsewhere. */
  | { readonly kind: 'connect-failed'; readonly code: string }
  /** `connect`: as `connect-failed`. `response`: no response head in time. `idle`: the upstream stalled in a body. */
  | { readonly kind: 'timed-out'; readonly phase: 'connect' | 'response' | 'idle' }
  /**
   * The upstream connection died. `afterHeaders`: the client has already seen the head of the response. `stale`: it was
   * an idle one, taken up again, and no byte of an answer came: the endpoint may just have closed it.
   */
  | { readonly kind: 'broke-off'; readonly afterHeaders: boolean; readonly code: string; readonly stale?: boolean }
  /** The upstream does not speak HTTP, or breaks one of our limits. */
  | { readonly kind: 'bad-response'; readonly afterHeaders: boolean; readonly detail: string }
  /** The downstream connection is gone, or its client stalled. Nobody's fault. */
  | { readonly kind: 'client-left' }
  /** The client's request turned out to be bad while its body was read (malformed, too large). */
  | { readonly kind: 'bad-request'; readonly status: 400 | 408 | 413; readonly detail: string }

export type OutcomeKind = Outcome['kind']

/** Every kind, for those who count them. */
export const outcomeKinds: readonly OutcomeKind[] = [
  'responded',
  'connect-failed',
  'timed-out',
  'broke-off',
  'bad-response',
  'client-left',
  'bad-request',
]

/**
 * - `none`: the endpoint did its work.
 * - `connect`, `response`: the endpoint's fault, before or after a connection stood.
 * - `not-upstream`: the attempt says nothing about the endpoint.
 */
export type Fault = 'none' | 'connect' | 'response' | 'not-upstream'

/** Errors of this machine, not of an endpoint: no free port, no free file descriptor, no memory for a socket. */
const localErrors: ReadonlySet<string> = new Set([
  'EADDRNOTAVAIL',
  'EADDRINUSE',
  'EMFILE',
  'ENFILE',
  'ENOBUFS',
  'ENOMEM',
])

/** True when the error code names a lack on the proxy's own machine. */
export function isLocalError(code: string): boolean {
  return localErrors.has(code)
}

/**
 * Whose fault an outcome was.
 * @param isFaultStatus which response statuses count against the endpoint (`outlier.faultStatuses`)
 */
export function faultOf(outcome: Outcome, isFaultStatus: (status: number) => boolean): Fault {
  switch (outcome.kind) {
    case 'responded':
      return isFaultStatus(outcome.status) ? 'response' : 'none'
    case 'connect-failed':
      return isLocalError(outcome.code) ? 'not-upstream' : 'connect'
    case 'timed-out':
      return outcome.phase === 'connect' ? 'connect' : 'response'
    case 'broke-off':
      // A dead endpoint shows itself by the next connect.
      return outcome.stale === true ? 'not-upstream' : 'response'
    case 'bad-response':
      return 'response'
    case 'client-left':
    case 'bad-request':
      return 'not-upstream'
    default:
      return outcome satisfies never
  }
}
