/**
 * How does Consul write what the catalog knows? Pure functions from the state to the JSON of each answer, with the
 * field names, and the odd nulls and empty objects, of Consul 1.8, because clients have come to depend on them.
 */

import type { CatalogState, CheckRecord, ServiceRecord } from './catalog-records.ts'
import { firstIndex, nodeIndex, ownService } from './catalog-state.ts'
import type { CheckStatus, Registration } from './registration.ts'

/** Who the one node of this catalog says it is. */
export const node = {
  id: '6e0f7c1a-5b1d-4a53-9d0e-65766e6b6565',
  name: 'evenkeel-demo',
  address: '127.0.0.1',
  datacenter: 'dc1',
  leader: '127.0.0.1:8300',
  version: '1.8.7',
} as const

const addresses = { lan: node.address, lan_ipv4: node.address, wan: node.address, wan_ipv4: node.address }
const nodeMeta = { 'consul-network-segment': '' }
const indexes = { CreateIndex: firstIndex, ModifyIndex: nodeIndex }
const nodeJson = {
  ID: node.id,
  Node: node.name,
  Address: node.address,
  Datacenter: node.datacenter,
  TaggedAddresses: addresses,
  Meta: nodeMeta,
  ...indexes,
}
const nodeCheck = {
  Node: node.name,
  CheckID: 'serfHealth',
  Name: 'Serf Health Status',
  Status: 'passing',
  Notes: '',
  Output: 'Agent alive and reachable',
  ServiceID: '',
  ServiceName: '',
  ServiceTags: [] as string[],
  Type: '',
  Definition: {},
  CreateIndex: firstIndex,
  ModifyIndex: firstIndex,
}
const ownRecord: ServiceRecord = {
  registration: {
    id: ownService,
    name: ownService,
    tags: [],
    address: '',
    taggedAddresses: {},
    port: 8300,
    meta: { version: node.version },
    weights: { Passing: 1, Warning: 1 },
    enableTagOverride: false,
    checks: [],
  },
  createIndex: firstIndex,
  modifyIndex: firstIndex,
}

export interface HealthFilter {
  readonly passingOnly: boolean
  readonly tags: readonly string[]
}

/** `/v1/catalog/services`: every name with the tags that its instances have between them. */
export function catalogServices(state: CatalogState): Record<string, string[]> {
  const tagsOf = new Map<string, Set<string>>([[ownService, new Set()]])
  for (const { registration } of state.services()) {
    const tags = tagsOf.get(registration.name) ?? new Set()
    for (const tag of registration.tags) tags.add(tag)
    tagsOf.set(registration.name, tags)
  }
  const names = [...tagsOf.keys()].sort()
  return Object.fromEntries(names.map((name) => [name, [...(tagsOf.get(name) ?? [])]]))
}

/** `/v1/catalog/service/:name` */
export function catalogService(state: CatalogState, name: string, tags: readonly string[]): unknown[] {
  return instancesOf(state, name, tags).map((service) => {
    const { registration } = service
    return {
      ID: node.id,
      Node: node.name,
      Address: node.address,
      Datacenter: node.datacenter,
      TaggedAddresses: addresses,
      NodeMeta: nodeMeta,
      ServiceKind: '',
      ServiceID: registration.id,
      ServiceName: registration.name,
      ServiceTags: registration.tags,
      ServiceAddress: registration.address,
      ...(hasTagged(registration) && { ServiceTaggedAddresses: registration.taggedAddresses }),
      ServiceWeights: registration.weights,
      ServiceMeta: registration.meta,
      ServicePort: registration.port,
      ServiceEnableTagOverride: registration.enableTagOverride,
      ServiceProxy: { MeshGateway: {}, Expose: {} },
      ServiceConnect: {},
      CreateIndex: service.createIndex,
      ModifyIndex: service.modifyIndex,
    }
  })
}

/** `/v1/catalog/nodes` */
export function catalogNodes(): unknown[] {
  return [nodeJson]
}

/** `/v1/health/service/:name` */
export function healthService(state: CatalogState, name: string, filter: HealthFilter): unknown[] {
  const answers: unknown[] = []
  for (const service of instancesOf(state, name, filter.tags)) {
    const checks = state.checksOf(service.registration.id)
    if (filter.passingOnly && checks.some((check) => check.status !== 'passing')) continue
    answers.push({
      Node: nodeJson,
      Service: healthServiceJson(service),
      Checks: [nodeCheck, ...checks.map((check) => catalogCheck(check, service.registration))],
    })
  }
  return answers
}

