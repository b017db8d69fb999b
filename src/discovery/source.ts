/** Where does a catalog come from? The one interface that every source of endpoints implements. */

import type { Catalog } from '../balancer/endpoint.ts'
import type { ServiceFacts } from './facts.ts'

/** What a source says of how it came by a catalog. */
export interface Reading {
  /** The source knows less than it did before, and stays so: its index went backwards. It may have lost its data. */
  readonly rewound: boolean
  /** Some of it could not be read of late and is as it was before: the catalog is not confirmed by this. */
  readonly isPart?: true
  /** The standby datacenter that spoke; then it says nothing of how old the catalog is. Absent: the first one did. */
  readonly standby?: string
  /** Which of several sources spoke; absent: there is but one. */
  readonly source?: string
  /** Of several sources, those whose first answer this has. Absent: none. */
  readonly first?: readonly string[]
  /** How long ago the last one of several sources stood by its part, in milliseconds. Absent: now. */
  readonly agoMs?: number
}

export interface SourceListeners {
  /** A complete, believed answer whose content differs from the last one given (or the first one). */
  readonly onCatalog: (catalog: Catalog, reading: Reading) => void
  /**
   * The source was reached and agreed with all that is known: the age of the catalog starts anew.
   * @param agoMs of several sources, when the last one stood by its part, in milliseconds before now; absent: now
   */
  readonly onFresh: (agoMs?: number) => void
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
  /** The source could not be reached, or has no leader: not something about one request. */
  readonly away?: true
  /** The standby datacenter that failed; then the catalog is as good as before. Absent: it is the first one. */
  readonly standby?: string
  /** Which of several sources failed; absent: there is but one. */
  readonly source?: string
}

export interface CatalogSource {
  /**
   * Follows the catalog until `signal` is aborted, whatever the answers: resolves only then, and never rejects.
   * The first `onCatalog` carries every service; from then on a failing service keeps its last known endpoints.
   */
  watch(listeners: SourceListeners, signal: AbortSignal): Promise<void>
  /**
   * Asks once more, now, for the list of services and for these services, so that an answer can be confirmed. What is read
   * is taken in and told to the listeners like any other answer, and before this resolves. Absent: there is nothing to ask.
   * @returns true when all of it was read; false when something failed, or nobody watches. Never rejects.
   */
  reread?(services: readonly string[], signal: AbortSignal): Promise<boolean>
  /**
   * What its last reading of a service said of each instance, for operators; null: it has not been read, or nobody watches.
   * No part of the catalog. Absent: there is nothing to tell.
   */
  instances?(service: string): ServiceFacts | null
  /** How it is read, for operators. Absent: there is nothing to tell. */
  describe?(): SourceView
}

/** Of a source that is not being read. */
export const nothingRead: SourceView = {
  watched: 0,
  swept: 0,
  sweepRoundMs: null,
  wakeups: { useful: 0, useless: 0 },
  noisiest: [],
}

/** How a source is read right now, as plain data. */
export interface SourceView {
  /** Services with a watch of their own, and services that are read in turn. */
  readonly watched: number
  readonly swept: number
  /** How long the last whole round over the swept ones took; null: there has been none. */
  readonly sweepRoundMs: number | null
  /**
   * Blocking requests that were answered before their time since the watch began, and readings that such an answer asked
   * for: those that brought news, and those that did not.
   */
  readonly wakeups: { readonly useful: number; readonly useless: number }
  /** The listed services that were read for nothing most often, worst first, ten at most. */
  readonly noisiest: readonly { readonly service: string; readonly useful: number; readonly useless: number }[]
  /** What is known of each source that it is made of. Absent: it is made of none. */
  readonly parts?: readonly SourcePart[]
}

export interface SourcePart {
  readonly source: string
  /** `silent`: it has never answered. `stale`: it has failed since, or not all of it could be read. */
  readonly state: 'silent' | 'fresh' | 'stale'
  /** How many services it names; of a silent one, what was known of it before. */
  readonly services: number
  /** Since it last stood by all that it says; null: it never did. */
  readonly confirmedAgoMs: number | null
}
