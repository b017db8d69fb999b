/**
 * How is a catalog written down, so that a later process can start from it? Pure: a catalog to text and back.
 *
 * The text is JSON with a line for each service, for people to read, search and mend. It is not trusted when it comes
 * back: whatever decides where requests go (structure, names, addresses, ports, weights) must be sound in every place or
 * all of it is refused, since half a catalog would be taken for the whole; texts that are only shown are made printable.
 * There is no checksum: a file cut short is no JSON, and an operator may mend one by hand (docs/decisions/017-snapshot.md).
 */

import {
  type AbsentInstance,
  type Catalog,
  type CatalogService,
  compareEndpoints,
  type Endpoint,
  type EndpointId,
  endpointId,
} from '../balancer/endpoint.ts'
import { isPort, normalAddress } from './address.ts'
import { claimsFrom } from './fabio-tags.ts'
import { isNameable } from './names.ts'
import { judgeFields, judgeNames, type Registration, written } from './push/push-entry.ts'
import { compareText, printable } from './untrusted-text.ts'

const FORMAT = 'evenkeel-catalog'
const VERSION = 1
const MAX_WEIGHT = 65_535
/** Of a text that is only shown; what discovery makes is shorter. */
const MAX_TEXT = 512
/** The last millisecond with a year of four digits. */
const MAX_TIME_MS = 253_402_300_799_999

/** A catalog and when its source last stood by it. */
export interface Snapshot {
  readonly catalog: Catalog
  /** Milliseconds since 1970, whole. */
  readonly confirmedAtMs: number
  /** Which catalog it is, in words that differ where catalogs do: of which datacenter. Absent: it is not said. */
  readonly of?: string
  /** What services have said of themselves, so that it need not be said again before it counts. Absent: nothing. */
  readonly pushed?: readonly Registration[]
}

export type DecodedSnapshot =
  | ({ readonly kind: 'read' } & Snapshot)
  /** `why` is a sentence about the file, printable, of a bounded length and on one line. */
  | { readonly kind: 'refused'; readonly why: string }

/** The whole text; see `snapshotPieces`. */
export function encodeSnapshot(catalog: Catalog, confirmedAtMs: number, of?: string): string {
  return [...snapshotPieces({ catalog, confirmedAtMs, ...(of === undefined ? {} : { of }) })].join('')
}

/**
 * The text in pieces, one a service, so that a large catalog can be written without holding up everything else.
 * A time outside the years 1970 to 9999 is put to the nearest one inside.
 */
export function* snapshotPieces({ catalog, confirmedAtMs, of, pushed = [] }: Snapshot): Generator<string, void> {
  const confirmedAt = new Date(Math.min(MAX_TIME_MS, Math.max(0, Math.floor(confirmedAtMs)))).toISOString()
  const origin = of === undefined ? '' : `\n  "of": ${JSON.stringify(of)},`
  yield `{\n  "format": "${FORMAT}",\n  "version": ${VERSION},${origin}\n  "confirmedAt": "${confirmedAt}",\n  "services": [`
  let before = '\n    '
  for (const [name, { endpoints, absent }] of catalog.services) {
    const places = endpoints.map(({ instance, address, port, weight, sources, claims }) => {
      return { instance, address, port, weight, sources, claims }
    })
    yield `${before}${JSON.stringify({ name, endpoints: places, absent })}`
    before = ',\n    '
  }
  before = '\n  ],\n  "pushed": [\n    '
  for (const each of pushed) {
    const { service, id } = each
    yield `${before}${JSON.stringify({ service, id, ...written(each) })}`
    before = ',\n    '
  }
  yield '\n  ]\n}\n'
}

/**
 * Reads what `encodeSnapshot` wrote. Never throws. Fields that version 1 does not know are ignored. Ids are made anew,
 * and services and endpoints put in their order. A time in the future is read as it stands: there is no clock here.
 */
export function decodeSnapshot(text: string): DecodedSnapshot {
  try {
    return { kind: 'read', ...snapshotOf(parse(text)) }
  } catch (error) {
    return { kind: 'refused', why: error instanceof Unsound ? error.message : 'it cannot be understood' }
  }
}

type Json = Readonly<Record<string, unknown>>

class Unsound extends Error {}

function parse(text: string): unknown {
  if (text.trim() === '') throw new Unsound('it is empty')
  try {
    return JSON.parse(text)
  } catch {
    // The parser's own words quote the text, and the text of a foreign file is nobody's business.
    throw new Unsound('it is not JSON, or only part of it')
  }
}

function snapshotOf(root: unknown): Snapshot {
  if (!isObject(root) || root.format !== FORMAT) throw new Unsound(`it is not a catalog of Evenkeel's`)
  const { version } = root
  if (version !== VERSION) throw new Unsound(`its version is ${shown(version)}, and this Evenkeel reads ${VERSION}`)
  const confirmedAtMs = timeOf(root.confirmedAt)
  const { of } = root
  if (of !== undefined && typeof of !== 'string') throw unsound('of', of, 'a text')
  const services = new Map<string, CatalogService>()
  for (const [index, item] of listOf(root.services, 'services').entries()) {
    const at = `services[${index}]`
    const entry = objectOf(item, at)
    const { name } = entry
    if (typeof name !== 'string' || !isNameable(name)) throw unsound(`${at}.name`, name, 'the name of a service')
    if (services.has(name)) throw new Unsound(`${at}.name is ${shown(name)} for the second time`)
    services.set(name, serviceOf(entry, at))
  }
  const inOrder = [...services].sort(([a], [b]) => compareText(a, b))
  const catalog = { services: new Map(inOrder) }
  const pushed = pushedOf(root.pushed)
  return {
    ...{ catalog, confirmedAtMs },
    ...(of === undefined ? {} : { of: printable(of, MAX_TEXT) }),
    ...(pushed.length === 0 ? {} : { pushed }),
  }
}

