/**
 * What does an open page hear, and when?
 *
 * At first everything, then a frame a second with the rows that are different, made once however many pages are open,
 * and none while there are none. What happens (`events.ts`) does not wait for the next second: it goes out at once, with
 * the rows of the services that it is about. Endpoints are told only of services that are opened on a page.
 */

import type { ServerResponse } from 'node:http'
import type { BalancerObserver } from '../balancer/observer.ts'
import type { ServiceChange } from '../balancer/table.ts'
import type { ServiceView, TableView } from '../balancer/view.ts'
import type { Decision } from '../discovery/admission.ts'
import { printable } from '../discovery/untrusted-text.ts'
import { type CatalogStatus, suspectCounts } from './catalog.ts'
import type { ServiceSlot } from './counters.ts'
import type { Frame, Header, State } from './dashboard/messages.ts'
import { createFeed } from './events.ts'
import { createHistory, tickMs } from './live-history.ts'
import { cheapFinder, detailOf, rowOf } from './live-rows.ts'
import { createStreams, eventBytes } from './live-streams.ts'
import type { Readiness } from './readiness.ts'

export interface LiveDeps {
  readonly version: string
  readonly engine: string
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number
  /** Milliseconds since 1970. */
  readonly epochNow: () => number
  readonly view: () => TableView
  readonly viewService: (service: string) => ServiceView | null
  readonly knows: (service: string) => boolean
  readonly slots: ReadonlyMap<string, ServiceSlot>
  readonly readiness: () => Readiness
  readonly catalog: () => CatalogStatus
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
const longestName = 120

/** Begins to keep what the page shows of the past; its timer does not keep the process alive. */
export function createLive(deps: LiveDeps): Live {
  const history = createHistory(deps.now, deps.slots, deps.knows)
  const feed = createFeed(deps.epochNow, onEvent)
  const streams = createStreams(rest)
  /** As they were last sent, by what the table calls the services. */
  const rows = new Map<string, string>()
  const details = new Map<string, string>()
  const labels = createLabels()
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
    for (const kept of [rows, details, labels, news]) kept.clear()
  }

  function onEvent(services: readonly string[]): void {
    if (streams.all.size === 0) return
    for (const service of services) news.add(service)
    newsTimer ??= setTimeout(guarded(sendNews), gatherMs).unref()
  }

  function sendNews(): void {
    newsTimer = null
    if (news.size > mostAtOnce) return sendFrame()
    const views = [...news].map((name) => [name, deps.viewService(name)] as const)
    news.clear()
    const find = cheapFinder(deps.catalog())
    const changed = views.flatMap(([, view]) => (view === null ? [] : (changedRow(view, find) ?? [])))
    const gone = views.flatMap(([name, view]) => (view === null ? forget(name) : []))
    broadcast(changed, gone, false)
    sendDetails(new Map(views.flatMap(([name, view]) => (view === null ? [] : [[name, view]]))), find)
  }

  function sendFrame(): void {
    news.clear()
    const { changed, gone, views, find } = refresh()
    broadcast(changed, gone, hasTicked)
    hasTicked = false
    sendDetails(views, find)
  }

  /** Makes every row anew; those that are different are JSON in the answer. */
  function refresh() {
    const { services } = deps.view()
    const find = cheapFinder(deps.catalog())
    const views = new Map(services.map((service) => [service.name, service]))
    const changed = services.flatMap((service) => changedRow(service, find) ?? [])
    const gone = [...rows.keys()].filter((name) => !views.has(name)).flatMap(forget)
    for (const stream of streams.all) if (stream.choosesItself) openSmallFleet(stream.opened, services)
    return { changed, gone, views, find }
  }

  function changedRow(service: ServiceView, find: ReturnType<typeof cheapFinder>): string | null {
    const { name } = service
    const json = JSON.stringify(rowOf(service, labels.of(name), history.traffic(name), find))
    if (rows.get(name) === json) return null
    rows.set(name, json)
    return json
  }

  function forget(name: string): string[] {
    details.delete(name)
    return rows.delete(name) ? [labels.drop(name)] : []
  }

