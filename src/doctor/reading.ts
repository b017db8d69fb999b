/**
 * What does the catalog say right now? Plain GETs to a Consul agent, read once, with bounds on time, size and number at once:
 * the list of services, each service that is routed, and for a while all checks. What fails is told, the rest goes on.
 */

import { setTimeout as sleep } from 'node:timers/promises'
import { type AgentAnswer, type AgentClient, agentClient } from '../discovery/consul/agent-client.ts'
import { failureOf, type Mishap } from '../discovery/consul/consul-failure.ts'
import type { ConsulOptions } from '../discovery/consul/consul-source.ts'
import type { Failure } from '../discovery/failure.ts'
import { matchesAny } from '../discovery/glob.ts'
import { isNameable, type NameRules } from '../discovery/names.ts'
import { compareText } from '../discovery/untrusted-text.ts'
import { addressKind } from './address-kind.ts'
import { countChurn } from './churn.ts'
import type { AnswerFacts, ChurnFacts, Facts, ServiceFacts } from './facts.ts'
import { readInstances } from './instances.ts'
import { inParallel } from './parallel.ts'

export interface ReadingOptions {
  readonly consul: ConsulOptions
  readonly rules: NameRules
  /** Only this service, whether or not the rules leave it out; null: all that are routed. */
  readonly only: string | null
  readonly connectTimeoutMs: (service: string) => number
  /** Datacenters that stand by for a service. */
  readonly standbys: (service: string) => readonly string[]
  readonly deadlineMs?: number
}

/** A catalog, read once. */
export type CatalogReading = Pick<
  Facts,
  'from' | 'listed' | 'excluded' | 'services' | 'unread' | 'answers' | 'ownNode' | 'agentIsHere'
>

export interface Reader {
  read(): Promise<CatalogReading>
  /** Reads all checks again and again for so long; 0: not at all. */
  watchChecks(forMs: number): Promise<ChurnFacts & Pick<Facts, 'unread' | 'answers'>>
}

const PARALLEL = 16
const DEADLINE_MS = 15_000
/** As large as the answers that the proxy itself takes. */
const MAX_ANSWER_BYTES = 64 * 1024 * 1024
const MAX_READINGS = 60
const LEAST_PAUSE_MS = 500
const wantedHeaders = ['x-consul-index', 'x-consul-knownleader', 'x-consul-lastcontact', 'date', 'content-type']

type ReadService = Omit<ServiceFacts, 'isExcluded' | 'standbys'>
type Got = { readonly ok: true; readonly body: unknown } | { readonly ok: false; readonly failure: Failure }

