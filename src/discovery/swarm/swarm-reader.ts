/**
 * What is asked of a Docker Engine? Whether it is part of a swarm; and then all services, tasks and nodes of it, or all
 * containers of its own. Nothing is looked at twice: an answer that is byte for byte the last one says what that said.
 */

import {
  decodeContainers,
  decodeInfo,
  decodeNodes,
  decodeServices,
  decodeTasks,
  type ListOf,
  type Standing,
  type SwarmTask,
} from './engine-answers.ts'
import type { EngineClient, EngineFailed, EngineReply, EngineRequest } from './engine-client.ts'
import type { EngineMishap } from './engine-failure.ts'
import { decodePlain } from './swarm-containers.ts'
import type { SwarmRules } from './swarm-rules.ts'
import { type Decoded, decodeSwarm, placeOf } from './swarm-tasks.ts'

/** What can be followed. */
export type Followable = Standing & { readonly kind: 'manager' | 'alone' }

export type Read =
  /** `isSame`: as the last reading of this reader had it. */
  { readonly kind: 'read'; readonly decoded: Decoded; readonly isSame: boolean } | EngineFailed

/** Neither rejects. */
export interface SwarmReader {
  standing(signal: AbortSignal): Promise<{ readonly kind: 'standing'; readonly standing: Followable } | EngineFailed>
  read(of: Followable['kind'], signal: AbortSignal): Promise<Read>
}

/** A swarm is far below it. */
export const MAX_ENTRIES = 100_000
/** Services in one question for what has failed. */
const MAX_ASKED = 50

/** The label that Swarm gives each container of a task. */
const TASK_LABEL = 'com.docker.swarm.task.id'

const OF_SWARM: readonly EngineRequest[] = [
  { path: '/services' },
  { path: '/tasks', filters: { 'desired-state': ['running', 'ready', 'accepted'] } },
  { path: '/nodes' },
  // The tasks themselves count as running until an unhealthy container has been stopped.
  { path: '/containers/json', filters: { label: [TASK_LABEL], health: ['unhealthy'] } },
]

