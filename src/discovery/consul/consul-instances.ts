/**
 * Where can requests for a service go, according to a `health/service/:name` answer? Pure: `unknown` JSON in, endpoints
 * and absentees out.
 *
 * An instance is as healthy as the worst check of its service and of its node, maintenance being the worst of all, as
 * in Consul's own `HealthChecks.AggregatedStatus`. Whoever may register a service chooses these texts: they are bounded
 * and made printable here, and trusted from here on.
 */

import {
  type AbsentInstance,
  type CatalogService,
  compareEndpoints,
  type Endpoint,
  endpointId,
} from '../../balancer/endpoint.ts'
import { isPort, normalAddress } from '../address.ts'
import { bothClaims, readClaims } from '../fabio-tags.ts'
import { badness, type CheckState } from '../facts.ts'
import { type Oddity, type OddityKind, oddity } from '../oddity.ts'
import { compareText, printable } from '../untrusted-text.ts'

export interface InstanceRules {
  /** Only instances with this tag; null: all. */
  readonly tag: string | null
  /** True: an instance whose worst check is `warning` stays in rotation, at its warning weight. */
  readonly includeWarning: boolean
  /** True: tags in fabio's way are read (fabio-tags.ts). Absent: they are not. */
  readonly fabioTags?: boolean
}

export type DecodedInstances =
  | { readonly kind: 'instances'; readonly service: CatalogService; readonly oddities: readonly Oddity[] }
  | { readonly kind: 'unreadable'; readonly message: string }

const MAX_INSTANCE_LENGTH = 128
const MAX_ADDRESS_LENGTH = 64
const MAX_CHECK_LENGTH = 64
const MAX_WEIGHT = 65_535

export type Json = Readonly<Record<string, unknown>>
type Note = (kind: OddityKind, text: string) => void

/** One instance, judged by itself. */
type Instance =
  | { readonly kind: 'ready'; readonly endpoint: Endpoint; readonly node: string }
  | { readonly kind: 'absent'; readonly absentee: AbsentInstance }

/**
 * Decodes an answer. Every instance in it ends up either as (part of) an endpoint or among `absent` with a reason;
 * entries that are no instances at all, and whatever else is strange, are told in `oddities`. Never throws; the result
 * does not depend on the order of the entries.
 * @param body the answer's JSON: an array of `{ Node, Service, Checks }`. Anything else is `unreadable`.
 */
export function decodeInstances(body: unknown, rules: InstanceRules): DecodedInstances {
  if (!Array.isArray(body)) return { kind: 'unreadable', message: 'the list of instances is not an array' }
  const ready: (Instance & { kind: 'ready' })[] = []
  const absent: AbsentInstance[] = []
  const oddities: Oddity[] = []
  for (const entry of body) {
    const instance = decodeEntry(entry, rules, oddities)
    if (instance?.kind === 'ready') ready.push(instance)
    else if (instance !== null) absent.push(instance.absentee)
  }
  const endpoints = mergeByAddress(ready, absent, oddities)
  return {
    kind: 'instances',
    service: { endpoints: endpoints.sort(compareEndpoints), absent: absent.sort(compareAbsent) },
    oddities: oddities.sort((a, b) => compareText(a.subject, b.subject) || compareText(a.text, b.text)),
  }
}

