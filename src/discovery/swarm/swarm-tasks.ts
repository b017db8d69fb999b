/**
 * Which endpoints do the services and tasks of a swarm name? Pure. An endpoint is a *task's* address on the overlay network:
 * never its service's virtual IP, which is one for all replicas and would take the choice out of our hands, and never an
 * address on the ingress network, which answers nobody.
 */

import type { CatalogService } from '../../balancer/endpoint.ts'
import type { Oddity } from '../oddity.ts'
import { printable } from '../untrusted-text.ts'
import type { SwarmNode, SwarmService, SwarmTask } from './engine-answers.ts'
import { assembly, nameOf, portOf, reachedOn, type SwarmRules } from './swarm-rules.ts'

/** All of it as of one moment. */
export interface SwarmState {
  readonly services: readonly SwarmService[]
  /** Those that are to run; what is to end, or has ended, is not asked for. */
  readonly tasks: readonly SwarmTask[]
  readonly nodes: readonly SwarmNode[]
  /** Ids of tasks whose container is unhealthy, or was, as far as it is on the node that was asked. */
  readonly unhealthy: ReadonlySet<string>
  /** By `placeOf`, how the task failed that was there before. */
  readonly failures: ReadonlyMap<string, string>
}

export interface Decoded {
  readonly services: ReadonlyMap<string, CatalogService>
  readonly oddities: ReadonlyMap<string, readonly Oddity[]>
  /** Tasks that are to run and do not yet. */
  readonly unsettled: readonly SwarmTask[]
}

const MAX_ERROR_LENGTH = 200

/** Which of a service's places a task fills, in the course of time one after the other. */
export function placeOf({ service, slot, node }: SwarmTask): string {
  return `${service}.${slot ?? node}`
}

/** Never throws. */
export function decodeSwarm(state: SwarmState, rules: SwarmRules): Decoded {
  const all = assembly(rules)
  const nodes = new Map(state.nodes.map((node) => [node.id, node]))
  const routed = new Map<string, { readonly service: SwarmService; readonly name: string }>()
  for (const service of state.services) {
    const port = portOf(service.labels, rules.label)
    if (port.kind === 'none') continue
    const name = nameOf(service.labels, service.name)
    if (!all.service(name)) continue
    routed.set(service.id, { service, name })
    if (port.kind === 'bad') all.note(name, 'bad-port', service.name, `no task of it can be used: ${port.reason}`)
  }

  const unsettled: SwarmTask[] = []
  for (const task of state.tasks) {
    const { service, name } = routed.get(task.service) ?? {}
    if (service === undefined || name === undefined || !WANTED.has(task.desired)) continue
    if (task.state !== 'running') unsettled.push(task)
    const at = reachedOn(task.networks, rules.network, 'overlay')
    // As `docker ps` has it.
    const instance = `${service.name}.${task.slot ?? task.node}.${task.id}`
    const port = portOf(service.labels, rules.label)
    // A task that is not placed yet has no networks, and that is not what keeps it away.
    all.instance(name, instance, at, port, taskTrouble(task, state) ?? nodeTrouble(task, nodes))
  }
  return { ...all.done(), unsettled }
}

/** `ready` is for a task that takes another's place, and waits until that has ended, or for a while after it failed. */
const WANTED = new Set(['running', 'ready', 'accepted'])

function taskTrouble(task: SwarmTask, { unhealthy, failures }: SwarmState): string | null {
  if (task.state === 'running' && task.desired === 'running') {
    return unhealthy.has(task.id) ? 'its container is unhealthy' : null
  }
  const error = task.error === '' ? '' : `: ${printable(task.error, MAX_ERROR_LENGTH)}`
  const before = failures.get(placeOf(task))
  const earlier = before === undefined ? '' : ` (the one before it failed: ${printable(before, MAX_ERROR_LENGTH)})`
  return `its task is ${printable(task.state, 20) || 'in no state'}${error}${earlier}`
}

/**
 * As Swarm's own orchestrator judges (manager/orchestrator/task.go, InvalidNode): a node that is `unknown`, as all are for a
 * while after the managers' leader has changed, is as good as before.
 */
function nodeTrouble(task: SwarmTask, nodes: ReadonlyMap<string, SwarmNode>): string | null {
  const node = nodes.get(task.node)
  if (node === undefined) return 'its node is no part of the swarm'
  if (node.state === 'down') return 'its node is down'
  return node.availability === 'drain' ? 'its node is drained' : null
}
