/**
 * What does a `health/service/:name` answer say of each instance, one by one? Pure: `unknown` JSON in, facts out. Whether
 * an instance is routed is decided by the proxy's own decoder, asked about one entry at a time, so that those that it would
 * count as one are seen apart.
 */

import { endpointId } from '../balancer/endpoint.ts'
import { isPort, normalAddress } from '../discovery/address.ts'
import {
  decodeInstances,
  type InstanceRules,
  isObject,
  type Json,
  readCheck,
  text,
} from '../discovery/consul/consul-instances.ts'
import { badness } from '../discovery/facts.ts'
import type { Oddity } from '../discovery/oddity.ts'
import { parseHostPort } from '../discovery/static-source.ts'
import { printable } from '../discovery/untrusted-text.ts'
import type { InstanceFacts, ServiceFacts } from './facts.ts'

const MAX_ID_LENGTH = 128

/**
 * @param body the answer's JSON
 * @param connectTimeoutMs how long a connect to an instance of this service may take
 * @returns null when it is no list of instances
 */
export function readInstances(
  body: unknown,
  rules: InstanceRules,
  connectTimeoutMs: number,
): Pick<ServiceFacts, 'instances' | 'untagged' | 'oddities'> | null {
  if (!Array.isArray(body)) return null
  const instances: InstanceFacts[] = []
  const oddities: Oddity[] = []
  let lacking = 0
  for (const entry of body) {
    const decoded = decodeInstances([entry], { ...rules, tag: null })
    if (decoded.kind === 'unreadable') continue
    const service = part(entry, 'Service')
    if (rules.tag !== null && !(Array.isArray(service.Tags) && service.Tags.includes(rules.tag))) {
      lacking += 1
      continue
    }
    oddities.push(...decoded.oddities)
    const [endpoint] = decoded.service.endpoints
    const [absentee] = decoded.service.absent
    // Neither: it is no instance at all, and the oddity says so.
    if (endpoint === undefined && absentee === undefined) continue
    const reason = absentee?.reason ?? null
    instances.push({
      ...placeOf(entry, service),
      standing: endpoint !== undefined ? 'routed' : isCritical(entry) ? 'critical' : 'out',
      reason,
      checks: ownChecks(entry).length,
      connectTimeoutMs,
    })
  }
  return { instances, untagged: rules.tag === null ? null : { tag: rules.tag, count: lacking }, oddities }
}

/** The same of a fixed list of `host:port`. */
export function listedInstances(places: readonly string[], connectTimeoutMs: number): readonly InstanceFacts[] {
  return places.flatMap((stated) => {
    const parsed = parseHostPort(stated)
    // The config was judged before.
    if (parsed.kind === 'malformed') return []
    const { address, port } = parsed
    const place = endpointId(address, port)
    const known = { node: '', stated, standing: 'routed', reason: null, checks: null } as const
    return [{ id: place, address, port, place, connectTimeoutMs, ...known }]
  })
}

function placeOf(
  entry: unknown,
  service: Json,
): Pick<InstanceFacts, 'id' | 'node' | 'stated' | 'address' | 'port' | 'place'> {
  const node = part(entry, 'Node')
  const written = text(service.Address) || text(node.Address)
  const stated = printable(written, MAX_ID_LENGTH)
  const address = normalAddress(written)
  const port = isPort(service.Port) ? service.Port : null
  const shown = address ?? stated
  return {
    id: printable(text(service.ID) || text(service.Service), MAX_ID_LENGTH),
    node: printable(text(node.Node), MAX_ID_LENGTH),
    stated,
    address,
    port,
    place: port === null || shown === '' ? shown : endpointId(shown, port),
  }
}

/** A check says so; maintenance, which is one to Consul, is a person's word and no illness. */
function isCritical(entry: unknown): boolean {
  const worst = Math.max(...checksOf(entry).map((check) => badness(readCheck(check, () => {}).state)))
  return worst === badness('critical')
}

function ownChecks(entry: unknown): readonly Json[] {
  return checksOf(entry).filter((check) => text(check.CheckID) !== 'serfHealth')
}

function checksOf(entry: unknown): readonly Json[] {
  const checks = isObject(entry) ? entry.Checks : null
  return Array.isArray(checks) ? checks.filter(isObject) : []
}

function part(entry: unknown, name: string): Json {
  const value = isObject(entry) ? entry[name] : null
  return isObject(value) ? value : {}
}
