/** Who answers questions of DNS? */

import { getServers } from 'node:dns'
import { isIP } from 'node:net'

export interface Resolver {
  /** An IP address. */
  readonly address: string
  readonly port: number
}

const DNS_PORT = 53

/** `1.2.3.4`, `1.2.3.4:53`, `fd00::1` or `[fd00::1]:53`; null: it is none. */
export function parseResolver(text: string): Resolver | null {
  if (isIP(text) !== 0) return { address: text, port: DNS_PORT }
  const [, v6, v4, digits = ''] = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text) ?? []
  const address = v6 ?? v4 ?? ''
  const port = Number(digits)
  if (isIP(address) !== (v6 === undefined ? 4 : 6) || port < 1 || port > 65_535) return null
  return { address, port }
}

/** Those of the system, as they were when the process started. */
export function systemResolvers(): readonly Resolver[] {
  return getServers().flatMap((text) => parseResolver(text) ?? [])
}
