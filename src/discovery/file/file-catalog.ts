/**
 * Which endpoints does a catalog file name? Pure: the value that its text stands for in, a catalog or everything that is
 * wrong with it out. One wrong entry makes the whole file wrong: a person wrote it, and half of what was meant is nothing
 * that was meant.
 *
 *     services:
 *       web: ['10.0.0.5:8080', { address: 10.0.0.8, port: 8080, weight: 3, tags: [v2] }]
 */

import {
  type AbsentInstance,
  type Catalog,
  type CatalogService,
  compareEndpoints,
  type Endpoint,
  endpointId,
} from '../../balancer/endpoint.ts'
import { isPort, normalAddress } from '../address.ts'
import { matchesAny } from '../glob.ts'
import { isNameable, type NameRules } from '../names.ts'
import { parseHostPort } from '../static-source.ts'
import { compareText, printable } from '../untrusted-text.ts'
import type { FileProblem, Path } from './file-document.ts'

export interface FileRules extends NameRules {
  /** Only endpoints with this tag; null: all. One that is written as a text has none. */
  readonly tag: string | null
}

export type DecodedFile =
  | { readonly kind: 'catalog'; readonly catalog: Catalog }
  | { readonly kind: 'wrong'; readonly problems: readonly FileProblem[] }

const MAX_WEIGHT = 65_535
const MAX_QUOTE_LENGTH = 64
const ENTRY_KEYS: readonly string[] = ['address', 'port', 'weight', 'tags']
const EXAMPLE = "services: { web: ['10.0.0.5:8080'] }"

type Json = Readonly<Record<string, unknown>>
/** `problem` is one clause: what was found, and what is allowed. */
type Note = (path: Path, problem: string) => void

interface Entry {
  readonly address: string
  readonly port: number
  readonly weight: number
  readonly tags: readonly unknown[]
}

/**
 * Decodes a file. Never throws; services are in the order of their names, endpoints in that of their ids. A service with
 * an empty list is a service without endpoints.
 * @param placeOf where in the file a path stands, for the problems
 */
export function decodeFile(value: unknown, placeOf: (path: Path) => string, rules: FileRules): DecodedFile {
  const problems: FileProblem[] = []
  const note: Note = (path, problem) => {
    const message = path.length === 0 ? problem : `${shownPath(path)}: ${problem}`
    problems.push({ place: placeOf(path), message })
  }
  const services = decodeServices(value, rules, note)
  return problems.length > 0 ? { kind: 'wrong', problems } : { kind: 'catalog', catalog: { services } }
}

function decodeServices(value: unknown, rules: FileRules, note: Note): Map<string, CatalogService> {
  const services = new Map<string, CatalogService>()
  if (value === null || value === undefined) {
    // An empty file is what a full disk or a half-done copy leaves behind.
    note([], 'is empty: a catalog without services is written as services: {}')
    return services
  }
  if (!isObject(value)) {
    note([], `is ${quoted(value)}, must be a map such as ${EXAMPLE}`)
    return services
  }
  for (const key of Object.keys(value)) if (key !== 'services') note([key], 'unknown key: only services is known')
  const { services: named } = value
  if (!isObject(named)) {
    note(
      'services' in value ? ['services'] : [],
      'services' in value
        ? `is ${quoted(named)}, must be a map of names; {} is a catalog without services`
        : `has no services: write ${EXAMPLE}; services: {} is a catalog without any`,
    )
    return services
  }
  for (const name of Object.keys(named).sort(compareText)) {
    const path: Path = ['services', name]
    if (!isNameable(name)) note(path, 'this service name cannot be routed to')
    const service = decodeService(path, named[name], rules, note)
    if (matchesAny(rules.include, name) && !matchesAny(rules.exclude, name)) services.set(name, service)
  }
  return services
}

function decodeService(path: Path, list: unknown, rules: FileRules, note: Note): CatalogService {
  const endpoints = new Map<string, Endpoint>()
  const absent: AbsentInstance[] = []
  if (!Array.isArray(list)) {
    note(path, `is ${quoted(list)}, must be a list of endpoints; [] is a service without any`)
    return { endpoints: [], absent }
  }
  const weights = new Map<string, number>()
  for (const [at, item] of list.entries()) {
    const entry = decodeItem([...path, at], item, note)
    if (entry === null) continue
    const { address, port, weight, tags } = entry
    const id = endpointId(address, port)
    const before = weights.get(id)
    if (before !== undefined) {
      if (before !== weight) note([...path, at], `names ${id} again, with weight ${weight} after ${before}`)
      continue
    }
    weights.set(id, weight)
    const away = (reason: string) => void absent.push({ instance: id, address: id, reason })
    if (rules.tag !== null && !tags.includes(rules.tag)) away(`lacks the tag ${quoted(rules.tag)}`)
    else if (weight === 0) away('its weight is 0')
    else endpoints.set(id, { id, instance: id, address, port, weight })
  }
  return {
    endpoints: [...endpoints.values()].sort(compareEndpoints),
    absent: absent.sort((a, b) => compareText(a.address, b.address)),
  }
}

/** null: it is none, which has been noted. */
function decodeItem(path: Path, item: unknown, note: Note): Entry | null {
  if (typeof item === 'string') {
    const parsed = parseHostPort(item)
    if (parsed.kind === 'parsed') return { address: parsed.address, port: parsed.port, weight: 1, tags: [] }
    note(path, `${quoted(item)} ${parsed.problem}`)
    return null
  }
  if (!isObject(item)) {
    note(path, `is ${quoted(item)}, must be a text host:port or { address, port, weight, tags }`)
    return null
  }
  let isSound = true
  const wrong = (key: string, problem: string) => {
    isSound = false
    note([...path, key], problem)
  }
  for (const key of Object.keys(item)) {
    if (!ENTRY_KEYS.includes(key)) wrong(key, `unknown key: ${ENTRY_KEYS.join(', ')} are known`)
  }
  const { address, port, weight = 1, tags = [] } = item
  const normal = typeof address === 'string' ? normalAddress(address) : null
  if (normal === null) wrong('address', `is ${quoted(address)}, must be a host name or an IP address`)
  if (!isPort(port)) wrong('port', `is ${quoted(port)}, must be a whole number from 1 to 65535`)
  if (!isWeight(weight)) wrong('weight', `is ${quoted(weight)}, must be a whole number from 0 to ${MAX_WEIGHT}`)
  if (!Array.isArray(tags) || tags.some((tag) => typeof tag !== 'string')) {
    wrong('tags', `is ${quoted(tags)}, must be a list of texts`)
  }
  if (!isSound || normal === null || !isPort(port) || !isWeight(weight) || !Array.isArray(tags)) return null
  return { address: normal, port, weight, tags }
}

function isWeight(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= MAX_WEIGHT
}

/** `services.web[1].port` */
function shownPath(path: Path): string {
  const text = path.map((step) => (typeof step === 'number' ? `[${step}]` : `.${step}`)).join('')
  return printable(text.replace(/^\./, ''), 160)
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function quoted(value: unknown): string {
  if (value === undefined) return 'missing'
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'object' && value !== null) return 'a map'
  return printable(typeof value === 'string' ? JSON.stringify(value) : String(value), MAX_QUOTE_LENGTH)
}
