/**
 * What is written to the Consul agent about this proxy, and is it still what the agent has? Pure.
 *
 * The check's settings cannot be read back (its definition comes back empty), so they are written out in its notes:
 * a person sees in Consul's pages what is checked, and we see whether it is the check that we asked for.
 */

import { printable } from '../untrusted-text.ts'
import type { RegistrationOptions } from './registration.ts'

/** Where this process listens. */
export interface ListeningAt {
  /** The data port: 1–65535. */
  readonly port: number
  /** The address or host name that the admin listener was bound to. */
  readonly adminHost: string
  readonly adminPort: number
}

/** The body of `PUT /v1/agent/service/register`, in Consul's spelling. */
export interface ServiceRecord {
  readonly ID: string
  readonly Name: string
  readonly Tags: readonly string[]
  /** Absent: the address of the agent's node. */
  readonly Address?: string
  readonly Port: number
  readonly Check: {
    readonly CheckID: string
    readonly Name: string
    readonly Notes: string
    readonly HTTP: string
    readonly Interval: string
    readonly Timeout: string
    readonly DeregisterCriticalServiceAfter: string
    /** Until the agent itself has seen that the proxy is ready, nobody is sent to it. */
    readonly Status: 'critical'
  }
}

const CHECK_TIMEOUT = '5s'

export function serviceRecord(options: RegistrationOptions, at: ListeningAt): ServiceRecord {
  const port = options.port ?? at.port
  const id = options.id ?? `${options.name}-${port}`
  const url = `${options.checkUrl?.replace(/\/+$/, '') ?? adminOrigin(at)}/readyz`
  const interval = `${options.checkIntervalMs / 1000}s`
  const deregisterAfter = `${options.deregisterAfterMs / 1000}s`
  return {
    ID: id,
    Name: options.name,
    Tags: options.tags,
    ...(options.address === null ? {} : { Address: options.address }),
    Port: port,
    Check: {
      CheckID: `${id}-ready`,
      Name: 'the proxy is ready',
      Notes: `GET ${url} every ${interval}; deregistered after ${deregisterAfter} of failures`,
      HTTP: url,
      Interval: interval,
      Timeout: CHECK_TIMEOUT,
      DeregisterCriticalServiceAfter: deregisterAfter,
      Status: 'critical',
    },
  }
}

/** As an agent on the same machine reaches the admin listener. */
function adminOrigin({ adminHost, adminPort }: ListeningAt): string {
  const host = adminHost === '0.0.0.0' ? '127.0.0.1' : adminHost === '::' ? '::1' : adminHost
  // RFC 6874: the percent sign before a zone is written as %25.
  return host.includes(':') ? `http://[${host.replace('%', '%25')}]:${adminPort}` : `http://${host}:${adminPort}`
}

/** What the agent says of the service. */
export type Found =
  /** As it was written. `failing`: what its check last said, if that is critical and has run; null otherwise. */
  | { readonly kind: 'kept'; readonly failing: string | null }
  | { readonly kind: 'gone' }
  /** Somebody has written something else under this id. */
  | { readonly kind: 'changed' }
  | { readonly kind: 'unreadable' }

/**
 * Reads an answer to `GET /v1/agent/health/service/id/:id`, which has a body for each of the statuses that mean
 * passing (200), warning (429) and critical (503). Nothing throws.
 */
export function readFound(record: ServiceRecord, status: number, text: string): Found {
  if (status === 404) return { kind: 'gone' }
  if (status !== 200 && status !== 429 && status !== 503) return { kind: 'unreadable' }
  const answer = parsed(text)
  const service = answer?.Service
  const checks = answer?.Checks
  if (!isObject(service) || !(Array.isArray(checks) || checks === null)) return { kind: 'unreadable' }
  const check: unknown = (checks ?? []).find((each: unknown) => isObject(each) && each.CheckID === record.Check.CheckID)
  const same =
    service.Service === record.Name &&
    service.Port === record.Port &&
    service.Address === (record.Address ?? '') &&
    sameTexts(service.Tags, record.Tags) &&
    isObject(check) &&
    check.Notes === record.Check.Notes
  if (!same) return { kind: 'changed' }
  const failing = check.Status === 'critical' && typeof check.Output === 'string' && check.Output !== ''
  return { kind: 'kept', failing: failing ? printable(String(check.Output).trim(), 200) : null }
}

function parsed(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text)
    return isObject(value) ? value : null
  } catch {
    return null
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}

function sameTexts(found: unknown, wanted: readonly string[]): boolean {
  const list = found ?? []
  return Array.isArray(list) && list.length === wanted.length && wanted.every((text, at) => list[at] === text)
}
