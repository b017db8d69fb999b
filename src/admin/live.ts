/**
 * What does an open page hear, and when?
 *
 * At first everything, then a frame a second, made once however many pages are open, and none while there are none: with
 * all rows that are different when the counters have been read anew, else with those that are opened on a page, for
 * between two readings next to nothing moves. What happens (`events.ts`) does not wait for that: it goes out at once, with
 * the rows of the services that it is about. Endpoints are told only of services that are opened.
 */

import type { ServerResponse } from 'node:http'
import type { BalancerObserver, EjectionReason } from '../balancer/observer.ts'
import type { ServiceChange } from '../balancer/table.ts'
import type { ServiceView } from '../balancer/view.ts'
import type { Decision } from '../discovery/admission.ts'
import { suspectCounts } from './catalog.ts'
import type { ServiceSlot } from './counters.ts'
import type { Frame, Header, State } from './dashboard/messages.ts'
import { createFeed } from './events.ts'
import { tripText } from './explain-health.ts'
import { createHistory, tickMs } from './live-history.ts'
import { createStreams, eventBytes, type Stream } from './live-streams.ts'
import { type Changes, createTold, type ToldSources } from './live-told.ts'

export interface LiveDeps extends ToldSources {
  readonly version: string
  readonly engine: string
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number
  readonly knows: (service: string) => boolean
  readonly slots: ReadonlyMap<string, ServiceSlot>
  /** A frame could not be made; the next one is tried all the same. */
  readonly onError: (error: unknown) => void
}

export interface Live {
  readonly observer: BalancerObserver
  onTableChange(services: readonly ServiceChange[]): void
  onDecisions(decisions: readonly Decision[]): void
  /** The source has answered or failed, or the proxy begins to drain: the catalog's standing may be another. */
  onCatalog(): void
  /**
   * A page's stream; null: too many are open.
   * @param opened services whose endpoints it wants to know, 20 at most; null: those of a small fleet
   * @param build of the page's own files, as they are served now
   * @returns what writes it to an answer whose head is written
   */
  connect(opened: readonly string[] | null, build: string): ((response: ServerResponse) => void) | null
  /** Ends every stream, and what is kept for them. */
  close(): void
}

const frameMs = 1_000
/** Events that come together go out together. */
const gatherMs = 40
export const mostOpened = 20
const smallFleet = { services: 12, endpoints: 24 }
/** News about more services than that are a frame of all. */
const mostAtOnce = 20

