/** Where does a catalog come from? The one interface that every source of endpoints implements. */

import type { Catalog } from '../balancer/endpoint.ts'

export interface SourceListeners {
  /** A complete, believed answer whose content differs from the last one given (or the first one). */
  readonly onCatalog: (catalog: Catalog) => void
  /** The source was reached and agreed with what is known: the age of the catalog starts anew. */
  readonly onFresh: () => void
  /**
   * The source could not be read or understood. The last catalog stays. While it goes on this is called again and again,
   * about once a second at most for failures that read alike.
   */
  readonly onError: (error: SourceError) => void
}

/** What a source says of a failure. `where` names the request or file, `cure` what a person can do about it. */
export interface SourceError {
  readonly where: string
  readonly message: string
  readonly cure: string
}

export interface CatalogSource {
  /**
   * Follows the catalog until `signal` is aborted, whatever the answers: resolves only then, and never rejects.
   * The first `onCatalog` carries every service; from then on a failing service keeps its last known endpoints.
   */
  watch(listeners: SourceListeners, signal: AbortSignal): Promise<void>
}
