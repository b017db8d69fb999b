/**
 * What does a request to the catalog ask for? Pure: method, path, query and body become an answer now, an answer that
 * may wait for a change, or a `Refusal` with the status and the sentence of Consul 1.8.
 */

import type { CatalogState } from './catalog-records.ts'
import * as views from './catalog-views.ts'
import { parseGoDuration } from './go-duration.ts'
import { decodeError } from './go-json.ts'
import { Refusal } from './refusal.ts'
import { type CheckStatus, parseCheckUpdate, parseRegistration } from './registration.ts'

export type Answer =
  /** Done; there is nothing to say. */
  | { readonly kind: 'done' }
  | { readonly kind: 'options'; readonly allow: string }
  /** An answer of the agent itself, without an index. */
  | { readonly kind: 'json'; readonly body: unknown }
  /** An answer of the catalog: complete whenever it is asked for, and worth sending once `index` passes `minIndex`. */
  | {
      readonly kind: 'query'
      readonly index: () => number
      readonly body: () => unknown
      /** 0: answer at once. */
      readonly minIndex: number
      readonly waitMs: number
      readonly stale: boolean
    }

export interface CatalogRequest {
  readonly method: string
  /** Path and query, as the client sent them. */
  readonly target: string
  readonly body: string
}

const defaultWaitMs = 5 * 60_000
const maxWaitMs = 10 * 60_000
const done: Answer = { kind: 'done' }

interface Route {
  readonly method: 'GET' | 'PUT'
  /** With a slash at its end: what follows is `name`. */
  readonly path: string
  readonly answer: (state: CatalogState, name: string, query: URLSearchParams, body: string) => Answer
}

const routes: readonly Route[] = [
  { method: 'PUT', path: '/v1/agent/service/register', answer: register },
  {
    method: 'PUT',
    path: '/v1/agent/service/deregister/',
    answer: (state, id) => {
      if (id === '') throw new Refusal(500, 'ServiceID missing')
      state.deregister(id)
      return done
    },
  },
  { method: 'PUT', path: '/v1/agent/service/maintenance/', answer: maintain },
  { method: 'PUT', path: '/v1/agent/check/pass/', answer: beat('passing') },
  { method: 'PUT', path: '/v1/agent/check/warn/', answer: beat('warning') },
  { method: 'PUT', path: '/v1/agent/check/fail/', answer: beat('critical') },
  {
    method: 'PUT',
    path: '/v1/agent/check/update/',
    answer: (state, id, _query, body) => {
      const { status, output } = parseCheckUpdate(parseJson(body))
      state.beat(id, status, output)
      return done
    },
  },
  { method: 'GET', path: '/v1/agent/services', answer: (state) => json(views.agentServices(state)) },
  { method: 'GET', path: '/v1/agent/checks', answer: (state) => json(views.agentChecks(state)) },
  { method: 'GET', path: '/v1/agent/self', answer: () => json(views.agentSelf()) },
  { method: 'GET', path: '/v1/status/leader', answer: () => json(views.node.leader) },
  { method: 'GET', path: '/v1/status/peers', answer: () => json([views.node.leader]) },
  {
    method: 'GET',
    path: '/v1/catalog/services',
    answer: (state, _name, query) => ask(query, state.index.services, () => views.catalogServices(state)),
  },
  {
    method: 'GET',
    path: '/v1/catalog/nodes',
    answer: (state, _name, query) => ask(query, () => state.index.node, views.catalogNodes),
  },
  {
    method: 'GET',
    path: '/v1/catalog/service/',
    answer: (state, name, query) => {
      needed(name, 'Missing service name')
      const tags = query.getAll('tag')
      return ask(
        query,
        () => state.index.service(name),
        () => views.catalogService(state, name, tags),
      )
    },
  },
  {
    method: 'GET',
    path: '/v1/health/service/',
    answer: (state, name, query) => {
      needed(name, 'Missing service name')
      const filter = { passingOnly: parsePassing(query), tags: query.getAll('tag') }
      return ask(
        query,
        () => state.index.service(name),
        () => views.healthService(state, name, filter),
      )
    },
  },
  {
    method: 'GET',
    path: '/v1/health/state/',
    answer: (state, name, query) => {
      needed(name, 'Missing check state')
      return ask(query, state.index.checks, () => views.healthState(state, name))
    },
  },
  {
    method: 'GET',
    path: '/v1/health/checks/',
    answer: (state, name, query) => {
      needed(name, 'Missing service name')
      return ask(query, state.index.checks, () => views.healthChecks(state, name))
    },
  },
]

