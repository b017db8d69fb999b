/** How is what follows a registry made a source? What all of them are given and give, and the source around it. */

import type { Logger } from 'pino'
import { type CatalogSource, nothingRead, type SourceListeners, type SourceView } from './source.ts'

export interface WatchTools {
  readonly log: Logger
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number
  /** From 0 to less than 1. */
  readonly random: () => number
}

/** A registry that is being followed. */
export interface Watch {
  /** Resolves once the signal is aborted and all has ended; never rejects. */
  readonly done: Promise<void>
  /** See `CatalogSource`. */
  reread(services: readonly string[], signal: AbortSignal): Promise<boolean>
  view(): SourceView
}

/** A source each of whose watches `begin` starts; `reread` and `describe` are about the one that was begun last. */
export function watchedSource(begin: (listeners: SourceListeners, signal: AbortSignal) => Watch): CatalogSource {
  let current: Watch | null = null
  return {
    async watch(listeners, signal) {
      if (signal.aborted) return
      const watch = begin(listeners, signal)
      current = watch
      await watch.done
      if (current === watch) current = null
    },
    reread: async (services, signal) => (await current?.reread(services, signal)) ?? false,
    describe: () => current?.view() ?? nothingRead,
  }
}
