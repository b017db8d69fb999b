/** How are several sources followed as one? */

import type { Logger } from 'pino'
import type { CatalogSource } from './source.ts'

export interface MergedDeps {
  readonly log: Logger
}

export function mergedSource(_sources: ReadonlyMap<string, CatalogSource>, _deps: MergedDeps): CatalogSource {
  throw new Error('not built yet')
}