/** Answers one request, changing the state where that is asked. Throws `Refusal`, and then nothing has changed. */
export function answerRequest(state: CatalogState, request: CatalogRequest): Answer {
  const [rawPath = '', ...rawQuery] = request.target.split('?')
  const path = decodePath(rawPath)
  const route = routes.find((each) => (each.path.endsWith('/') ? path.startsWith(each.path) : path === each.path))
  if (route === undefined) throw new Refusal(404, "Invalid URL path: not in the demo's part of Consul's HTTP API")
  if (request.method === 'OPTIONS') return { kind: 'options', allow: `OPTIONS,${route.method}` }
  if (request.method !== route.method) throw new MethodRefusal(request.method, route.method)
  const query = new URLSearchParams(rawQuery.join('?'))
  return route.answer(state, path.slice(route.path.length), query, request.body)
}

/** The wrong method for a path that exists. */
export class MethodRefusal extends Refusal {
  readonly allow: string

  constructor(method: string, allowed: string) {
    super(405, `method ${method} not allowed`)
    this.allow = `OPTIONS,${allowed}`
  }
}

function register(state: CatalogState, _name: string, query: URLSearchParams, body: string): Answer {
  const replace = query.get('replace-existing-checks')
  state.register(parseRegistration(parseJson(body)), replace === '' || replace === 'true')
  return done
}

function maintain(state: CatalogState, id: string, query: URLSearchParams): Answer {
  needed(id, 'Missing service ID')
  const enable = query.get('enable') ?? ''
  if (enable === '') throw new Refusal(400, 'Missing value for enable')
  const wanted = parseGoBool(enable)
  if (wanted === null) throw new Refusal(400, `Invalid value for enable: ${JSON.stringify(enable.slice(0, 100))}`)
  state.maintain(id, wanted, query.get('reason') ?? '')
  return done
}

function beat(status: CheckStatus): Route['answer'] {
  return (state, id, query) => {
    state.beat(id, status, query.get('note') ?? '')
    return done
  }
}

function json(body: unknown): Answer {
  return { kind: 'json', body }
}

function needed(name: string, sentence: string): void {
  if (name === '') throw new Refusal(400, sentence)
}

function ask(query: URLSearchParams, index: () => number, body: () => unknown): Answer {
  if (query.has('stale') && query.has('consistent')) {
    throw new Refusal(400, 'Cannot specify ?stale with ?consistent, conflicting semantics.')
  }
  const datacenter = query.get('dc') ?? ''
  if (datacenter !== '' && datacenter !== views.node.datacenter) throw new Refusal(500, 'No path to datacenter')
  // Answering as if nothing had been filtered would be worse than saying no.
  for (const key of ['filter', 'node-meta']) {
    if (query.has(key)) throw new Refusal(400, `the demo's catalog does not know ?${key}: use a real Consul agent`)
  }
  const minIndex = parseIndex(query.get('index') ?? '')
  return { kind: 'query', index, body, minIndex, waitMs: parseWait(query.get('wait') ?? ''), stale: query.has('stale') }
}

function parseIndex(text: string): number {
  if (text === '') return 0
  if (!/^\d{1,20}$/.test(text) || BigInt(text) > 0xffff_ffff_ffff_ffffn) throw new Refusal(400, 'Invalid index')
  return Number(text)
}

function parseWait(text: string): number {
  if (text === '') return defaultWaitMs
  const ms = parseGoDuration(text)
  if (ms === null) throw new Refusal(400, 'Invalid wait time')
  return ms <= 0 ? defaultWaitMs : Math.min(ms, maxWaitMs)
}

function parsePassing(query: URLSearchParams): boolean {
  const value = query.get('passing')
  if (value === null) return false
  const wanted = value === '' ? true : parseGoBool(value)
  if (wanted === null) throw new Refusal(400, 'Invalid value for ?passing')
  return wanted
}

/** As Go's `strconv.ParseBool`; null: neither. */
function parseGoBool(text: string): boolean | null {
  if (['1', 't', 'T', 'TRUE', 'true', 'True'].includes(text)) return true
  return ['0', 'f', 'F', 'FALSE', 'false', 'False'].includes(text) ? false : null
}

function parseJson(body: string): unknown {
  if (body.trim() === '') throw decodeError('EOF')
  try {
    return JSON.parse(body)
  } catch (error) {
    // What V8 says quotes the body, which may be long.
    throw decodeError(error instanceof Error ? error.message.slice(0, 200).replaceAll(/\s+/g, ' ') : 'invalid JSON')
  }
}

function decodePath(raw: string): string {
  try {
    return decodeURIComponent(raw)
  } catch {
    throw new Refusal(400, '400 Bad Request')
  }
}
