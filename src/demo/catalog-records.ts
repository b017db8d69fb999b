/** What are the records of the catalog, and what can be asked of it? The types that state, views and server share. */

import type { CheckDefinition, CheckStatus, Registration } from './registration.ts'

export interface CheckRecord {
  readonly checkId: string
  readonly serviceId: string
  readonly definition: CheckDefinition
  readonly type: 'ttl' | 'http' | 'tcp' | 'maintenance'
  readonly status: CheckStatus
  /** What the agent knows. */
  readonly output: string
  /** What the catalog was told: Consul delays a changed output by up to minutes while the status stays the same. */
  readonly syncedOutput: string
  readonly createIndex: number
  readonly modifyIndex: number
}

export interface ServiceRecord {
  readonly registration: Registration
  readonly createIndex: number
  readonly modifyIndex: number
}

export interface CatalogState {
  /** By service id, and by check id, in the order in which Consul lists them. */
  services(): ServiceRecord[]
  checks(): CheckRecord[]
  service(serviceId: string): ServiceRecord | undefined
  /** The instances of one name, ordered by id. */
  instances(name: string): ServiceRecord[]
  checksOf(serviceId: string): CheckRecord[]
  index: CatalogIndexes
  /** Throws `Refusal` when the catalog is full. */
  register(registration: Registration, replaceChecks: boolean): void
  /** An unknown id is no error, as in Consul. */
  deregister(serviceId: string): void
  /** A client's word on its TTL check, which also winds the TTL up again. Throws `Refusal` without such a check. */
  beat(checkId: string, status: CheckStatus, output: string): void
  /** The result of an HTTP or TCP check. Ignored if the check is gone or was replaced by another definition. */
  observe(checkId: string, definition: CheckDefinition, status: CheckStatus, output: string): void
  /** Throws `Refusal` for an unknown id. */
  maintain(serviceId: string, enable: boolean, reason: string): void
  /** Does everything that is due now. */
  advance(): void
  /** The clock's time at which `advance` has something to do, or null. */
  nextDueAt(): number | null
}

export interface CatalogIndexes {
  /** Registrations and deregistrations of anything. */
  readonly services: () => number
  /** Changes of any check. */
  readonly checks: () => number
  readonly node: number
  /** Of one service's instances and their checks, existing or not. */
  readonly service: (name: string) => number
}