  function broadcast(changed: readonly string[], gone: readonly string[], tick: boolean): void {
    const frame: Omit<Frame, 'rows'> = { atMs: deps.epochNow(), header: header(), tick, gone, feed: newEvents() }
    const bytes = eventBytes('frame', `${JSON.stringify(frame).slice(0, -1)},"rows":[${changed.join()}]}`)
    for (const stream of streams.all) stream.sendBytes(bytes)
  }

  function newEvents() {
    const events = feed.events().filter(({ id }) => id > lastEventSent)
    lastEventSent = events.at(-1)?.id ?? lastEventSent
    return events
  }

  /** Of these services, to the pages that have opened them, what is different. */
  function sendDetails(views: ReadonlyMap<string, ServiceView>, find: ReturnType<typeof cheapFinder>): void {
    const changed = new Map<string, string>()
    const opened = new Set([...streams.all].flatMap((stream) => [...stream.opened]))
    for (const name of details.keys()) if (!opened.has(name)) details.delete(name)
    for (const name of opened) {
      const view = views.get(name)
      if (view === undefined) continue
      const json = JSON.stringify(detailOf(view, labels.of(name), deps.epochNow(), find))
      if (details.get(name) !== json) changed.set(name, json)
      details.set(name, json)
    }
    if (changed.size === 0) return
    for (const stream of streams.all) {
      const wanted = [...stream.opened].flatMap((name) => changed.get(name) ?? [])
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

  function stateJson(opened: ReadonlySet<string>, build: string, views: ReadonlyMap<string, ServiceView>): string {
    const find = cheapFinder(deps.catalog())
    const { version, engine } = deps
    const state: Omit<State, 'rows'> = {
      ...{ version, engine, build, atMs: deps.epochNow(), header: header() },
      feed: feed.events().filter(({ id }) => id <= lastEventSent),
      details: [...opened].flatMap((name) => {
        const view = views.get(name)
        return view === undefined ? [] : [detailOf(view, labels.of(name), deps.epochNow(), find)]
      }),
    }
    const withPast = [...rows].map(([name, json]) => {
      const { rates, errors } = history.past(name)
      return `${json.slice(0, -1)},"past":[${rates}],"pastErrors":[${errors}]}`
    })
    return `${JSON.stringify(state).slice(0, -1)},"rows":[${withPast.join()}]}`
  }

  return {
    observer: feed,
    onTableChange: feed.onTableChange,
    onDecisions: feed.onDecisions,
    onCatalog() {
      // The one who tells us of a failure has yet to take it in.
      queueMicrotask(() => feed.onReadiness(deps.readiness().state))
    },
    connect(opened, build) {
      if (!streams.hasRoom()) return null
      return (response) => {
        // Whoever is here already hears of what has happened meanwhile, so that what is new is the same for all.
        const { changed, gone, views, find } = refresh()
        broadcast(changed, gone, hasTicked)
        hasTicked = false
        sendDetails(views, find)
        const names = new Set((opened ?? []).slice(0, mostOpened).flatMap((label) => labels.named(label) ?? []))
        if (opened === null) openSmallFleet(names, [...views.values()])
        streams.add(response, names, opened === null, stateJson(names, build, views))
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

/** Of a fleet so small that all of it has room on one page, everything is opened. */
function openSmallFleet(opened: Set<string>, services: readonly ServiceView[]): void {
  const instances = services.reduce((sum, { endpoints, absent }) => sum + endpoints.length + absent.length, 0)
  if (services.length > smallFleet.services || instances > smallFleet.endpoints) return
  for (const { name } of services) opened.add(name)
  for (const name of opened) if (!services.some((service) => service.name === name)) opened.delete(name)
}

/** What services are called on the page: printable, not too long, and no two the same. */
function createLabels() {
  const byName = new Map<string, string>()
  const byLabel = new Map<string, string>()
  return {
    of(name: string): string {
      const known = byName.get(name)
      if (known !== undefined) return known
      const short = printable(name, longestName)
      let label = short
      for (let number = 2; byLabel.has(label); number++) label = `${short} (${number})`
      byName.set(name, label)
      byLabel.set(label, name)
      return label
    },
    named: (label: string): string | undefined => byLabel.get(label),
    drop(name: string): string {
      const label = byName.get(name) ?? name
      byName.delete(name)
      byLabel.delete(label)
      return label
    },
    clear() {
      byName.clear()
      byLabel.clear()
    },
  }
}
