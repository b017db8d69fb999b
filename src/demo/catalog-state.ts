/**
 * What does the catalog know, and when did each part of it change? Pure state: services and checks of the one node,
 * the modify indexes that blocking queries wait for, and what falls due with time (a TTL that runs out, a service that
 * was critical for too long). The clock is injected; whoever owns the state calls `advance` when `nextDueAt` comes.
 *
 * Indexes follow Consul 1.8 as it was observed: every change takes the next index; a service's own index moves with its
 * registration and with its checks, and with nothing else; a name that does not exist has the index of the last time
 * that some service lost its last instance, or, until that happens once, the index of the newest registration.
 */

import type { CatalogState, CheckRecord, ServiceRecord } from './catalog-records.ts'
import { Refusal } from './refusal.ts'
import type { CheckDefinition, CheckStatus, Registration } from './registration.ts'

export interface CatalogStateOptions {
  /** Milliseconds of a clock that never runs backwards. */
  readonly now: () => number
  readonly maxServices: number
  readonly observer?: CatalogObserver
}

/** Who runs the checks and the clock. */
export interface CatalogObserver {
  /** There is an HTTP or TCP check to run; it takes the place of an earlier one with the same id. */
  checkStarted(check: CheckRecord): void
  checkStopped(checkId: string): void
  /** Something is due at this time of the clock, perhaps sooner than anything before. */
  deadline(at: number): void
}

/** The indexes at which a Consul server has written its own node and service: what exists before anybody registers. */
export const firstIndex = 11
export const nodeIndex = 12
/** The service that every Consul server registers for itself; it exists without any registration. */
export const ownService = 'consul'
const maintenancePrefix = '_service_maintenance:'
const defaultReason =
  'Maintenance mode is enabled for this service, but no reason was provided. This is a default message.'
const maintenanceProbe = { kind: 'ttl', ttlMs: Number.POSITIVE_INFINITY } as const