function pushedOf(given: unknown): readonly Registration[] {
  const known = new Set<string>()
  return listOf(given === undefined ? [] : given, 'pushed').map((item, index) => {
    const at = `pushed[${index}]`
    const entry = objectOf(item, at)
    const { service, id } = entry
    if (typeof service !== 'string') throw unsound(`${at}.service`, service, 'the name of a service')
    if (typeof id !== 'string') throw unsound(`${at}.id`, id, 'an id')
    const judged = judgeFields(entry, { maxTtlMs: Number.POSITIVE_INFINITY, ownAddress: null })
    const problems = [...judgeNames(service, id), ...(judged.kind === 'unsound' ? judged.problems : [])]
    if (judged.kind === 'unsound' || problems.length > 0) throw new Unsound(`${at}: ${problems[0]}`)
    const key = JSON.stringify([service, id])
    if (known.has(key)) throw new Unsound(`${at} is ${shown(id)} of ${shown(service)} for the second time`)
    known.add(key)
    return { service, id, ...judged.of }
  })
}

function timeOf(value: unknown): number {
  const ms = typeof value === 'string' ? Date.parse(value) : Number.NaN
  const isTime = ms >= 0 && ms <= MAX_TIME_MS && new Date(ms).toISOString() === value
  if (!isTime) throw unsound('confirmedAt', value, 'a time such as 2026-01-31T23:59:59.000Z')
  return ms
}

function serviceOf({ endpoints, absent }: Json, at: string): CatalogService {
  const byId = new Map<EndpointId, Endpoint>()
  for (const [index, item] of listOf(endpoints, `${at}.endpoints`).entries()) {
    const endpoint = endpointOf(item, `${at}.endpoints[${index}]`)
    if (byId.has(endpoint.id)) {
      throw new Unsound(`${at}.endpoints[${index}] is ${shown(endpoint.id)} for the second time`)
    }
    byId.set(endpoint.id, endpoint)
  }
  return {
    endpoints: [...byId.values()].sort(compareEndpoints),
    absent: listOf(absent, `${at}.absent`).map((item, index) => absentOf(item, `${at}.absent[${index}]`)),
  }
}

function endpointOf(item: unknown, at: string): Endpoint {
  const { instance, address, port, weight, sources, claims } = objectOf(item, at)
  const place = typeof address === 'string' ? normalAddress(address) : null
  if (place === null) throw unsound(`${at}.address`, address, 'an IP address or a host name')
  if (!isPort(port)) throw unsound(`${at}.port`, port, 'an integer from 1 to 65535')
  if (typeof weight !== 'number' || !Number.isInteger(weight) || weight < 1 || weight > MAX_WEIGHT) {
    throw unsound(`${at}.weight`, weight, `an integer from 1 to ${MAX_WEIGHT}`)
  }
  const id = endpointId(place, port)
  return {
    ...{ id, instance: textOf(instance, `${at}.instance`), address: place, port, weight },
    ...sourcesOf(sources, at),
    ...claimsOf(claims, at),
  }
}

function absentOf(item: unknown, at: string): AbsentInstance {
  const { instance, address, reason, agentLost = false, sources, claims } = objectOf(item, at)
  if (typeof agentLost !== 'boolean') throw unsound(`${at}.agentLost`, agentLost, 'true or false')
  return {
    instance: textOf(instance, `${at}.instance`),
    address: textOf(address, `${at}.address`),
    reason: textOf(reason, `${at}.reason`),
    ...(agentLost ? { agentLost } : {}),
    ...sourcesOf(sources, at),
    ...claimsOf(claims, at),
  }
}

function sourcesOf(value: unknown, at: string): { readonly sources?: readonly string[] } {
  if (value === undefined) return {}
  const sources = listOf(value, `${at}.sources`).map((source, index) => textOf(source, `${at}.sources[${index}]`))
  return { sources }
}

function claimsOf(claims: unknown, at: string): Pick<Endpoint, 'claims'> {
  if (claims === undefined) return {}
  const sound = claimsFrom(claims)
  if (sound === null) throw unsound(`${at}.claims`, claims, 'what the tags of an instance can claim')
  return { claims: sound }
}

function textOf(value: unknown, at: string): string {
  if (typeof value !== 'string') throw unsound(at, value, 'a text')
  return printable(value, MAX_TEXT)
}

function objectOf(value: unknown, at: string): Json {
  if (!isObject(value)) throw unsound(at, value, 'an object')
  return value
}

function listOf(value: unknown, at: string): readonly unknown[] {
  if (!Array.isArray(value)) throw unsound(at, value, 'a list')
  return value
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function unsound(at: string, value: unknown, wanted: string): Unsound {
  return new Unsound(value === undefined ? `${at} is missing` : `${at} is ${shown(value)}, not ${wanted}`)
}

/** A foreign value for people to read, whatever it is. */
function shown(value: unknown): string {
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'object' && value !== null) return 'an object'
  return printable(JSON.stringify(value) ?? 'missing', 64)
}
