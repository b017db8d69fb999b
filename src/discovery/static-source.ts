/** (skeleton: types first) */

export interface StaticOptions {
  /** Service name → `host:port` of each endpoint. */
  readonly services: Readonly<Record<string, readonly string[]>>
}