/** @throws TypeError when the agent's address is no http or https URL */
export function catalogReader({
  consul,
  rules,
  only,
  connectTimeoutMs,
  standbys,
  deadlineMs = DEADLINE_MS,
}: ReadingOptions): Reader {
  const client = agentClient(consul)
  const parameters = [
    ...(consul.datacenter === null ? [] : [`dc=${encodeURIComponent(consul.datacenter)}`]),
    ...(consul.stale ? ['stale'] : []),
  ]
  const query = parameters.length === 0 ? '' : `?${parameters.join('&')}`
  const get = (path: string, answers: AnswerFacts[]) => ask(client, `/v1/${path}${query}`, deadlineMs, answers)

  async function readService(name: string, answers: AnswerFacts[]): Promise<ReadService | Failure> {
    const path = pathOf('health/service', name)
    if (path === null) return { name, instances: [], untagged: null, oddities: [] }
    const got = await get(path, answers)
    if (!got.ok) return got.failure
    const read = readInstances(got.body, consul, connectTimeoutMs(name))
    return read === null ? shapeFailure(client.where, 'the list of instances is not an array') : { name, ...read }
  }

  /**
   * Who an agent on this machine is. Whoever may not ask that learns nothing, which is no fault; nor is an agent of another
   * datacenter than the one that is asked about, and then nothing in the catalog is of this machine.
   */
  async function readOwn(): Promise<Pick<Facts, 'ownNode' | 'agentIsHere'>> {
    if (addressKind(new URL(consul.address).hostname) !== 'loopback') return { ownNode: null, agentIsHere: false }
    const got = await ask(client, '/v1/agent/self', deadlineMs, null)
    const { NodeName: node, Datacenter: datacenter } = Object(got.ok ? Object(got.body).Config : null)
    const isOther = typeof datacenter === 'string' && consul.datacenter !== null && datacenter !== consul.datacenter
    return { ownNode: typeof node === 'string' && !isOther ? node : null, agentIsHere: !isOther }
  }

  return {
    async read() {
      const answers: AnswerFacts[] = []
      const base = { from: client.where, answers }
      const list = await get('catalog/services', answers)
      const names = list.ok ? namesIn(list.body) : null
      if (names === null) {
        const failure = list.ok ? shapeFailure(client.where, 'the list of services is not an object') : list.failure
        const unread = [{ what: { kind: 'list' }, failure }] as const
        return { ...base, listed: null, excluded: 0, services: [], unread, ownNode: null, agentIsHere: false }
      }
      const isExcluded = (name: string) => !matchesAny(rules.include, name) || matchesAny(rules.exclude, name)
      const routed = names.filter((name) => !isExcluded(name))
      const wanted = only === null ? routed : names.filter((name) => name === only)
      const services: ServiceFacts[] = []
      const unread: { what: { kind: 'service'; name: string }; failure: Failure }[] = []
      const [own] = await Promise.all([
        readOwn(),
        inParallel(PARALLEL, wanted, async (name) => {
          // Nobody wants to wait for a deadline as often as there are services.
          const [first] = unread.length >= PARALLEL && answers.length === 1 ? unread : []
          const read = first?.failure ?? (await readService(name, answers))
          if ('cure' in read) unread.push({ what: { kind: 'service', name }, failure: read })
          else services.push({ ...read, isExcluded: isExcluded(name), standbys: standbys(name) })
        }),
      ])
      services.sort((a, b) => compareText(a.name, b.name))
      unread.sort((a, b) => compareText(a.what.name, b.what.name))
      return { ...base, listed: names.length, excluded: names.length - routed.length, services, unread, ...own }
    },

    async watchChecks(forMs) {
      const answers: AnswerFacts[] = []
      const path = only === null ? 'health/state/any' : pathOf('health/checks', only)
      if (forMs === 0 || path === null) return { watchedMs: 0, checks: [], unread: [], answers }
      const churn = countChurn((service) => service === null || !matchesAny(rules.exclude, service) || service === only)
      const startedAt = performance.now()
      const passed = () => performance.now() - startedAt
      const pauseMs = Math.max(LEAST_PAUSE_MS, forMs / MAX_READINGS)
      for (;;) {
        const got = await get(path, answers)
        const failure = got.ok ? null : got.failure
        if (failure !== null || !churn.add(got.ok ? got.body : null)) {
          const told = failure ?? shapeFailure(client.where, 'the list of checks is not an array')
          const unread = [{ what: { kind: 'checks' }, failure: told }] as const
          return { watchedMs: passed(), checks: churn.checks(), unread, answers }
        }
        const leftMs = forMs - passed()
        if (leftMs <= 0) return { watchedMs: passed(), checks: churn.checks(), unread: [], answers }
        await sleep(Math.min(pauseMs, leftMs))
      }
    },
  }
}

/** One GET. `answers` gets what its head says; null: it says nothing of the catalog. */
async function ask(client: AgentClient, path: string, deadlineMs: number, answers: AnswerFacts[] | null): Promise<Got> {
  const failed = (mishap: Mishap): Got => ({ ok: false, failure: failureOf(mishap, client.where) })
  const askedAt = Date.now()
  const how = { method: 'GET', path, deadlineMs, wantedHeaders, maxAnswerBytes: MAX_ANSWER_BYTES } as const
  // One of its own: each request listens to it, and many at once look like a leak to Node.
  const reply = await client.send(how, new AbortController().signal)
  if (reply.kind === 'failed') return failed(reply.mishap)
  if (reply.status !== 200) return failed({ kind: 'status', status: reply.status, body: reply.text })
  try {
    const body: unknown = JSON.parse(reply.text)
    answers?.push(headFacts(path, reply, askedAt, Date.now()))
    return { ok: true, body }
  } catch {
    return failed({ kind: 'not-json', contentType: reply.headers?.['content-type'] ?? '', body: reply.text })
  }
}

function headFacts(query: string, { headers = {} }: AgentAnswer, askedAt: number, answeredAt: number): AnswerFacts {
  const leader = headers['x-consul-knownleader']
  const contact = headers['x-consul-lastcontact'] ?? ''
  // It names a whole second, and was written at some moment between the question and the answer.
  const date = Date.parse(headers.date ?? '')
  const ahead = date > answeredAt ? date - answeredAt : date + 1000 < askedAt ? date + 1000 - askedAt : 0
  return {
    query,
    index: headers['x-consul-index'] ?? null,
    knowsLeader: leader === undefined ? null : leader === 'true',
    lastContactMs: /^\d{1,15}$/.test(contact) ? Number(contact) : null,
    clockAheadMs: Number.isNaN(date) ? null : ahead,
  }
}

/** Null for a name that is not asked for, as the proxy would not; half a character has no encoding at all. */
function pathOf(what: string, name: string): string | null {
  if (!isNameable(name)) return null
  try {
    return `${what}/${encodeURIComponent(name)}`
  } catch {
    return null
  }
}

function namesIn(body: unknown): readonly string[] | null {
  return typeof body === 'object' && body !== null && !Array.isArray(body) ? Object.keys(body) : null
}

function shapeFailure(where: string, message: string): Failure {
  return failureOf({ kind: 'shape', message }, where)
}