function decodeEntry(entry: unknown, rules: InstanceRules, oddities: Oddity[]): Instance | null {
  const service = isObject(entry) ? entry.Service : null
  if (!isObject(entry) || !isObject(service)) {
    oddities.push(oddity('malformed-entry', '', 'an entry of the answer is no instance and was skipped'))
    return null
  }
  const { id, instance, node, stated, address, port, place } = identityOf(entry, service)
  const note: Note = (kind, words) => void oddities.push(oddity(kind, id, words))
  // One that lacks the tag that is wanted is not routed to in any way.
  const hasClaims = rules.fabioTags === true && !lacksTag(service, rules)
  const claims = hasClaims ? readClaims(service.Tags, instance, oddities) : {}
  const away = (reason: string, agentLost = false): Instance => {
    const lost = agentLost ? { agentLost } : {}
    return { kind: 'absent', absentee: { instance, address: place, reason, ...lost, ...claims } }
  }

  if (stated === '') {
    note('no-address', 'neither the instance nor its node has an address')
    return away('has no address')
  }
  if (address === null) {
    note('bad-address', `${quoted(stated)} is not an address`)
    return away('its address is not one')
  }
  if (!isPort(port)) {
    note('bad-port', port === 0 || port === undefined ? 'has no port' : `its port is ${quoted(port)}, not 1 to 65535`)
    return away(port === 0 || port === undefined ? 'has no port' : 'its port is not one')
  }
  if (lacksTag(service, rules)) {
    return away(`lacks the tag ${quoted(rules.tag)}`)
  }
  const health = worstOf(entry.Checks, note)
  if (health.state === 'out' || (health.state === 'warning' && !rules.includeWarning))
    return away(health.reason, health.state === 'out' && health.agentLost)
  const weight = weightOf(service.Weights, health.state === 'warning' ? 'Warning' : 'Passing', note)
  if (weight === 0)
    return away(health.state === 'warning' ? `${health.reason} and its warning weight is 0` : 'its weight is 0')
  const endpoint = { id: endpointId(address, port), instance, address, port, weight, ...claims }
  return { kind: 'ready', endpoint, node }
}

/** Who and where an entry of the answer says that it is. */
export interface Identity {
  readonly id: string
  /** The id, printable. */
  readonly instance: string
  readonly node: string
  /** The address as it stands there, its node's if it has none. */
  readonly stated: string
  /** In its one spelling; null: it is none. */
  readonly address: string | null
  readonly port: unknown
  /** `address:port` as far as it is known, printable. */
  readonly place: string
}

export function identityOf(entry: Json, service: Json): Identity {
  const id = text(service.ID) || text(service.Service)
  const node = isObject(entry.Node) ? entry.Node : {}
  const stated = text(service.Address) || text(node.Address)
  const address = normalAddress(stated)
  const { Port: port } = service
  const place = placeOf(address ?? printable(stated, MAX_ADDRESS_LENGTH), port)
  return { id, instance: printable(id, MAX_INSTANCE_LENGTH), node: text(node.Node), stated, address, port, place }
}

/** True when only instances with a tag are wanted, and this is none. */
export function lacksTag(service: Json, { tag }: InstanceRules): boolean {
  return tag !== null && !(Array.isArray(service.Tags) && service.Tags.includes(tag))
}

type Health =
  | { readonly state: 'passing' }
  | { readonly state: 'warning'; readonly reason: string }
  | { readonly state: 'out'; readonly reason: string; readonly agentLost: boolean }

function worstOf(checks: unknown, note: Note): Health {
  // An instance without any check is passing; Consul then says null or an empty list.
  if (checks === null || checks === undefined) return { state: 'passing' }
  if (!Array.isArray(checks)) {
    note('malformed-check', 'its checks are not a list: it counts as critical')
    return { state: 'out', reason: 'its checks cannot be read', agentLost: false }
  }
  let worst: CheckState = 'passing'
  let names: string[] = []
  let agentLost = true
  for (const check of checks) {
    const { state, name, ofAgent } = readCheck(check, note)
    const order = badness(state) - badness(worst)
    if (order < 0) continue
    if (order > 0) {
      names = []
      agentLost = true
    }
    names.push(name)
    agentLost &&= ofAgent
    worst = state
  }
  switch (worst) {
    case 'passing':
      return { state: 'passing' }
    case 'warning':
      return { state: 'warning', reason: clause(names, 'warning') }
    case 'critical':
      return { state: 'out', reason: clause(names, 'critical'), agentLost }
    case 'service-maintenance':
      return { state: 'out', reason: 'in maintenance mode', agentLost: false }
    case 'node-maintenance':
      return { state: 'out', reason: 'its node is in maintenance mode', agentLost: false }
    default:
      return worst satisfies never
  }
}

interface Check {
  readonly state: CheckState
  readonly name: string
  /** It is the node's own check, that its agent is alive. */
  readonly ofAgent: boolean
}

