/**
 * Which instances does an answer of a Eureka server name? Pure: the text of `/apps` or `/apps/delta` in, entries out. JSON and
 * XML are one to it, as are the forms that servers of different age give the same thing. Whether an instance gets traffic
 * is not asked here: that is eureka-instances.ts's matter.
 */

import { isPort } from '../address.ts'
import { type Oddity, oddity } from '../oddity.ts'
import { printable } from '../untrusted-text.ts'
import { readXml } from './eureka-xml.ts'

/** One registered instance, as far as it matters. The texts are foreign: neither bounded nor printable. */
export interface EurekaInstance {
  /** Of its application and its id: what the registry tells instances apart by. */
  readonly key: string
  readonly app: string
  readonly id: string
  /** `UP`, or anything else. */
  readonly status: string
  readonly hostName: string
  readonly ipAddr: string
  readonly port: EurekaPort
  readonly securePort: EurekaPort
  /** One name or several, separated by commas. */
  readonly vipAddress: string
  /** When the server last changed it, by the server's clock; 0: not said. */
  readonly updatedMs: number
  /** How long the server waits for a beat before it takes the instance for dead. */
  readonly leaseMs: number
}

export interface EurekaPort {
  /** null: none, or not a number from 1 to 65535. */
  readonly number: number | null
  readonly enabled: boolean
}

/** An entry of `/apps/delta`; in `/apps` nothing is ever deleted. */
export interface EurekaEntry {
  readonly instance: EurekaInstance
  readonly isDeleted: boolean
}

export type DecodedAnswer =
  | {
      readonly kind: 'answer'
      /** `apps__hashcode`: how many instances the whole registry has, by status; null: the server does not say. */
      readonly hash: string | null
      readonly entries: readonly EurekaEntry[]
      readonly oddities: readonly Oddity[]
    }
  /** Neither JSON nor XML. */
  | { readonly kind: 'foreign' }
  | { readonly kind: 'unreadable'; readonly message: string }

/** Eureka's own default: `eureka.instance.leaseExpirationDurationInSeconds`. */
const DEFAULT_LEASE_MS = 90_000
/** Nobody's lease keeps an instance for longer than this, whatever the instance says. */
const MAX_LEASE_MS = 180_000
/** A text that is longer is no name, no address and no id. */
const MAX_TEXT_LENGTH = 512

type Json = Readonly<Record<string, unknown>>

/**
 * Decodes an answer; never throws. Entries that are no instances are skipped and told in `oddities`.
 * @param text JSON or XML, told apart by how it begins: the content type of an old server is not to be relied on
 */
export function decodeAnswer(text: string): DecodedAnswer {
  const root = readRoot(text)
  if (root.kind !== 'root') return root
  const { applications } = root
  if (!isObject(applications)) return unreadable('the answer has no object "applications"')
  const { apps__hashcode: hash, application } = applications
  if (application === undefined && hash === undefined) return unreadable('"applications" is not those of Eureka')
  const entries: EurekaEntry[] = []
  const oddities: Oddity[] = []
  for (const app of listOf(application)) {
    if (!isObject(app)) return unreadable('an entry of "application" is no object')
    for (const instance of listOf(app.instance)) {
      const entry = decodeEntry(instance, textOf(app.name))
      if (entry === null) oddities.push(oddity('malformed-entry', '', 'an entry is no instance and was skipped'))
      else entries.push(entry)
    }
  }
  return { kind: 'answer', hash: typeof hash === 'string' ? hash : null, entries, oddities }
}

function readRoot(text: string): { kind: 'root'; applications: unknown } | Exclude<DecodedAnswer, { kind: 'answer' }> {
  const start = /^\uFEFF?\s*(<(?:\?xml|applications)\b|\{)/.exec(text)?.[1]
  if (start === undefined) return { kind: 'foreign' }
  if (start !== '{') {
    const document = readXml(text)
    if (document.kind === 'unreadable') return document
    if (document.name !== 'applications') return unreadable(`the answer is <${printable(document.name, 40)}>`)
    // An empty element without attributes is read as an empty text.
    if (document.value === '') return { kind: 'root', applications: {} }
    // Made anew: the reader's texts are pieces that point into the answer, and one instance that is kept would keep all of it.
    return { kind: 'root', applications: JSON.parse(JSON.stringify(document.value)) }
  }
  try {
    return { kind: 'root', applications: (JSON.parse(text) as Json).applications }
  } catch {
    return { kind: 'foreign' }
  }
}

function decodeEntry(entry: unknown, appName: string): EurekaEntry | null {
  if (!isObject(entry)) return null
  const app = appName || textOf(entry.app)
  const id = idOf(entry)
  const status = textOf(entry.status)
  if (app === '' || id === '' || status === '') return null
  const lease = isObject(entry.leaseInfo) ? numberOf(entry.leaseInfo.durationInSecs) * 1000 : 0
  const instance = {
    key: JSON.stringify([app.toUpperCase(), id]),
    app,
    id,
    status,
    hostName: textOf(entry.hostName),
    ipAddr: textOf(entry.ipAddr),
    port: portOf(entry.port, true),
    securePort: portOf(entry.securePort, false),
    vipAddress: textOf(entry.vipAddress),
    updatedMs: numberOf(entry.lastUpdatedTimestamp),
    leaseMs: Math.min(MAX_LEASE_MS, lease > 0 ? lease : DEFAULT_LEASE_MS),
  }
  return { instance, isDeleted: entry.actionType === 'DELETED' }
}

/** As `InstanceInfo.getId` of Eureka has it: servers before 1.5 know no `instanceId`. */
function idOf(entry: Json): string {
  const { dataCenterInfo } = entry
  const metadata = isObject(dataCenterInfo) && isObject(dataCenterInfo.metadata) ? dataCenterInfo.metadata : {}
  return textOf(entry.instanceId) || textOf(metadata['instance-id']) || textOf(entry.hostName)
}

function portOf(port: unknown, enabledByDefault: boolean): EurekaPort {
  const { $: said, '@enabled': enabled } = isObject(port) ? port : { $: port, '@enabled': undefined }
  const number = numberOf(said)
  const isEnabled = enabled === undefined ? enabledByDefault : `${enabled}` === 'true'
  return { number: isPort(number) ? number : null, enabled: isEnabled }
}

/** A list of one is written without its brackets by some, and an empty one as null, as an empty text or not at all. */
function listOf(value: unknown): readonly unknown[] {
  if (Array.isArray(value)) return value
  return value === undefined || value === null || value === '' ? [] : [value]
}

/** A text that is too long to be meant counts as none. */
function textOf(value: unknown): string {
  return typeof value === 'string' && value.length <= MAX_TEXT_LENGTH ? value.trim() : ''
}

/** A whole number of 0 or more, be it in quotes; 0 for anything else. */
function numberOf(value: unknown): number {
  if (typeof value === 'string') return /^\s*\d{1,15}\s*$/.test(value) ? Number(value) : 0
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : 0
}

function unreadable(message: string): { kind: 'unreadable'; message: string } {
  return { kind: 'unreadable', message }
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
