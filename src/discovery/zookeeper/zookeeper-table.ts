/**
 * What is known of the nodes below the path? Pure but for what it remembers. Each answer changes a part of it; a service is
 * put together again when the one who reads says so, and until then its part of the catalog is as it was.
 */

import { type Catalog, type CatalogService, sameService } from '../../balancer/endpoint.ts'
import { type Instance, serviceOf } from '../etcd/etcd-entries.ts'
import type { NameRules } from '../names.ts'
import type { Oddity } from '../oddity.ts'
import { compareText } from '../untrusted-text.ts'
import { decodeNode, servicesAmong, unreadableNode } from './zookeeper-nodes.ts'

/** Nodes that are taken, and the length of all their names. */
export const MAX_NODES = 100_000
export const MAX_NAME_CHARACTERS = 32 * 1024 * 1024

export interface ZookeeperTable {
  readonly isFull: boolean
  /** Each service has been put together since `restart`. */
  readonly isWhole: boolean
  has(service: string, id?: string): boolean
  /** Has it been put together since `restart`? */
  isCurrent(service: string): boolean
  /** No watch is left: whatever is known has to be read again, and stays known until then. */
  restart(): void
  /** These are all the children of the path. @returns the services that have to be read */
  services(names: readonly string[]): readonly string[]
  /** These are all the children of a service; it is none that is not listed. @returns the instances that have to be read */
  instances(service: string, ids: readonly string[]): readonly string[]
  /** A service is not there any more. */
  gone(service: string): void
  /** What stands in a node; null: it is not there any more. */
  instance(service: string, id: string, data: Buffer | null): void
  /** An instance may not be read; null: nor may be listed which ones there are. What is known of it stays. */
  unreadable(service: string, id: string | null, reason: string): void
  /** The instances of a service. */
  idsOf(service: string): readonly string[]
  /** Puts a service together, or all that went. @returns true if the catalog says something new */
  assemble(service: string): boolean
  /** Services ordered by name; null: there has never been all of it. */
  catalog(): Catalog | null
}

interface Service {
  readonly instances: Map<string, Node>
  known: CatalogService | null
  isCurrent: boolean
  /** Why its instances could not be listed; null: they were. */
  refusal: string | null
}

interface Node {
  instance: Instance | null
  isCurrent: boolean
}

/** @param report told what is strange in a service's nodes, each time that they are looked at; '': of no service */
export function zookeeperTable(
  rules: NameRules,
  report: (service: string, oddities: readonly Oddity[]) => void,
): ZookeeperTable {
  const services = new Map<string, Service>()
  let isListed = false
  let wasWhole = false
  let nodes = 0
  let characters = 0
  /** Services that are not in the catalog yet, or not as they are now. */
  let outdated = 0
  let hasLost = false

  function count(name: string, sign: 1 | -1): void {
    nodes += sign
    characters += sign * name.length
  }

  function drop(name: string, service: Service): void {
    services.delete(name)
    count(name, -1)
    for (const id of service.instances.keys()) count(id, -1)
    if (!service.isCurrent) outdated -= 1
    if (service.known !== null) hasLost = true
  }

  const table: ZookeeperTable = {
    get isFull() {
      return nodes > MAX_NODES || characters > MAX_NAME_CHARACTERS
    },
    get isWhole() {
      return isListed && outdated === 0
    },
    has(name, id) {
      const service = services.get(name)
      return id === undefined ? service !== undefined : service?.instances.has(id) === true
    },
    isCurrent: (name) => services.get(name)?.isCurrent ?? false,
    restart() {
      isListed = false
      outdated = services.size
      for (const service of services.values()) {
        service.isCurrent = false
        for (const node of service.instances.values()) node.isCurrent = false
      }
    },
    services(names) {
      const found = servicesAmong(names, rules)
      if (found.oddities.length > 0) report('', found.oddities)
      const listed = new Set(found.services)
      for (const [name, service] of services) if (!listed.has(name)) drop(name, service)
      const unread: string[] = []
      for (const name of listed) {
        const service = services.get(name)
        if (service === undefined) {
          services.set(name, { instances: new Map(), known: null, isCurrent: false, refusal: null })
          count(name, 1)
          outdated += 1
        }
        if (service?.isCurrent !== true) unread.push(name)
      }
      isListed = true
      return unread
    },
    instances(name, ids) {
      const service = services.get(name)
      if (service === undefined) return []
      service.refusal = null
      const listed = new Set(ids)
      for (const id of service.instances.keys()) {
        if (!listed.has(id) && service.instances.delete(id)) count(id, -1)
      }
      const unread: string[] = []
      for (const id of listed) {
        const node = service.instances.get(id)
        if (node === undefined) {
          service.instances.set(id, { instance: null, isCurrent: false })
          count(id, 1)
        }
        if (node?.isCurrent !== true) unread.push(id)
      }
      return unread
    },
    gone(name) {
      const service = services.get(name)
      if (service !== undefined) drop(name, service)
    },
    instance(name, id, data) {
      const service = services.get(name)
      const node = service?.instances.get(id)
      if (service === undefined || node === undefined) return
      if (data === null) {
        service.instances.delete(id)
        count(id, -1)
        return
      }
      const { instance, oddities } = decodeNode(id, data)
      if (oddities.length > 0) report(name, oddities)
      node.instance = instance
      node.isCurrent = true
    },
    unreadable(name, id, reason) {
      const service = services.get(name)
      if (service !== undefined && id === null) service.refusal = reason
      const node = id === null ? undefined : service?.instances.get(id)
      if (id === null || node === undefined) return
      node.instance ??= unreadableNode(id, reason)
      node.isCurrent = true
    },
    idsOf: (name) => [...(services.get(name)?.instances.keys() ?? [])],
    assemble(name) {
      const lost = hasLost
      hasLost = false
      const of = services.get(name)
      if (of === undefined) return lost
      if (!of.isCurrent) outdated -= 1
      of.isCurrent = true
      const { service, oddities } =
        of.refusal !== null && of.instances.size === 0
          ? { service: unreadService(of.refusal), oddities: [] }
          : serviceOf([...of.instances.values()].flatMap(({ instance }) => instance ?? []))
      if (oddities.length > 0) report(name, oddities)
      if (of.known !== null && sameService(of.known, service)) return lost
      of.known = service
      return true
    },
    catalog() {
      wasWhole ||= table.isWhole
      if (!wasWhole) return null
      const sorted = [...services].sort(([a], [b]) => compareText(a, b))
      return { services: new Map(sorted.flatMap(([name, { known }]) => (known === null ? [] : [[name, known]]))) }
    },
  }
  return table
}

/** Its name is known, so a client is to hear 503 and not 404, and an operator why. */
function unreadService(reason: string): CatalogService {
  return {
    endpoints: [],
    absent: [{ instance: '', address: '', reason: `could not be read: ${reason}`, unread: true }],
  }
}