/** `/v1/health/state/:state`, where `any` is every state. */
export function healthState(state: CatalogState, wanted: string): unknown[] {
  const all = wanted === 'any'
  const own = all || wanted === nodeCheck.Status ? [nodeCheck] : []
  return [...own, ...checksWhere(state, (check) => all || check.status === wanted)]
}

/** `/v1/health/checks/:name` */
export function healthChecks(state: CatalogState, name: string): unknown[] {
  return checksWhere(state, (_, registration) => registration.name === name)
}

/** `/v1/agent/services` */
export function agentServices(state: CatalogState): Record<string, unknown> {
  return Object.fromEntries(
    state.services().map(({ registration }) => [
      registration.id,
      {
        ID: registration.id,
        Service: registration.name,
        Tags: registration.tags,
        Meta: registration.meta,
        Port: registration.port,
        Address: registration.address,
        ...(hasTagged(registration) && { TaggedAddresses: registration.taggedAddresses }),
        Weights: registration.weights,
        EnableTagOverride: registration.enableTagOverride,
      },
    ]),
  )
}

/** `/v1/agent/checks` */
export function agentChecks(state: CatalogState): Record<string, unknown> {
  const entries: [string, unknown][] = []
  for (const check of state.checks()) {
    const service = state.service(check.serviceId)
    if (service === undefined) continue
    // The agent's own list knows the newest output but no indexes: those are the servers' business.
    const shown = { ...catalogCheck(check, service.registration), Output: check.output }
    entries.push([check.checkId, { ...shown, CreateIndex: 0, ModifyIndex: 0 }])
  }
  return Object.fromEntries(entries)
}

/** `/v1/agent/self`, as much of it as clients look at. */
export function agentSelf(): unknown {
  return {
    Config: {
      Datacenter: node.datacenter,
      NodeName: node.name,
      NodeID: node.id,
      Revision: '',
      Server: true,
      Version: node.version,
    },
    DebugConfig: { Datacenter: node.datacenter, DevMode: true, NodeName: node.name, Version: node.version },
    Coord: { Vec: [0, 0, 0, 0, 0, 0, 0, 0], Error: 1.5, Adjustment: 0, Height: 0.00001 },
    Member: {
      Name: node.name,
      Addr: node.address,
      Port: 8301,
      Tags: { build: `${node.version}:evenkeel-demo`, dc: node.datacenter, id: node.id, role: 'consul' },
      Status: 1,
    },
    Stats: { agent: {}, build: { version: node.version }, consul: { leader: 'true', server: 'true' } },
    Meta: nodeMeta,
  }
}

function instancesOf(state: CatalogState, name: string, tags: readonly string[]): ServiceRecord[] {
  const registered = state.instances(name)
  const own = name === ownService && registered.every(({ registration }) => registration.id !== ownService)
  const wanted = tags.map((tag) => tag.toLowerCase())
  return (own ? [ownRecord, ...registered] : registered).filter(({ registration }) => {
    const has = new Set(registration.tags.map((tag) => tag.toLowerCase()))
    return wanted.every((tag) => has.has(tag))
  })
}

function healthServiceJson({ registration, createIndex, modifyIndex }: ServiceRecord): unknown {
  return {
    ID: registration.id,
    Service: registration.name,
    Tags: registration.tags,
    Address: registration.address,
    ...(hasTagged(registration) && { TaggedAddresses: registration.taggedAddresses }),
    Meta: Object.keys(registration.meta).length === 0 ? null : registration.meta,
    Port: registration.port,
    Weights: registration.weights,
    EnableTagOverride: registration.enableTagOverride,
    Proxy: { MeshGateway: {}, Expose: {} },
    Connect: {},
    CreateIndex: createIndex,
    ModifyIndex: modifyIndex,
  }
}

function catalogCheck(check: CheckRecord, service: Registration) {
  return {
    Node: node.name,
    CheckID: check.checkId,
    Name: check.definition.name,
    Status: check.status satisfies CheckStatus,
    Notes: check.definition.notes,
    Output: check.syncedOutput,
    ServiceID: service.id,
    ServiceName: service.name,
    ServiceTags: service.tags,
    Type: check.type,
    Definition: {},
    CreateIndex: check.createIndex,
    ModifyIndex: check.modifyIndex,
  }
}

function checksWhere(
  state: CatalogState,
  wanted: (check: CheckRecord, registration: Registration) => boolean,
): unknown[] {
  const found: unknown[] = []
  for (const check of state.checks()) {
    const service = state.service(check.serviceId)
    if (service !== undefined && wanted(check, service.registration)) {
      found.push(catalogCheck(check, service.registration))
    }
  }
  return found
}

function hasTagged(registration: Registration): boolean {
  return Object.keys(registration.taggedAddresses).length > 0
}
