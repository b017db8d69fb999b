/**
 * How does an answer of the source become the catalog in use? It passes admission.ts; while that has suspects, this file
 * asks the source once more, looks at what traffic shows of them, and keeps the time.
 */

import type { Catalog } from '../balancer/endpoint.ts'
import {
  type Admission,
  type AdmissionOptions,
  acceptAll,
  type Baseline,
  type Circumstances,
  confirmRead,
  type Decision,
  judgeAnswer,
  newAdmission,
  settle,
  type Verdict,
} from './admission.ts'
import type { CatalogSource, Reading, SourceError } from './source.ts'
import { type Suspect, suspectsOf } from './suspect.ts'

export interface AdmittedListeners {
  /**
   * The catalog to use from now on.
   * @param isConfirmed true: the source has just answered; false: it is what became of suspects, a standby's word, or a
   * part of the catalog that could not be read is as it was before
   * @param agoMs as of `SourceListeners.onFresh`
   */
  readonly onCatalog: (catalog: Catalog, isConfirmed: boolean, agoMs?: number) => void
  /** The source was reached, and the catalog in use stays as it is. */
  readonly onFresh: (agoMs?: number) => void
  readonly onError: (error: SourceError) => void
  /** What became of endpoints that an answer left out; told before the `onCatalog` that it leads to. */
  readonly onDecisions: (decisions: readonly Decision[]) => void
}

export interface Admitting {
  /** As `CatalogSource.watch`. Only once for each `Admitting`. */
  watch(listeners: AdmittedListeners, signal: AbortSignal): Promise<void>
  /** Applies the last answer as it stands, now. Answers how many endpoints are gone by it. */
  accept(): number
  suspects(): readonly Suspect[]
  /** The baseline is what requests are routed by now: the first answer is judged by it, if there has been none. */
  baselineServes(): void
}

export interface AdmittingDeps {
  /** Asked at each step, so that a re-read config holds at once. */
  readonly options: () => AdmissionOptions
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number
  readonly vitals: Circumstances['vitals']
  readonly baseline: Baseline
  /** By source, when it was last away or found to have lost its data: kept up here. Absent: nothing is known of before. */
  readonly troubleAtMs?: Map<string, number>
  /** Told what a listener throws; nothing is supposed to. */
  readonly onBug: (error: unknown) => void
}

/** How often suspects are looked at. */
const LOOK_MS = 200
/** When the source is asked once more: not at once, or the same accident would confirm itself. */
const REREAD_AFTER_MS = 1000
const REREAD_EVERY_MS = 2000

/** The name of a source that has none. */
const onlySource = ''

function isConfirming({ standby, isPart }: Reading): boolean {
  return standby === undefined && isPart === undefined
}

/** Admission in front of `source`. */
export function admitting(source: CatalogSource, deps: AdmittingDeps): Admitting {
  let admission = newAdmission(deps.baseline)
  let listeners: AdmittedListeners | null = null
  let signal: AbortSignal | null = null
  let timer: NodeJS.Timeout | null = null
  const { troubleAtMs = new Map<string, number>() } = deps
  let rereadAtMs = Number.NEGATIVE_INFINITY
  let isRereading = false
  let isFirst = true

  function circumstances(): Circumstances {
    const nowMs = deps.now()
    const options = deps.options()
    const isSettled = (source: string) =>
      nowMs - (troubleAtMs.get(source) ?? Number.NEGATIVE_INFINITY) >= options.holdMs
    return {
      nowMs,
      options,
      settled: (sources = [...troubleAtMs.keys()]) => sources.every(isSettled),
      vitals: deps.vitals,
    }
  }

  /** Takes a verdict in, and tells what it changes. */
  function take({ admission: next, decisions }: Verdict, isConfirmed: boolean, agoMs?: number): void {
    const before: Admission = admission
    admission = next
    if (decisions.length > 0) listeners?.onDecisions(decisions)
    if (next.table !== null && next.table !== before.table) listeners?.onCatalog(next.table, isConfirmed, agoMs)
    else if (isConfirmed) listeners?.onFresh(agoMs)
    attend(before.suspects.size === 0)
  }

  /** Looks at suspects for as long as there are any. */
  function attend(areNew: boolean): void {
    if (admission.suspects.size === 0 || signal === null || signal.aborted) return
    if (areNew) rereadAtMs = deps.now() + Math.min(REREAD_AFTER_MS, deps.options().holdMs / 4)
    timer ??= setTimeout(look, LOOK_MS)
  }

  function look(): void {
    timer = null
    if (deps.now() >= rereadAtMs && !isRereading) void reread()
    try {
      take(settle(admission, circumstances()), false)
    } catch (error) {
      deps.onBug(error)
      attend(false)
    }
  }

  async function reread(): Promise<void> {
    const undecided = [...suspectsOf(admission)].filter(({ kept }) => !kept)
    if (undecided.length === 0 || source.reread === undefined || signal === null) return
    isRereading = true
    const services = [...new Set(undecided.map(({ service }) => service))]
    const askedAtMs = deps.now()
    const wasRead = await source.reread(services, signal)
    isRereading = false
    rereadAtMs = deps.now() + REREAD_EVERY_MS
    if (!wasRead) return
    // Who has been away since it left them out was not asked, or only after an outage.
    const isAsked = ({ endpoint: { sources = [] }, sinceMs }: Suspect) =>
      sources.every((source) => (troubleAtMs.get(source) ?? Number.NEGATIVE_INFINITY) <= sinceMs)
    const unasked = new Set(undecided.filter((suspect) => !isAsked(suspect)).map(({ service }) => service))
    const asked = services.filter((service) => !unasked.has(service))
    admission = confirmRead(admission, asked, askedAtMs)
  }

  return {
    async watch(given, until) {
      listeners = given
      signal = until
      const stop = (): void => {
        if (timer !== null) clearTimeout(timer)
        timer = null
      }
      until.addEventListener('abort', stop, { once: true })
      await source.watch(
        {
          onCatalog: (catalog, reading) => {
            isFirst = false
            // A standby that has lost its data takes nothing away but what it stands in for.
            const rewound = reading.rewound && reading.standby === undefined
            if (rewound) troubleAtMs.set(reading.source ?? onlySource, deps.now())
            const verdict = judgeAnswer(admission, catalog, { ...reading, rewound }, circumstances())
            take(verdict, isConfirming(reading), reading.agoMs)
          },
          onFresh: given.onFresh,
          onError: (error) => {
            if (error.away === true && error.standby === undefined) {
              troubleAtMs.set(error.source ?? onlySource, deps.now())
            }
            given.onError(error)
          },
        },
        until,
      )
    },
    accept() {
      const verdict = acceptAll(admission)
      take(verdict, false)
      return verdict.decisions.length
    },
    suspects: () => [...suspectsOf(admission)],
    baselineServes() {
      if (isFirst) admission = { ...admission, believesNext: false }
    },
  }
}
