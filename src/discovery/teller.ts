/** When do the listeners hear of what was read? By content, and not too often; and none of them can break the watch. */

import type { Logger } from 'pino'
import { type Catalog, sameCatalog } from '../balancer/endpoint.ts'
import type { Failure } from './failure.ts'
import type { SourceListeners } from './source.ts'

/** A burst of answers makes one catalog. */
const COALESCE_MS = 20
/** Failures that read alike are told once in this time: 128 loops fail together when Consul is away. */
const ERROR_QUIET_MS = 1000

export interface TellerTools {
  readonly log: Logger
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number
}

export interface Teller {
  /**
   * A successful answer has been taken in.
   * @param query which one answered, in any words that `failed` and `outdated` use as well
   * @param rewound although its index went backwards
   */
  answered(query: string, news: boolean, rewound: boolean): void
  /** The catalog may be another one now. */
  changed(): void
  /** Until this query answers, the catalog is not confirmed, whatever others say. */
  failed(query: string, failure: Failure): void
  /** As `failed`, but there is no error to tell. */
  outdated(query: string): void
  /** A query that is not asked any more. */
  forget(query: string): void
  /** Tells now what was to be told in a moment. False: there is no catalog to be told yet. */
  flush(): boolean
  close(): void
}

/** @param current the catalog as it is known now; null: not all of it is known yet */
export function teller(
  listeners: SourceListeners,
  tools: TellerTools,
  signal: AbortSignal,
  current: () => Catalog | null,
): Teller {
  let published: Catalog | null = null
  let timer: NodeJS.Timeout | null = null
  /** Something that was read since the last catalog is only true if the source lost what it knew. */
  let rewound = false
  /** Queries whose last request brought nothing. */
  const lacking = new Set<string>()
  const quiet = new Map<string, number>()

  function call(listener: () => void): void {
    if (signal.aborted) return
    try {
      listener()
    } catch (error) {
      tools.log.error({ err: error }, 'a listener of the catalog failed')
    }
  }

  function publish(): void {
    if (timer !== null) clearTimeout(timer)
    timer = null
    const next = current()
    if (next === null) return
    const isWhole = lacking.size === 0
    const reading = { rewound: rewound && published !== null, ...(isWhole ? {} : { isPart: true as const }) }
    rewound = false
    if (published !== null && sameCatalog(published, next)) {
      if (isWhole) call(() => listeners.onFresh())
    } else {
      published = next
      call(() => listeners.onCatalog(next, reading))
    }
  }

  function changed(): void {
    timer ??= setTimeout(publish, COALESCE_MS)
  }

  return {
    changed,
    answered(query, news, wasRewound) {
      lacking.delete(query)
      // Without news it takes nothing away, and there is nothing to be careful about.
      if (news && wasRewound) rewound = true
      if (news || published === null) changed()
      else if (lacking.size === 0) call(() => listeners.onFresh())
    },
    failed(query, { message, cure, speed }) {
      lacking.add(query)
      const last = quiet.get(message)
      const now = tools.now()
      if (last !== undefined && now - last < ERROR_QUIET_MS) return
      if (quiet.size >= 100) quiet.clear()
      quiet.set(message, now)
      call(() => listeners.onError({ where: query, message, cure, ...(speed === 'away' ? { away: true } : {}) }))
    },
    outdated: (query) => void lacking.add(query),
    forget: (query) => void lacking.delete(query),
    flush() {
      if (timer !== null) publish()
      return published !== null
    },
    close() {
      if (timer !== null) clearTimeout(timer)
      timer = null
    },
  }
}
