/** What does the admin listener answer? From a path to an answer; sockets and headers of every answer are elsewhere. */

import type { ServerResponse } from 'node:http'
import type { ServiceView, TableView } from '../balancer/view.ts'
import type { SourcePart } from '../discovery/source.ts'
import { type CatalogStatus, describeCatalog, failureText, suspectCounts, suspectFinder } from './catalog.ts'
import { detail, summarise } from './describe.ts'
import { describeRequests } from './describe-request.ts'
import { type ExplainSources, explainInput, explainService } from './explain.ts'
import { answerHand, type HandSources, handRoute, isHandPath, maxBodyBytes } from './hands.ts'
import type { Live } from './live.ts'
import type { Exposition } from './metrics.ts'
import { type Page, pagePolicy } from './page.ts'
import type { Granted } from './permission.ts'
import { answerPush, isPushPath, maxPushBytes, type PushSources, pushRoute } from './push.ts'
import { ageText, isReady, type Readiness } from './readiness.ts'
import { keptRequests, type RequestTrail } from './request-trail.ts'

export interface AdminSources {
  readonly version: string
  /** Name of the engine that serves the data port. */
  readonly engine: string
  readonly metrics: { render(accept: string | undefined): Promise<Exposition> }
  /** The table as it is now. */
  readonly view: () => TableView
  /** One service of it, for less than the whole costs; null: it has none of this name. */
  readonly viewService: (name: string) => ServiceView | null
  readonly readiness: () => Readiness
  readonly catalog: () => CatalogStatus
  readonly explaining: ExplainSources
  /** Applies the source's last answer as it stands; answers how many endpoints are gone by it. */
  readonly acceptCatalog: () => number
  /** The last requests that ended. */
  readonly trail: Pick<RequestTrail, 'find' | 'kept'>
  /** What open pages hear. */
  readonly live: Pick<Live, 'connect' | 'close'>
  /** The page and its files; asked at each request for one of them. */
  readonly page: () => Promise<Page>
  /** The running configuration as plain JSON values. Whoever gives it has taken the secrets out. */
  readonly config: () => unknown
  readonly hands: HandSources
  readonly push: PushSources
}

/** What somebody who may change something sent. */
export interface Change {
  readonly method: string
  /** The request target. */
  readonly target: string
  readonly body: string
  readonly caller: Granted
  /** Somebody else than the caller asks, so the caller's address is nobody's. */
  readonly isPassedOn: boolean
}

export interface Answer {
  readonly status: number
  readonly contentType: string
  readonly body: string
  /** What a caller must send to prove who it is (`WWW-Authenticate`). */
  readonly authenticate?: string
  /** The content security policy, where it is not the one that forbids everything. */
  readonly policy?: string
  /** The methods that are allowed, where the one that was used is not. */
  readonly allow?: string
  /** True: it is the same for ever. */
  readonly isImmutable?: true
  /** True: the connection is closed behind it. */
  readonly isLast?: true
  /** Seconds after which it is worth while to ask again. */
  readonly retryAfterS?: number
  /** Goes on to write to a GET's answer, whose head is written, for as long as it likes; `body` is empty. */
  readonly stream?: (response: ServerResponse) => void
}

const routes = [
  '/',
  '/metrics',
  '/livez',
  '/readyz',
  '/api/services',
  handRoute,
  '/api/services/{name}',
  '/api/requests/{id}',
  '/api/catalog',
  '/api/catalog/accept (POST)',
  pushRoute,
  '/api/config',
  '/api/live',
] as const
const acceptPath = '/api/catalog/accept'
const servicePrefix = '/api/services/'
const requestPrefix = '/api/requests/'
const assetPrefix = '/assets/'

/**
 * The answer to a GET.
 * @param target the request target as sent, its query is ignored
 * @param accept the Accept header, for `/metrics`
 */