/** What a check counts for. */
export function readCheck(check: unknown, note: Note): Check {
  if (!isObject(check)) {
    note('malformed-check', 'one of its checks cannot be read: it counts as critical')
    return { state: 'critical', name: 'unreadable', ofAgent: false }
  }
  const id = text(check.CheckID)
  const name = text(check.Name) || id || 'unnamed'
  const ofAgent = id === 'serfHealth'
  if (id === '_node_maintenance') return { state: 'node-maintenance', name, ofAgent }
  if (id.startsWith('_service_maintenance:')) return { state: 'service-maintenance', name, ofAgent }
  const { Status: status } = check
  if (status === 'passing' || status === 'warning' || status === 'critical') return { state: status, name, ofAgent }
  note('malformed-check', `its check ${quoted(name)} is ${quoted(status)}: it counts as critical`)
  return { state: 'critical', name, ofAgent }
}

/** `check "a" is critical`; of several the first by name, so that the words do not depend on their order. */
function clause(names: readonly string[], state: string): string {
  const [first = 'unnamed', ...others] = [...names].sort(compareText)
  const more = others.length === 0 ? 'is' : `and ${others.length} more are`
  return `check "${printable(first, MAX_CHECK_LENGTH)}" ${more} ${state}`
}

function weightOf(weights: unknown, which: 'Passing' | 'Warning', note: Note): number {
  // Absent in answers of servers before Consul 1.2.3, and then it means 1.
  if (weights === null || weights === undefined) return 1
  const weight = isObject(weights) ? weights[which] : weights
  if (weight === undefined) return 1
  if (typeof weight === 'number' && Number.isInteger(weight) && weight >= 0 && weight <= MAX_WEIGHT) return weight
  const used =
    typeof weight === 'number' && !Number.isNaN(weight) ? Math.min(MAX_WEIGHT, Math.max(1, Math.trunc(weight))) : 1
  note('bad-weight', `its weight is ${quoted(weight)}: taken for ${used}`)
  return used
}

/** One endpoint for each address and port. Of several instances the one with the first id stands for it. */
function mergeByAddress(
  ready: readonly (Instance & { kind: 'ready' })[],
  absent: AbsentInstance[],
  oddities: Oddity[],
): Endpoint[] {
  const inOrder = [...ready].sort(
    (a, b) =>
      compareText(a.endpoint.instance, b.endpoint.instance) ||
      compareText(a.node, b.node) ||
      a.endpoint.weight - b.endpoint.weight,
  )
  const places = new Map<string, Endpoint>()
  const share = (absentee: AbsentInstance, holder: string, reason: string) =>
    oddities.push(oddity('shared-address', absentee.instance, `${reason}: ${absentee.address}, also of "${holder}"`))
  for (const { endpoint } of inOrder) {
    const holder = places.get(endpoint.id)
    if (holder === undefined) {
      places.set(endpoint.id, endpoint)
      continue
    }
    const { instance, id } = endpoint
    if (endpoint.claims !== undefined) {
      places.set(id, { ...holder, claims: bothClaims(holder.claims ?? [], endpoint.claims) })
    }
    const absentee = { instance, address: id, reason: `same address and port as "${holder.instance}"` }
    share(absentee, holder.instance, 'counted once')
    absent.push(absentee)
  }
  for (const absentee of absent) {
    const holder = places.get(absentee.address)
    if (holder !== undefined && !absentee.reason.startsWith('same address')) {
      share(absentee, holder.instance, 'its address stays in rotation')
    }
  }
  return [...places.values()]
}

function compareAbsent(a: AbsentInstance, b: AbsentInstance): number {
  return compareText(a.address, b.address) || compareText(a.instance, b.instance) || compareText(a.reason, b.reason)
}

function placeOf(address: string, port: unknown): string {
  return isPort(port) && address !== '' ? endpointId(address, port) : address
}

export function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function text(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

/** A foreign value for people to read, whatever it is. */
function quoted(value: unknown): string {
  const words =
    typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? value : typeof value
  return printable(JSON.stringify(words), MAX_CHECK_LENGTH)
}
