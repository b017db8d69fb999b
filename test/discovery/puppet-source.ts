/** A source that says what the test wants, when it wants it. */

import type { Catalog } from '../../src/balancer/endpoint.ts'
import type { CatalogSource, Reading, SourceError, SourceListeners } from '../../src/discovery/source.ts'

export interface Puppet extends CatalogSource {
  says(catalog: Catalog, reading?: Partial<Reading>): void
  agrees(): void
  fails(error?: Partial<SourceError>): void
  /** What it was asked to read again; answered with `readable`. */
  readonly asked: string[][]
  readable: boolean
  readonly isWatched: boolean
}

export const puppetError: SourceError = { where: 'GET /x', message: 'refused', cure: 'start it' }

export function puppetSource(more: Partial<CatalogSource> = {}): Puppet {
  let listeners: SourceListeners | null = null
  const made = {
    ...more,
    asked: [] as string[][],
    readable: true,
    get isWatched() {
      return listeners !== null
    },
    async watch(given: SourceListeners, signal: AbortSignal) {
      listeners = given
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()))
      listeners = null
    },
    says: (catalog: Catalog, reading: Partial<Reading> = {}) =>
      listeners?.onCatalog(catalog, { rewound: false, ...reading }),
    agrees: () => listeners?.onFresh(),
    fails: (error: Partial<SourceError> = {}) => listeners?.onError({ ...puppetError, ...error }),
    async reread(services: readonly string[]) {
      made.asked.push([...services])
      return made.readable
    },
  }
  return made
}
