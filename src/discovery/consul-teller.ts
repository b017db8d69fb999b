/** When do the listeners hear of what was read? By content, and not too often; and none of them can break the watch. */

import { type Catalog, sameCatalog } from '../balancer/endpoint.ts'
import type { Failure } from './consul-failure.ts'
import type { WatchTools } from './consul-watch.ts'
import type { SourceListeners } from './source.ts'

/** A burst of answers makes one catalog. */
const COALESCE_MS = 20
/** Failures that read alike are told once in this time: 128 loops fail together when Consul is away. */
const ERROR_QUIET_MS = 1000

export interface Teller {
  /** A successful answer has been taken in. `rewound`: although its index went backwards. */
  answered(news: boolean, rewound: boolean): void
  /** The catalog may be another one now. */
  changed(): void
  failed(where: string, failure: Failure): void
  /** Tells now what was to be told in a moment. False: there is no catalog to be told yet. */
  flush(): boolean
  close(): void
}

/** @param current the catalog as it is known now; null: not all of it is known yet */
export function teller(
  listeners: SourceListeners,
  tools: WatchTools,
  signal: AbortSignal,
  current: () => Catalog | null,
): Teller {
  let published: Catalog | null = null
  let timer: NodeJS.Timeout | null = null
  /** Something that was read since the last catalog is only true if the source lost what it knew. */
  let rewound = false
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
    const reading = { rewound: rewound && published !== null }
    rewound = false
    if (published !== null && sameCatalog(published, next)) {
      call(() => listeners.onFresh())
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
    answered(news, wasRewound) {
      // Without news it takes nothing away, and there is nothing to be careful about.
      if (news && wasRewound) rewound = true
      if (news || published === null) changed()
      else call(() => listeners.onFresh())
    },
    failed(where, { message, cure, speed }) {
      const last = quiet.get(message)
      const now = tools.now()
      if (last !== undefined && now - last < ERROR_QUIET_MS) return
      if (quiet.size >= 100) quiet.clear()
      quiet.set(message, now)
      call(() => listeners.onError({ where, message, cure, ...(speed === 'away' ? { away: true } : {}) }))
    },
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
