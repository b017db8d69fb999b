/** Which endpoints does the configuration itself name? A catalog that is told once and stays. */

import { setInterval } from 'node:timers/promises'
import { type Catalog, compareEndpoints, type Endpoint, endpointId } from '../balancer/endpoint.ts'
import { isPort, normalAddress } from './address.ts'
import type { CatalogSource } from './source.ts'
import { compareText } from './untrusted-text.ts'

export interface StaticOptions {
  /** Service name → `host:port` of each endpoint. */
  readonly services: Readonly<Record<string, readonly string[]>>
}

export type ParsedHostPort =
  | { readonly kind: 'parsed'; readonly address: string; readonly port: number }
  /** `problem` is one clause: what is wrong, and what is allowed. */
  | { readonly kind: 'malformed'; readonly problem: string }

/**
 * Reads `host:port`, `1.2.3.4:port` or `[v6]:port`.
 * @returns the address in its one spelling (IPv6 without brackets) and a port from 1 to 65535
 */
export function parseHostPort(text: string): ParsedHostPort {
  const malformed = (problem: string): ParsedHostPort => ({ kind: 'malformed', problem })
  const colon = text.lastIndexOf(':')
  if (colon < 0 || text.endsWith(']')) return malformed('has no port: write host:port')
  const host = text.slice(0, colon)
  const digits = text.slice(colon + 1)
  if (host.includes(':') && !host.startsWith('['))
    return malformed('IPv6 addresses need brackets: write [address]:port')
  const address = normalAddress(host)
  if (address === null) return malformed('has no usable address: write host:port, 1.2.3.4:port or [fd00::1]:port')
  const port = /^\d{1,5}$/.test(digits) ? Number(digits) : 0
  return isPort(port) ? { kind: 'parsed', address, port } : malformed('its port is not a number from 1 to 65535')
}

/**
 * A source of what the configuration names: told once, with every service in order, and confirmed from then on; an
 * endpoint that is named twice counts once. `watch` resolves when it is aborted.
 * @param confirmEveryMs how often it says that nothing changed, so that a catalog's age means the same for every source
 * @throws TypeError for a malformed `host:port`
 */
export function staticSource(options: StaticOptions, confirmEveryMs = 10_000): CatalogSource {
  const catalog = staticCatalog(options)
  return {
    async watch(listeners, signal) {
      if (signal.aborted) return
      listeners.onCatalog(catalog, { rewound: false })
      try {
        for await (const _ of setInterval(confirmEveryMs, undefined, { signal })) listeners.onFresh()
      } catch (error) {
        if (!signal.aborted) throw error
      }
    },
  }
}

function staticCatalog(options: StaticOptions): Catalog {
  const names = Object.keys(options.services).sort(compareText)
  const services = names.map((name) => [
    name,
    { endpoints: endpointsOf(options.services[name] ?? [], name), absent: [] },
  ])
  return { services: new Map(services as [string, { endpoints: Endpoint[]; absent: [] }][]) }
}

function endpointsOf(places: readonly string[], service: string): Endpoint[] {
  const endpoints = new Map<string, Endpoint>()
  for (const place of places) {
    const parsed = parseHostPort(place)
    if (parsed.kind === 'malformed') throw new TypeError(`${service}: ${JSON.stringify(place)} ${parsed.problem}`)
    const { address, port } = parsed
    const id = endpointId(address, port)
    endpoints.set(id, { id, instance: id, address, port, weight: 1 })
  }
  return [...endpoints.values()].sort(compareEndpoints)
}
