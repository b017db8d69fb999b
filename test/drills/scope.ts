/** How is everything that a drill started ended again, also when the drill fails half-way? Last come, first gone. */

export interface Scope {
  /** `end` is called when the drill is over; it may be asynchronous. */
  onEnd(end: () => unknown): void
}

/** Runs `work` and then everything that it gave to its scope, last one first, whatever happens. */
export async function scoped<T>(work: (scope: Scope) => Promise<T>): Promise<T> {
  const ends: (() => unknown)[] = []
  let isOver = false
  const settle = (end: () => unknown) => Promise.resolve(end()).catch(() => {})
  try {
    return await work({
      // What is ready only after the drill has failed is ended at once.
      onEnd: (end) => void (isOver ? settle(end) : ends.push(end)),
    })
  } finally {
    isOver = true
    for (const end of ends.reverse()) await settle(end)
  }
}