/** An empty catalog. */
export function createCatalogState({ now, maxServices, observer }: CatalogStateOptions): CatalogState {
  const services = new Map<string, ServiceRecord>()
  const checks = new Map<string, CheckRecord>()
  const checkIdsOf = new Map<string, Set<string>>()
  const idsOf = new Map<string, Set<string>>()
  /** When a TTL check runs out, and when a critical check takes its service with it. By check id. */
  const expiresAt = new Map<string, number>()
  const reapAt = new Map<string, number>()
  const serviceIndexes = new Map<string, number>()
  let lastIndex = nodeIndex
  let servicesIndex = firstIndex
  let checksIndex = firstIndex
  let extinctionIndex: number | null = null

  function absentIndex(): number {
    return extinctionIndex ?? Math.max(servicesIndex, checksIndex, nodeIndex)
  }

  function touchChecks(name: string, index: number): void {
    checksIndex = index
    if (idsOf.has(name)) serviceIndexes.set(name, index)
  }

  function addMember(map: Map<string, Set<string>>, key: string, member: string): void {
    const members = map.get(key)
    if (members === undefined) map.set(key, new Set([member]))
    else members.add(member)
  }

  function dropMember(map: Map<string, Set<string>>, key: string, member: string): void {
    const members = map.get(key)
    if (members?.delete(member) && members.size === 0) map.delete(key)
  }

  function nameOf(serviceId: string): string {
    return services.get(serviceId)?.registration.name ?? ''
  }

  function arm(check: CheckRecord, was: CheckStatus | null): void {
    const { probe, deregisterAfterMs } = check.definition
    if (check.type === 'ttl' && probe.kind === 'ttl') due(expiresAt, check.checkId, probe.ttlMs)
    else expiresAt.delete(check.checkId)
    if (check.status !== 'critical' || deregisterAfterMs === 0) reapAt.delete(check.checkId)
    else if (was !== 'critical' || !reapAt.has(check.checkId)) due(reapAt, check.checkId, deregisterAfterMs)
  }

  function due(deadlines: Map<string, number>, checkId: string, inMs: number): void {
    const at = now() + inMs
    deadlines.set(checkId, at)
    observer?.deadline(at)
  }

  function removeCheck(check: CheckRecord, index: number): void {
    checks.delete(check.checkId)
    expiresAt.delete(check.checkId)
    reapAt.delete(check.checkId)
    observer?.checkStopped(check.checkId)
    dropMember(checkIdsOf, check.serviceId, check.checkId)
    touchChecks(nameOf(check.serviceId), index)
  }

  function putCheck(serviceId: string, checkId: string, definition: CheckDefinition, index: number): void {
    const previous = checks.get(checkId)
    // A check id is unique on the node: registering it for another service takes it away from the first.
    if (previous !== undefined && previous.serviceId !== serviceId) removeCheck(previous, index)
    // Registering again must not make a healthy instance look critical until its next beat.
    const kept = previous?.serviceId === serviceId ? previous : null
    const check: CheckRecord = {
      checkId,
      serviceId,
      definition,
      type: checkId.startsWith(maintenancePrefix) ? 'maintenance' : definition.probe.kind,
      status: kept?.status ?? definition.status,
      output: kept?.output ?? '',
      syncedOutput: kept?.syncedOutput ?? '',
      createIndex: kept?.createIndex ?? index,
      modifyIndex: kept !== null && sameShown(kept.definition, definition) ? kept.modifyIndex : index,
    }
    checks.set(checkId, check)
    addMember(checkIdsOf, serviceId, checkId)
    if (check.type === 'http' || check.type === 'tcp') observer?.checkStarted(check)
    else observer?.checkStopped(checkId)
    arm(check, kept?.status ?? null)
    if (check.modifyIndex === index) touchChecks(nameOf(serviceId), index)
    else checksIndex = index
  }

  function setStatus(check: CheckRecord, status: CheckStatus, output: string): void {
    const changed = check.status !== status
    const index = changed ? ++lastIndex : check.modifyIndex
    const syncedOutput = changed ? output : check.syncedOutput
    const next = { ...check, status, output, syncedOutput, modifyIndex: index }
    checks.set(check.checkId, next)
    arm(next, check.status)
    if (changed) touchChecks(nameOf(check.serviceId), index)
  }

  function unlist(name: string, id: string, index: number): void {
    dropMember(idsOf, name, id)
    if (idsOf.has(name) || name === ownService) serviceIndexes.set(name, index)
    else {
      serviceIndexes.delete(name)
      extinctionIndex = index
    }
  }

  function deregister(serviceId: string): void {
    const service = services.get(serviceId)
    if (service === undefined) return
    const index = ++lastIndex
    for (const check of checksOf(serviceId)) removeCheck(check, index)
    services.delete(serviceId)
    servicesIndex = index
    unlist(service.registration.name, serviceId, index)
  }

  function register(registration: Registration, replaceChecks: boolean): void {
    const { id, name } = registration
    const previous = services.get(id)
    if (previous === undefined && services.size >= maxServices) {
      throw new Refusal(
        429,
        `the demo's catalog is full: ${maxServices} services are registered, deregister some first`,
      )
    }
    const index = ++lastIndex
    const changed = previous === undefined || !sameRegistration(previous.registration, registration)
    services.set(id, {
      registration,
      createIndex: previous?.createIndex ?? index,
      modifyIndex: changed ? index : previous.modifyIndex,
    })
    // Consul itself leaves the old name's index alone here, so that a query waiting on it sleeps on; that helps nobody.
    if (previous !== undefined && previous.registration.name !== name) unlist(previous.registration.name, id, index)
    addMember(idsOf, name, id)
    if (changed) {
      servicesIndex = index
      serviceIndexes.set(name, index)
      // Checks show the name and the tags of their service.
      if (checkIdsOf.has(id)) checksIndex = index
    }
    const wanted = new Map(registration.checks.map((check, at, all) => [checkIdFor(id, check, at, all.length), check]))
    for (const check of replaceChecks ? checksOf(id) : []) if (!wanted.has(check.checkId)) removeCheck(check, index)
    for (const [checkId, check] of wanted) putCheck(id, checkId, check, index)
  }

  function checksOf(serviceId: string): CheckRecord[] {
    const found: CheckRecord[] = []
    for (const checkId of checkIdsOf.get(serviceId) ?? []) {
      const check = checks.get(checkId)
      if (check !== undefined) found.push(check)
    }
    return found.sort(by((check) => check.checkId))
  }

  return {
    services: () => [...services.values()].sort(by((service) => service.registration.id)),
    checks: () => [...checks.values()].sort(by((check) => check.checkId)),
    checksOf,
    service: (serviceId) => services.get(serviceId),
    instances(name) {
      const found: ServiceRecord[] = []
      for (const id of idsOf.get(name) ?? []) {
        const service = services.get(id)
        if (service !== undefined) found.push(service)
      }
      return found.sort(by((service) => service.registration.id))
    },
    index: {
      services: () => servicesIndex,
      checks: () => checksIndex,
      node: nodeIndex,
      service: (name) => serviceIndexes.get(name) ?? (name === ownService ? firstIndex : absentIndex()),
    },
    register,
    deregister,
    beat(checkId, status, output) {
      const check = checks.get(checkId)
      if (check?.type !== 'ttl') throw new Refusal(500, `CheckID "${checkId}" does not have associated TTL`)
      setStatus(check, status, output)
    },
    observe(checkId, definition, status, output) {
      const check = checks.get(checkId)
      if (check?.definition === definition) setStatus(check, status, output)
    },
    maintain(serviceId, enable, reason) {
      if (!services.has(serviceId)) throw new Refusal(404, `No service registered with ID "${serviceId}"`)
      const checkId = maintenancePrefix + serviceId
      const existing = checks.get(checkId)
      if (!enable && existing !== undefined) removeCheck(existing, ++lastIndex)
      if (!enable || existing !== undefined) return
      const notes = reason === '' ? defaultReason : reason
      const name = 'Service Maintenance Mode'
      const definition = {
        checkId,
        name,
        notes,
        status: 'critical',
        probe: maintenanceProbe,
        deregisterAfterMs: 0,
      } as const
      putCheck(serviceId, checkId, definition, ++lastIndex)
    },
    advance() {
      const time = now()
      for (const [checkId, at] of [...expiresAt]) {
        const check = checks.get(checkId)
        if (at > time || check === undefined) continue
        setStatus(check, 'critical', 'TTL expired')
        expiresAt.delete(checkId)
      }
      for (const [checkId, at] of [...reapAt]) {
        const check = checks.get(checkId)
        if (at <= time && check !== undefined) deregister(check.serviceId)
      }
    },
    nextDueAt() {
      let next: number | null = null
      for (const at of expiresAt.values()) if (next === null || at < next) next = at
      for (const at of reapAt.values()) if (next === null || at < next) next = at
      return next
    },
  }
}

function checkIdFor(serviceId: string, check: CheckDefinition, at: number, count: number): string {
  if (check.checkId !== '') return check.checkId
  return count > 1 ? `service:${serviceId}:${at + 1}` : `service:${serviceId}`
}

/** Equal in what the catalog shows of a check; how it is run is the agent's own business. */
function sameShown(a: CheckDefinition, b: CheckDefinition): boolean {
  return a.name === b.name && a.notes === b.notes && a.probe.kind === b.probe.kind
}

function sameRegistration(a: Registration, b: Registration): boolean {
  const shown = ({ checks, ...rest }: Registration) => JSON.stringify(rest)
  return shown(a) === shown(b)
}

function by<T>(key: (item: T) => string): (a: T, b: T) => number {
  return (a, b) => (key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : 0)
}