export async function answer(sources: AdminSources, target: string, accept: string | undefined): Promise<Answer> {
  const path = pathOf(target)
  if (isHandPath(path)) return methodNotAllowed('POST', 'This is said with POST.')
  if (isPushPath(path)) return notAllowed(target)
  switch (path) {
    case '/':
      return page(await sources.page())
    case '/metrics':
      return { status: 200, ...(await sources.metrics.render(accept)) }
    case '/livez':
      return text(200, 'ok\n')
    case '/readyz':
      return readyz(sources.readiness(), sources.catalog())
    case '/api/services':
      return json(200, summaries(sources))
    case '/api/catalog':
      return json(200, describeCatalog(sources.catalog(), sources.readiness()))
    case acceptPath:
      return methodNotAllowed('POST', 'This is accepted with POST.')
    case '/api/config':
      return json(200, sources.config())
    case '/api/live':
      return live(sources.live, queryOf(target), (await sources.page()).build)
    default:
      if (path.startsWith(requestPrefix)) return requests(sources, path.slice(requestPrefix.length))
      if (path.startsWith(assetPrefix)) return asset(await sources.page(), path)
      return path.startsWith(servicePrefix)
        ? oneService(sources, path.slice(servicePrefix.length))
        : problem(404, 'Not Found', `There is nothing here. What exists: ${routes.join(', ')}`, { routes })
  }
}

/** How many bytes the body of a request that wants to change something may have; null: that is none. */
export function bodyLimit(method: string, target: string): number | null {
  if (method === 'POST') return maxBodyBytes
  return (method === 'PUT' || method === 'DELETE') && isPushPath(pathOf(target)) ? maxPushBytes : null
}

/** The answer to a request that has a `bodyLimit`, from whoever may change something. */
export async function answerChange(sources: AdminSources, change: Change): Promise<Answer> {
  const { method, target, body, caller } = change
  const path = pathOf(target)
  if (isPushPath(path)) return method === 'POST' ? notAllowed(target) : await push(sources, path, change)
  if (path === acceptPath) return json(200, { endpointsGone: sources.acceptCatalog() })
  if (!isHandPath(path)) return methodNotAllowed('GET, HEAD', 'This listener answers only GET and HEAD here.')
  const given = answerHand(sources.hands, path, body, caller)
  return given.status === 200 ? json(200, given.told) : problem(given.status, given.title, given.why, given.about)
}

async function push(sources: AdminSources, path: string, change: Change): Promise<Answer> {
  const given = await answerPush(sources.push, path, change)
  // The next beat comes after the time that idle connections have, and thousands of those would fill the listener.
  return { ...pushAnswer(given), isLast: true }
}

function pushAnswer(given: Awaited<ReturnType<typeof answerPush>>): Answer {
  if (given.status === 204) return text(204, '')
  return 'told' in given ? json(given.status, given.told) : problem(given.status, given.title, given.why, given.about)
}

/** The answer to a method that is not known at this target. */
export function notAllowed(target: string): Answer {
  if (isPushPath(pathOf(target))) return methodNotAllowed('PUT, DELETE', 'An instance is pushed with PUT and DELETE.')
  return methodNotAllowed(
    'GET, HEAD, POST',
    'This listener only answers GET and HEAD, and POST where something is changed.',
  )
}

function methodNotAllowed(allow: string, why: string): Answer {
  return { ...problem(405, 'Method Not Allowed', why), allow }
}

/** An `application/problem+json` answer (RFC 9457). */
export function problem(status: number, title: string, detailText: string, more: object = {}): Answer {
  const body = { type: 'about:blank', title, status, detail: detailText, ...more }
  return { ...json(status, body), contentType: 'application/problem+json' }
}

function json(status: number, value: unknown): Answer {
  return { status, contentType: 'application/json', body: `${JSON.stringify(value, null, 2)}\n` }
}

function text(status: number, body: string): Answer {
  return { status, contentType: 'text/plain; charset=utf-8', body }
}

function page({ html }: Page): Answer {
  return { status: 200, contentType: 'text/html; charset=utf-8', body: html, policy: pagePolicy }
}

function asset({ files }: Page, path: string): Answer {
  const file = files.get(path)
  if (file === undefined) return problem(404, 'Not Found', 'The page has no such file, or not any more: load it anew.')
  return { status: 200, ...file, isImmutable: true }
}