export function swarmReader(client: EngineClient, rules: SwarmRules): SwarmReader {
  const ofContainers: readonly EngineRequest[] = [
    { path: '/containers/json', all: true, filters: { label: [rules.label] } },
  ]
  let last: { readonly of: Followable['kind']; readonly bodies: readonly Buffer[]; readonly decoded: Decoded } | null =
    null
  /** Of the places whose task does not run, how the last one failed; null: it has not. */
  let failures = new Map<string, { readonly task: string; readonly words: string | null }>()

  /**
   * Tasks whose container has been unhealthy. Swarm ends such a task whatever its health check says afterwards (moby's
   * daemon/cluster/executor/container/controller.go, Wait), so it is not to come back for its last seconds.
   */
  let doomed = new Set<string>()

  /** Asks of tasks that do not run and are seen for the first time why the one before failed. */
  async function askWhy(unsettled: readonly SwarmTask[], signal: AbortSignal): Promise<boolean> {
    const known = new Map<string, { readonly task: string; readonly words: string | null }>()
    const unknown: SwarmTask[] = []
    for (const task of unsettled) {
      const before = failures.get(placeOf(task))
      if (before?.task === task.id) known.set(placeOf(task), before)
      else unknown.push(task)
    }
    failures = known
    const services = [...new Set(unknown.map(({ service }) => service))].slice(0, MAX_ASKED)
    if (services.length === 0) return false
    const filters = { service: services, 'desired-state': ['shutdown'] }
    const reply = await client.ask({ path: '/tasks', filters }, signal)
    const answer = reply.kind === 'answered' ? decodeTasks(reply.body) : null
    // It is about words only: then they are missing.
    const ended = answer?.kind === 'list' ? answer.items : []
    const lastOf = new Map<string, SwarmTask>()
    for (const task of ended) {
      const place = placeOf(task)
      const other = lastOf.get(place)
      if (other === undefined || other.since < task.since) lastOf.set(place, task)
    }
    for (const task of unknown) {
      const before = lastOf.get(placeOf(task))
      const hasFailed = before?.state === 'failed' || before?.state === 'rejected'
      const words = (hasFailed && before.error) || null
      failures.set(placeOf(task), { task: task.id, words })
    }
    return unknown.some((task) => failures.get(placeOf(task))?.words !== null)
  }

  async function decode(bodies: readonly Buffer[], signal: AbortSignal): Promise<Decoded | EngineFailed> {
    const [first = none, second = none, third = none, fourth = none] = bodies
    const services = decodeServices(first)
    if (services.kind === 'unreadable') return failed('/services', { kind: 'shape', message: services.message })
    const tasks = decodeTasks(second)
    if (tasks.kind === 'unreadable') return failed('/tasks', { kind: 'shape', message: tasks.message })
    const nodes = decodeNodes(third)
    if (nodes.kind === 'unreadable') return failed('/nodes', { kind: 'shape', message: nodes.message })
    const sick = decodeContainers(fourth)
    if (sick.kind === 'unreadable') return failed('/containers/json', { kind: 'shape', message: sick.message })
    for (const [path, list] of [['/services', services] as const, ['/tasks', tasks] as const]) {
      if (isTooLong(list)) return failed(path, { kind: 'full', most: MAX_ENTRIES })
    }
    const unhealthy = new Set([...doomed, ...sick.items.map(({ labels }) => String(labels[TASK_LABEL]))])
    doomed = new Set(tasks.items.flatMap(({ id }) => (unhealthy.has(id) ? [id] : [])))
    const decodeNow = () => {
      const words = [...failures].flatMap(([place, { words }]) => (words === null ? [] : [[place, words] as const]))
      const state = { services: services.items, tasks: tasks.items, nodes: nodes.items, unhealthy: doomed }
      return decodeSwarm({ ...state, failures: new Map(words) }, rules)
    }
    const decoded = decodeNow()
    return (await askWhy(decoded.unsettled, signal)) ? decodeNow() : decoded
  }

  return {
    async standing(signal) {
      const reply = await client.ask({ path: '/info' }, signal)
      if (reply.kind === 'failed') return reply
      const standing = decodeInfo(reply.body)
      switch (standing.kind) {
        case 'manager':
        case 'alone':
          return { kind: 'standing', standing }
        case 'worker':
          return failed('/info', { kind: 'worker' })
        case 'not-ready':
          return failed('/info', standing)
        case 'unreadable':
          return failed('/info', { kind: 'shape', message: standing.message })
        default:
          return standing satisfies never
      }
    },

    async read(of, signal) {
      const requests = of === 'manager' ? OF_SWARM : ofContainers
      const replies = await Promise.all(requests.map((request) => client.ask(request, signal)))
      const unanswered = replies.find((reply): reply is EngineFailed => reply.kind === 'failed')
      if (unanswered !== undefined) return unanswered
      const bodies = replies.map((reply) => (reply as EngineReply & { kind: 'answered' }).body)
      if (last?.of === of && bodies.every((body, at) => body.equals(last?.bodies[at] ?? none))) {
        return { kind: 'read', decoded: last.decoded, isSame: true }
      }
      const decoded = of === 'manager' ? await decode(bodies, signal) : plain(bodies[0] ?? none)
      if ('kind' in decoded) return decoded
      last = { of, bodies, decoded }
      return { kind: 'read', decoded, isSame: false }
    },
  }

  function plain(body: Buffer): Decoded | EngineFailed {
    const containers = decodeContainers(body)
    if (containers.kind === 'unreadable') {
      return failed('/containers/json', { kind: 'shape', message: containers.message })
    }
    if (isTooLong(containers)) return failed('/containers/json', { kind: 'full', most: MAX_ENTRIES })
    return decodePlain(containers.items, rules)
  }
}

const none = Buffer.alloc(0)

function isTooLong(list: ListOf<unknown>): boolean {
  return list.kind === 'list' && list.items.length > MAX_ENTRIES
}

function failed(path: string, mishap: EngineMishap): EngineFailed {
  return { kind: 'failed', path, mishap }
}
