/**
 * What did a client ask to register? Turns the unknown JSON of `PUT /v1/agent/service/register` into a `Registration`,
 * or into the sentence that Consul 1.8 answers. Keys are matched as Go's JSON decoder does, without regard to case,
 * and an unknown key is an error, so that a typing mistake is seen here and not in production.
 */

import { isIP } from 'node:net'
import { asObject, Fields, wrongType } from './go-json.ts'
import { Refusal } from './refusal.ts'

export type CheckStatus = 'passing' | 'warning' | 'critical'

export type CheckProbe =
  | { readonly kind: 'ttl'; readonly ttlMs: number }
  | {
      readonly kind: 'http'
      readonly url: string
      readonly method: string
      readonly headers: Readonly<Record<string, readonly string[]>>
      readonly body: string
      readonly skipVerify: boolean
      readonly intervalMs: number
      readonly timeoutMs: number
    }
  | { readonly kind: 'tcp'; readonly address: string; readonly intervalMs: number; readonly timeoutMs: number }

export interface CheckDefinition {
  /** Empty: `service:<id>`, numbered when there are several. */
  readonly checkId: string
  readonly name: string
  readonly notes: string
  readonly status: CheckStatus
  readonly probe: CheckProbe
  /** 0: never. */
  readonly deregisterAfterMs: number
}

export interface ServicePort {
  readonly Address: string
  readonly Port: number
}

export interface Registration {
  readonly id: string
  readonly name: string
  readonly tags: readonly string[]
  readonly address: string
  readonly taggedAddresses: Readonly<Record<string, ServicePort>>
  readonly port: number
  readonly meta: Readonly<Record<string, string>>
  readonly weights: { readonly Passing: number; readonly Warning: number }
  readonly enableTagOverride: boolean
  readonly checks: readonly CheckDefinition[]
}

const serviceKeys = [
  ...['ID', 'Name', 'Tags', 'Address', 'TaggedAddresses', 'Meta', 'Port', 'Check', 'Checks', 'Weights', 'Token'],
  ...['EnableTagOverride', 'Kind', 'Proxy', 'Connect', 'tagged_addresses', 'enable_tag_override'],
]
const checkKeys = [
  ...['CheckID', 'Name', 'Status', 'Notes', 'HTTP', 'Header', 'Method', 'Body', 'TLSSkipVerify', 'TCP', 'TTL'],
  ...['Interval', 'Timeout', 'DeregisterCriticalServiceAfter', 'Args', 'ScriptArgs', 'DockerContainerID', 'Shell'],
  ...['GRPC', 'GRPCUseTLS', 'AliasNode', 'AliasService', 'ProxyHTTP', 'ProxyGRPC', 'OutputMaxSize'],
  ...['SuccessBeforePassing', 'FailuresBeforeCritical'],
]
const maxChecksPerService = 64
const defaultTimeoutMs = 10_000
/** Consul raises shorter ones to this. */
const minIntervalMs = 1000
const minDeregisterAfterMs = 60_000

/** Reads a registration. Throws `Refusal` with Consul's own sentence for what Consul refuses. */
export function parseRegistration(json: unknown): Registration {
  const fields = Fields.of(json, '', serviceKeys)
  const name = fields.text('Name')
  if (name === '') throw new Refusal(400, 'Missing service name')
  const id = fields.text('ID') || name
  const address = fields.text('Address')
  if (address === '0.0.0.0' || address === '::' || address === '[::]') throw new Refusal(400, 'Invalid service address')
  const port = fields.integer('Port')
  if (fields.text('Kind') !== '') throw unsupported(`Kind ${JSON.stringify(fields.text('Kind'))}`)
  for (const key of ['Proxy', 'Connect']) if (fields.given(key)) throw unsupported(key)
  return {
    id,
    name,
    tags: fields.texts('Tags'),
    address,
    taggedAddresses: { ...parseTagged(fields), ...impliedTagged(address, port) },
    port,
    meta: parseMeta(fields.textMap('Meta')),
    weights: parseWeights(fields.get('Weights')),
    enableTagOverride: fields.flag('EnableTagOverride') || fields.flag('enable_tag_override'),
    checks: parseChecks(fields, name),
  }
}

/** Reads the body of `PUT /v1/agent/check/update/:id`. Throws `Refusal`. */
export function parseCheckUpdate(json: unknown): { status: CheckStatus; output: string } {
  const fields = Fields.of(json, '', ['Status', 'Output'])
  const status = fields.text('Status')
  if (!isStatus(status)) throw new Refusal(400, `Invalid check status: '${status}'`)
  return { status, output: fields.text('Output') }
}

function isStatus(text: string): text is CheckStatus {
  return text === 'passing' || text === 'warning' || text === 'critical'
}

function unsupported(what: string): Refusal {
  return new Refusal(400, `${what} is not supported by the demo's catalog: use a real Consul agent`)
}

function parseTagged(fields: Fields): Record<string, ServicePort> {
  const given = asObject(fields.get('TaggedAddresses') ?? fields.get('tagged_addresses') ?? {}, 'TaggedAddresses')
  return Object.fromEntries(
    Object.entries(given).map(([key, value]) => {
      const entry = Fields.of(value, 'TaggedAddresses', ['Address', 'Port'])
      return [key, { Address: entry.text('Address'), Port: entry.integer('Port') }]
    }),
  )
}