function live({ connect }: AdminSources['live'], query: URLSearchParams, build: string): Answer {
  const opened = query.has('open') ? query.getAll('open') : null
  const stream = connect(opened, build)
  if (stream !== null) return { status: 200, contentType: 'text/event-stream', body: '', stream }
  const why = 'As many pages are open as there may be: close one, or read /api/services.'
  return { ...problem(503, 'Service Unavailable', why), retryAfterS: 10 }
}

function readyz({ state, ageMs }: Readiness, { suspects, snapshot, source }: CatalogStatus): Answer {
  const { held, kept } = suspectCounts(suspects)
  const parts = source?.parts ?? []
  const notes = [
    ...(parts.length > 1 ? parts.filter((part) => part.state !== 'fresh').map(partText) : []),
    ...(snapshot?.inUse === true ? ['served from the snapshot'] : []),
    ...(held > 0 ? [`endpoints held: ${held}; the last answer leaves them out`] : []),
    ...(kept > 0 ? [`endpoints kept: ${kept}; the catalog has lost them, and they answer`] : []),
  ]
  const lines = [state, `catalog ${ageText(ageMs)}`, ...notes]
  return text(isReady(state) ? 200 : 503, `${lines.join('\n')}\n`)
}

function partText({ source, state, confirmedAgoMs }: SourcePart): string {
  return `${source} ${state === 'silent' ? 'has not answered yet' : `is stale, ${ageText(confirmedAgoMs)}`}`
}

function summaries(sources: AdminSources): readonly object[] {
  const find = suspectFinder(sources.catalog())
  return sources.view().services.map((service) => summarise(service, find))
}

function oneService(sources: AdminSources, encodedName: string): Answer {
  const name = decode(encodedName)
  if (name === null) return problem(400, 'Bad Request', 'The name is not valid percent-encoding.')
  const service = sources.viewService(name)
  if (service === null) return unknownService(sources, name, sources.view().services)
  const input = explainInput(service, sources)
  return json(200, { ...detail(service, suspectFinder(input.catalog)), ...explainService(input) })
}

/** Names that are listed to whoever asks for a service that there is not. */
const namesListed = 20

function unknownService(sources: AdminSources, name: string, services: TableView['services']): Answer {
  const { text: told, ...rest } = sources.explaining.unknown(name)
  const { failure } = sources.catalog()
  const why = rest.because === 'no-catalog' && failure !== null ? `${told}. ${failureText(failure)}` : told
  const meant = rest.nearest === null ? '' : ` Did you mean ${rest.nearest}?`
  const names = services.slice(0, namesListed).map((each) => each.name)
  const known = { services: names, moreServices: services.length - names.length }
  return problem(404, 'Not Found', `No such service in the routing table: ${why}.${meant}`, {
    service: name,
    ...rest,
    ...known,
  })
}

function requests({ trail }: AdminSources, encodedId: string): Answer {
  const requestId = decode(encodedId)
  if (requestId === null) return problem(400, 'Bad Request', 'The id is not valid percent-encoding.')
  const found = trail.find(requestId)
  if (found.length > 0) return json(200, describeRequests(found, Date.now()))
  const { requests: number, forMs } = trail.kept()
  const since = forMs === null ? null : new Date(Date.now() - forMs).toISOString()
  const held = since === null ? 'none has ended yet' : `${number} now, and the first of them ended at ${since}`
  const why = `No request with this id is kept. The last ${keptRequests} that ended are kept: ${held}.`
  return problem(404, 'Not Found', why, { requestId, kept: { requests: number, since } })
}

/** The path of a target in origin form, or in absolute form, which a server must accept too (RFC 9112 section 3.2.2). */
function pathOf(target: string): string {
  const path = target.replace(/^https?:\/\/[^/?#]*/i, '').replace(/[?#].*$/s, '')
  return path === '' ? '/' : path
}

function queryOf(target: string): URLSearchParams {
  return new URLSearchParams(/\?([^#]*)/.exec(target)?.[1] ?? '')
}

function decode(text: string): string | null {
  try {
    return decodeURIComponent(text)
  } catch {
    return null
  }
}
