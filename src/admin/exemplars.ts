/** Which request was one of those that a bucket counts? An example with its trace id, in the shape that prom-client writes. */

export interface Exemplar {
  readonly labelSet: { readonly trace_id: string }
  /** Seconds, as they were counted. */
  readonly value: number
  /** Seconds since 1970. */
  readonly timestamp: number
}

/**
 * @param traceId a text of its own: it is kept
 * @param seconds what was counted
 */
export function exemplarOf(traceId: string, seconds: number): Exemplar {
  return { labelSet: { trace_id: traceId }, value: seconds, timestamp: Date.now() / 1000 }
}
