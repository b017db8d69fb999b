/** What have services pushed, and until when does it hold? */

import type { CatalogSource } from '../source.ts'

export interface PushOptions {
  /** How many instances are taken. */
  readonly maxInstances: number
  /** The longest time to live that an instance may ask for. */
  readonly maxTtlMs: number
}

export interface PushCatalog {
  readonly source: CatalogSource
}

export function createPushCatalog(_options: () => PushOptions): PushCatalog {
  return { source: { watch: () => Promise.reject(new Error('not built yet')) } }
}