/** Begins to keep what the page shows of the past; its timer does not keep the process alive. */
export function createLive(deps: LiveDeps): Live {
  const history = createHistory(deps.now, deps.slots, deps.knows)
  const feed = createFeed(deps.epochNow, whyEjected, onEvent)
  const streams = createStreams(rest)
  const told = createTold(deps, history)
  /** All services of a small fleet, as the table names them: they are open where nobody has said which are. */
  let small: readonly string[] = []
  const news = new Set<string>()
  let lastEventSent = 0
  let hasTicked = false
  let frameTimer: NodeJS.Timeout | null = null
  let newsTimer: NodeJS.Timeout | null = null

  const sampling = setInterval(() => {
    history.sample()
    hasTicked = true
  }, tickMs).unref()

  /** What fails in a timer must not end the proxy. */
  function guarded(work: () => void): () => void {
    return () => {
      try {
        work()
      } catch (error) {
        deps.onError(error)
      }
    }
  }

  /** Nobody looks: nothing is made, and nothing kept but the past. */
  function rest(): void {
    if (frameTimer !== null) clearInterval(frameTimer)
    if (newsTimer !== null) clearTimeout(newsTimer)
    frameTimer = newsTimer = null
    small = []
    for (const kept of [told, news]) kept.clear()
  }

  function whyEjected(service: string, endpoint: string, reason: EjectionReason): string {
    // Who said so is written down where the table keeps it.
    const by = reason === 'by-hand' ? byOf(deps.viewService(service), endpoint) : null
    const text = tripText({ reason, by }, deps.explaining.rules(service).outlier)
    // An event has room for what happened; which setting decides it is said where the service is opened.
    return text.replace(/ \(outlier\.\w+\)$/, '')
  }

  function onEvent(services: readonly string[]): void {
    if (streams.all.size === 0) return
    for (const service of services) news.add(service)
    newsTimer ??= setTimeout(guarded(sendNews), gatherMs).unref()
  }

  function sendNews(): void {
    newsTimer = null
    if (news.size > mostAtOnce) return sendAll()
    const services = [...news]
    news.clear()
    sendOf(services)
  }

  function sendFrame(): void {
    if (hasTicked) sendAll()
    else sendOf(openedAnywhere())
  }

  function sendAll(): void {
    news.clear()
    const { changes, services } = told.all()
    small = isSmall(services) ? services.map(({ name }) => name) : small
    broadcast(changes, hasTicked)
    hasTicked = false
    sendDetails(openedAnywhere())
  }

  function sendOf(services: Iterable<string>): void {
    broadcast(told.of(services), false)
    const opened = openedAnywhere()
    sendDetails(Array.from(services).filter((name) => opened.has(name)))
  }

  function broadcast({ rows, moved, gone }: Changes, tick: boolean): void {
    const frame = { atMs: deps.epochNow(), header: header(), tick, feed: newEvents() }
    const lists = `"rows":[${rows.join()}],"moved":[${moved.join()}],"gone":[${gone.join()}]`
    const bytes = eventBytes('frame', withLists(frame satisfies Omit<Frame, 'rows' | 'moved' | 'gone'>, lists))
    for (const stream of streams.all) stream.sendBytes(bytes)
  }

  function newEvents() {
    const events = feed.events().filter(({ id }) => id > lastEventSent)
    lastEventSent = events.at(-1)?.id ?? lastEventSent
    return events
  }

  /** A name may be opened on a page before there is such a service, so it is looked up each time. */
  function openedOn(opened: Stream['opened']): readonly string[] {
    return opened === null ? small : opened.flatMap((label) => told.labels.named(label) ?? [])
  }

  function openedAnywhere(): ReadonlySet<string> {
    return new Set([...streams.all].flatMap(({ opened }) => openedOn(opened)))
  }

  /** Of these services, to the pages that have opened them, what is different. */
  function sendDetails(services: Iterable<string>): void {
    told.keepDetails(openedAnywhere())
    const changed = told.details(services)
    if (changed.size === 0) return
    for (const stream of streams.all) {
      const wanted = openedOn(stream.opened).flatMap((name) => changed.get(name) ?? [])
      if (wanted.length > 0) stream.send('detail', `[${wanted.join()}]`)
    }
  }

  function header(): Header {
    const { state, ageMs } = deps.readiness()
    const { suspects, snapshot } = deps.catalog()
    return {
      readiness: state,
      ageMs: ageMs === null ? null : Math.round(ageMs),
      ...suspectCounts(suspects),
      fromSnapshot: snapshot?.inUse === true,
      ...history.total(),
    }
  }

  function stateJson(opened: Stream['opened'], build: string): string {
    const { version, engine } = deps
    const past = feed.events().filter(({ id }) => id <= lastEventSent)
    const state = { version, engine, build, atMs: deps.epochNow(), header: header(), feed: past }
    const lists = `"rows":[${told.rowsWithPast().join()}],"details":[${told.detailsTold(openedOn(opened)).join()}]`
    return withLists(state satisfies Omit<State, 'rows' | 'details'>, lists)
  }

  return {
    observer: feed,
    onTableChange: feed.onTableChange,
    onDecisions: feed.onDecisions,
    onCatalog() {
      // The one who tells us of a failure has yet to take it in.
      queueMicrotask(() => feed.onReadiness(deps.readiness().state))
    },
    connect(named, build) {
      if (!streams.hasRoom()) return null
      const opened = named === null ? null : [...new Set(named)].slice(0, mostOpened)
      return (response) => {
        // It begins with what others were told, and hears with them what is new, so that many who come cost little; but
        // the past that it gets has a tick in it that they may have yet to hear of.
        if (streams.all.size === 0 || hasTicked) sendAll()
        sendDetails(openedOn(opened))
        streams.add(response, opened, stateJson(opened, build))
        if (streams.all.size === 0) rest()
        else frameTimer ??= setInterval(guarded(sendFrame), frameMs).unref()
      }
    },
    close() {
      clearInterval(sampling)
      streams.close()
      rest()
    },
  }
}

/** All of it has room on one page. */
function isSmall(services: readonly ServiceView[]): boolean {
  const instances = services.reduce((sum, { endpoints, absent }) => sum + endpoints.length + absent.length, 0)
  return services.length <= smallFleet.services && instances <= smallFleet.endpoints
}

function byOf(service: ServiceView | null, endpoint: string): string | null {
  const view = service?.endpoints.find((each) => each.endpoint.id === endpoint)
  return view?.lastEjection?.by ?? null
}

/** @param lists further fields, in JSON */
function withLists(message: object, lists: string): string {
  return `${JSON.stringify(message).slice(0, -1)},${lists}}`
}
