/** Something that must never happen, the case in which it did, and all that was seen. */
export class Violation extends Error {
  readonly engine: string
  readonly input: unknown
  readonly seen: readonly unknown[]

  constructor(engine: string, what: string, input: unknown, seen: readonly unknown[]) {
    super(`${engine}: ${what}`)
    this.name = 'Violation'
    this.engine = engine
    this.input = input
    this.seen = seen
  }
}
