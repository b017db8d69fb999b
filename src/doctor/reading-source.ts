/**
 * What does a source say right now? Its real watch is followed until the first catalog, or until it is clear that there is
 * none to be had, and ended; what it complained of on the way is told.
 */

import type { Catalog } from '../balancer/endpoint.ts'
import type { Failure } from '../discovery/failure.ts'
import { pause } from '../discovery/loop.ts'
import { type Oddity, type OddityKind, oddity } from '../discovery/oddity.ts'
import type { CatalogSource, SourceError } from '../discovery/source.ts'
import { untilAborted } from '../discovery/until-aborted.ts'
import { printable } from '../discovery/untrusted-text.ts'

export interface SourceReading {
  /** Null: there was none in time. */
  readonly catalog: Catalog | null
  /** What failed, each once; there is one at least where there is no catalog. */
  readonly failures: readonly Pick<Failure, 'message' | 'cure'>[]
}

export interface ReadingTimes {
  readonly deadlineMs: number
  /** How long a source that has failed may try elsewhere. */
  readonly graceMs: number
}

const times: ReadingTimes = { deadlineMs: 20_000, graceMs: 6000 }
const MAX_FAILURES = 100

/**
 * Reads a source once. Never rejects.
 * @param make may throw: a source that cannot be made is one that cannot be read
 * @param servers how many it may ask in turn: when as many have failed nobody is left
 */
export async function readSource(
  make: () => CatalogSource,
  servers: number,
  { deadlineMs, graceMs }: ReadingTimes = times,
): Promise<SourceReading> {
  const stop = new AbortController()
  const enough = new AbortController()
  const failures = new Map<string, Pick<Failure, 'message' | 'cure'>>()
  let catalog: Catalog | null = null
  let isTryingElsewhere = false
  const onError = ({ where, message, cure }: SourceError): void => {
    if (failures.size >= MAX_FAILURES) return
    const text = `${where}: ${message}`
    failures.set(text, { message: text, cure })
    if (failures.size >= servers) enough.abort()
    else if (!isTryingElsewhere) void pause(graceMs, enough.signal).then(() => enough.abort())
    isTryingElsewhere = true
  }
  const onBug = (error: unknown): void => {
    const message = printable(String(error), 300)
    failures.set(message, { message, cure: 'the source itself does not work: does evenkeel check FILE say why?' })
    enough.abort()
  }
  try {
    const onCatalog = (given: Catalog): void => {
      catalog ??= given
      enough.abort()
    }
    const watching = make()
      .watch({ onCatalog, onFresh: () => {}, onError }, stop.signal)
      .catch(onBug)
    await pause(deadlineMs, enough.signal)
    stop.abort()
    await untilAborted(watching, AbortSignal.timeout(deadlineMs), undefined)
  } catch (error) {
    onBug(error)
  }
  enough.abort()
  if (catalog === null && failures.size === 0) {
    const message = `nothing was heard in ${deadlineMs / 1000} s`
    return { catalog, failures: [{ message, cure: 'is it overloaded, or does something between drop connections?' }] }
  }
  return { catalog, failures: [...failures.values()] }
}

/** What a source has logged: what is strange in its entries, by service ('': of none), and all the rest. */
export interface SourceWarnings {
  readonly oddities: ReadonlyMap<string, readonly Oddity[]>
  readonly others: readonly string[]
}

/** @param lines of its log, JSON as pino writes it, warnings and worse only */
export function warningsOf(lines: readonly string[]): SourceWarnings {
  const oddities = new Map<string, Oddity[]>()
  const others = new Set<string>()
  for (const line of lines) {
    const fields = JSON.parse(line) as Record<string, unknown>
    const { service = '', instance = '', oddity: kind, msg = '', err } = fields
    const text = String(msg)
    if (typeof kind === 'string') {
      // The words before the first colon say which source it is.
      const found = oddity(kind as OddityKind, String(instance), text.replace(/^[^:]*: /, ''))
      oddities.set(String(service), [...(oddities.get(String(service)) ?? []), found])
    } else {
      const { message } = Object(err) as { message?: unknown }
      const clauses = [service === '' ? undefined : service, text, message, fields.why, fields.cure]
      others.add(printable(clauses.filter((each) => each !== undefined).join(': '), 400))
    }
  }
  return { oddities, others: [...others] }
}
