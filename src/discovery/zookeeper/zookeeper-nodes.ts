/**
 * Which endpoint does a node of ZooKeeper name? Pure: the name and the data of `<path>/<service>/<id>` in, an instance out.
 *
 * Two ways to write one are understood: the JSON of Curator's service discovery (its JsonInstanceSerializer), and a plain
 * `host:port`, which stands in the data or, where the data is empty, in the name. Whoever may write below the path chooses
 * these texts: they are bounded and made printable here, and trusted from here on.
 */

import { endpointId } from '../../balancer/endpoint.ts'
import { isPort, normalAddress } from '../address.ts'
import type { Instance } from '../etcd/etcd-entries.ts'
import { matchesAny } from '../glob.ts'
import { isNameable, type NameRules } from '../names.ts'
import { type Oddity, type OddityKind, oddity } from '../oddity.ts'
import { parseHostPort } from '../static-source.ts'
import { printable } from '../untrusted-text.ts'

export interface DecodedNode {
  readonly instance: Instance
  readonly oddities: readonly Oddity[]
}

/** Curator's record has a payload of any size; nobody puts more into it than this. */
export const MAX_DATA_BYTES = 64 * 1024
const MAX_INSTANCE_LENGTH = 128
const MAX_QUOTE_LENGTH = 64

type Json = Readonly<Record<string, unknown>>

/** Which of these nodes are services to be followed? */
export function servicesAmong(
  names: readonly string[],
  rules: NameRules,
): { readonly services: readonly string[]; readonly oddities: readonly Oddity[] } {
  const services: string[] = []
  const oddities: Oddity[] = []
  for (const name of names) {
    if (!isNameable(name)) oddities.push(oddity('bad-name', name, `${quoted(name)} cannot be routed to`))
    else if (matchesAny(rules.include, name) && !matchesAny(rules.exclude, name)) services.push(name)
  }
  return { services, oddities }
}

/** An instance of which nothing can be read. */
export function unreadableNode(name: string, reason: string): Instance {
  return { kind: 'absent', absentee: { instance: printable(name, MAX_INSTANCE_LENGTH), address: '', reason } }
}

/** Decodes one node. Never throws. */
export function decodeNode(name: string, data: Buffer): DecodedNode {
  const oddities: Oddity[] = []
  const away = (reason: string, address = ''): Instance => {
    return { kind: 'absent', absentee: { instance: printable(name, MAX_INSTANCE_LENGTH), address, reason } }
  }
  const malformed = (kind: OddityKind, reason: string): Instance => {
    oddities.push(oddity(kind, name, reason))
    return away(reason)
  }

  function decode(): Instance {
    if (data.length > MAX_DATA_BYTES) return malformed('malformed-entry', 'its data is too long')
    const text = data.toString('utf8').trim()
    if (text === '') {
      const parsed = parseHostPort(name)
      if (parsed.kind === 'parsed') return ready(parsed.address, parsed.port)
      return malformed('no-address', 'its data is empty, and its name is no host:port')
    }
    if (text.startsWith('{')) return curators(text)
    const parsed = parseHostPort(text)
    if (parsed.kind === 'parsed') return ready(parsed.address, parsed.port)
    return malformed('bad-address', `its data ${quoted(text)}: ${parsed.problem}`)
  }

  function curators(text: string): Instance {
    const record = jsonObject(text)
    if (record === null) return malformed('malformed-entry', 'its data begins like JSON and is none')
    const { address, port, sslPort, enabled } = record
    if (address === undefined || address === null || address === '') return malformed('no-address', 'has no address')
    const host = typeof address === 'string' ? normalAddress(address) : null
    if (host === null) return malformed('bad-address', `its address ${quoted(address)} is not one`)
    if (port === undefined || port === null) {
      // Said by the one who registered it: nothing is malformed, but plain HTTP is all that is spoken to endpoints.
      if (isPort(sslPort)) return away('has a port for TLS only (sslPort)', endpointId(host, sslPort))
      return malformed('bad-port', 'has no port')
    }
    if (!isPort(port)) return malformed('bad-port', `its port is ${quoted(port)}, not 1 to 65535`)
    // Curator leaves it out unless its serializer is told otherwise.
    if (enabled === false) return away('is switched off (enabled: false)', endpointId(host, port))
    if (enabled !== undefined && enabled !== true) {
      return malformed('malformed-entry', `its "enabled" is ${quoted(enabled)}, neither true nor false`)
    }
    return ready(host, port)
  }

  function ready(address: string, port: number): Instance {
    const instance = printable(name, MAX_INSTANCE_LENGTH)
    return { kind: 'ready', endpoint: { id: endpointId(address, port), instance, address, port, weight: 1 } }
  }

  return { instance: decode(), oddities }
}

function jsonObject(text: string): Json | null {
  try {
    const parsed: unknown = JSON.parse(text)
    return typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed) ? (parsed as Json) : null
  } catch {
    return null
  }
}

/** A foreign value for people to read, whatever it is. */
function quoted(value: unknown): string {
  const isPlain = typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
  return printable(JSON.stringify(isPlain ? value : typeof value), MAX_QUOTE_LENGTH)
}