/** Consul adds these for an address that is an IP, and clients read them. */
function impliedTagged(address: string, port: number): Record<string, ServicePort> {
  const family = isIP(address)
  if (family === 0) return {}
  const entry = { Address: address, Port: port }
  return { [`lan_ipv${family}`]: entry, [`wan_ipv${family}`]: entry }
}

function parseMeta(meta: Record<string, string>): Record<string, string> {
  const pairs = Object.entries(meta)
  const invalid = (detail: string) => new Refusal(400, `Invalid Service Meta: ${detail}`)
  if (pairs.length > 64) throw invalid('Node metadata cannot contain more than 64 key/value pairs')
  for (const [key, value] of pairs) {
    const bad = (why: string) => invalid(`Couldn't load metadata pair ('${clip(key)}', '${clip(value)}'): ${why}`)
    if (key === '') throw bad('Key cannot be blank')
    if (!/^[a-zA-Z0-9_-]+$/.test(key)) throw bad('Key contains invalid characters')
    if (key.length > 128) throw bad('Key is too long (limit: 128 characters)')
    if (key.startsWith('consul-')) throw bad("Key prefix 'consul-' is reserved for internal use")
    if (value.length > 512) throw bad('Value is too long (limit: 512 characters)')
  }
  return meta
}

function clip(text: string): string {
  return text.length > 60 ? `${text.slice(0, 60)}…` : text
}

function parseWeights(json: unknown): { Passing: number; Warning: number } {
  if (json === undefined || json === null) return { Passing: 1, Warning: 1 }
  // A `Warning` left out of given weights is Go's zero value, so 0 and not 1.
  const fields = Fields.of(json, 'Weights', ['Passing', 'Warning'])
  const weights = { Passing: fields.integer('Passing'), Warning: fields.integer('Warning') }
  const invalid = (why: string) => new Refusal(400, `Invalid Weights: ${why}`)
  if (weights.Passing < 1) throw invalid('Passing must be greater than 0')
  if (weights.Warning < 0) throw invalid('Warning must be greater or equal than 0')
  if (weights.Passing > 65535 || weights.Warning > 65535) throw invalid('DNS Weight must be between 0 and 65535')
  return weights
}

function parseChecks(fields: Fields, service: string): CheckDefinition[] {
  const list = fields.get('Checks') ?? []
  if (!Array.isArray(list)) throw wrongType(list, 'Checks', '[]*structs.CheckType')
  // Consul takes a `Check` without any field for no check at all.
  const given = [...(fields.given('Check') ? [fields.get('Check')] : []), ...list.filter((check) => check !== null)]
  if (given.length > maxChecksPerService) throw new Refusal(400, `Invalid checks: more than ${maxChecksPerService}`)
  return given.map((json) => parseCheck(json, service))
}

function parseCheck(json: unknown, service: string): CheckDefinition {
  const fields = Fields.of(json, 'Check', checkKeys)
  for (const key of ['Args', 'ScriptArgs', 'DockerContainerID', 'GRPC', 'AliasNode', 'AliasService']) {
    if (fields.given(key)) throw unsupported(`a check with ${key}`)
  }
  const status = fields.text('Status')
  if (status !== '' && !isStatus(status)) {
    throw new Refusal(400, "Status for checks must 'passing', 'warning', 'critical'")
  }
  const deregisterAfterMs = fields.durationMs('DeregisterCriticalServiceAfter')
  return {
    checkId: fields.text('CheckID'),
    name: fields.text('Name') || `Service '${service}' check`,
    notes: fields.text('Notes'),
    status: status === '' ? 'critical' : status,
    probe: parseProbe(fields),
    deregisterAfterMs: deregisterAfterMs > 0 ? Math.max(deregisterAfterMs, minDeregisterAfterMs) : 0,
  }
}

function parseProbe(fields: Fields): CheckProbe {
  const invalid = (why: string) => new Refusal(400, `Invalid check: ${why}`)
  const ttlMs = fields.durationMs('TTL')
  const intervalMs = fields.durationMs('Interval')
  const url = fields.text('HTTP')
  const tcp = fields.text('TCP')
  if (intervalMs > 0 && ttlMs > 0) throw invalid('Interval and TTL cannot both be specified')
  if (url === '' && tcp === '') {
    if (ttlMs <= 0) throw invalid('TTL must be > 0 for TTL checks')
    return { kind: 'ttl', ttlMs }
  }
  if (intervalMs <= 0) throw invalid('Interval must be > 0 for Script, HTTP, or TCP checks')
  const timing = {
    intervalMs: Math.max(intervalMs, minIntervalMs),
    timeoutMs: fields.durationMs('Timeout') > 0 ? fields.durationMs('Timeout') : defaultTimeoutMs,
  }
  if (url === '') return { kind: 'tcp', address: tcp, ...timing }
  const method = fields.text('Method') || 'GET'
  const headers = fields.textListMap('Header')
  return {
    kind: 'http',
    url,
    method,
    headers,
    body: fields.text('Body'),
    skipVerify: fields.flag('TLSSkipVerify'),
    ...timing,
  }
}
