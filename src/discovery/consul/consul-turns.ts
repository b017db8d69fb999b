/** Who is read next, when there are more services than connections? Those in doubt, then those never read, then the rest. */

/** From the most to the least urgent. */
const LEVELS = ['doubted', 'unread', 'round'] as const
export type Level = (typeof LEVELS)[number]

export interface Turn<T> {
  readonly name: string
  readonly level: Level
  /** What was given along with it; null: nothing. */
  readonly note: T | null
}

/** Names that wait for their turn, each once a level. */
export interface Turns<T> {
  add(name: string, level: Level, note?: T): void
  /** Adds it later; what is added sooner takes its place. */
  addLater(name: string, level: Level, ms: number): void
  delete(name: string): void
  /** The next one, as soon as there is one; null: `close` was called. */
  next(): Promise<Turn<T> | null>
  close(): void
}

export function turns<T>(): Turns<T> {
  const waiting = new Map<Level, Map<string, T | null>>(LEVELS.map((level) => [level, new Map()]))
  const later = new Map<string, { readonly level: Level; readonly timer: NodeJS.Timeout }>()
  const idle: ((turn: Turn<T> | null) => void)[] = []
  let closed = false

  function take(): Turn<T> | null {
    for (const [level, names] of waiting) {
      for (const [name, note] of names) {
        names.delete(name)
        return { name, level, note }
      }
    }
    return null
  }

  function forgetLater(name: string): void {
    clearTimeout(later.get(name)?.timer)
    later.delete(name)
  }

  function add(name: string, level: Level, note: T | null = null): void {
    if (closed) return
    if (level !== 'round' || later.get(name)?.level === 'round') forgetLater(name)
    // What waits already keeps its place.
    waiting.get(level)?.set(name, note)
    if (idle.length > 0) idle.shift()?.(take())
  }

  return {
    add,
    addLater(name, level, ms) {
      if (closed) return
      forgetLater(name)
      const timer = setTimeout(() => {
        later.delete(name)
        add(name, level)
      }, ms)
      later.set(name, { level, timer })
    },
    delete(name) {
      forgetLater(name)
      for (const names of waiting.values()) names.delete(name)
    },
    next() {
      const turn = take()
      if (turn !== null || closed) return Promise.resolve(turn)
      return new Promise((resolve) => idle.push(resolve))
    },
    close() {
      closed = true
      for (const name of [...later.keys()]) forgetLater(name)
      for (const names of waiting.values()) names.clear()
      for (const resolve of idle.splice(0)) resolve(null)
    },
  }
}
