/**
 * What does a Eureka registry hold that its catalog does not show? Who is UP without having beaten for long, and by which
 * other names instances go. Pure but for the one GET.
 */

import { type EurekaAccess, eurekaServer } from '../discovery/eureka/eureka-client.ts'
import { readXml } from '../discovery/eureka/eureka-xml.ts'
import { printable } from '../discovery/untrusted-text.ts'
import type { EurekaFacts } from './facts.ts'

type Registered = EurekaFacts['registered']
type Json = Readonly<Record<string, unknown>>

const DEADLINE_MS = 10_000
const DEFAULT_LEASE_S = 90
/** What an eviction may be late for: it runs every 60 s by default. */
const EVICTION_MS = 90_000
const MAX_TEXT = 128
const MAX_VIPS = 16

/** Asks the servers in turn until one answers. Null: none did, or none in a way that can be understood. Never rejects. */
export async function readRegistered(urls: readonly string[], access: EurekaAccess): Promise<Registered> {
  for (const url of urls) {
    try {
      const server = eurekaServer(url, access, { deadlineMs: DEADLINE_MS, silenceMs: DEADLINE_MS })
      const reply = await server.get('/apps', new AbortController().signal)
      const registered = reply.kind === 'answered' ? registeredIn(reply.text) : null
      if (registered !== null) return registered
    } catch {
      // A URL that is none: the source has said so.
    }
  }
  return null
}

/** @param text the answer to `/apps`, JSON or XML; null for anything else. Never throws. */
export function registeredIn(text: string): Registered {
  const instances = instancesIn(text)
  if (instances === null) return null
  const beats = instances.map(({ lease }) => numberOf(lease.lastRenewalTimestamp))
  // All of an answer is of one moment. By the server's clock that is at least the last beat in it.
  const nowMs = beats.reduce((latest, each) => Math.max(latest, each), 0)
  const overdue = instances.flatMap(({ app, id, status, lease }) => {
    const beatMs = numberOf(lease.lastRenewalTimestamp)
    const leaseS = numberOf(lease.durationInSecs) || DEFAULT_LEASE_S
    const silentMs = nowMs - beatMs
    // A server counts the lease twice, since a beat sets its end that much later.
    const isOverdue = status === 'UP' && beatMs > 0 && silentMs > 2000 * leaseS + EVICTION_MS
    return isOverdue ? [{ app, id, silentMs }] : []
  })
  const unnamed = instances.flatMap(({ app, id, vips }) => (vips.length === 0 ? [{ app, id }] : []))
  const vipsOf = new Map<string, Set<string>>()
  for (const { app, vips } of instances) {
    const all = vipsOf.get(app.toLowerCase()) ?? new Set<string>()
    vipsOf.set(app.toLowerCase(), all)
    for (const vip of vips) all.add(vip)
  }
  const aliases = [...vipsOf].flatMap(([app, vips]) =>
    vips.size > 0 && !vips.has(app) ? [{ app, vips: [...vips] }] : [],
  )
  return { count: instances.length, overdue, unnamed, aliases }
}

interface Instance {
  readonly app: string
  readonly id: string
  readonly status: string
  readonly lease: Json
  /** In lower case. */
  readonly vips: readonly string[]
}

function instancesIn(text: string): readonly Instance[] | null {
  const root = rootOf(text)
  if (root === null) return null
  return listOf(root.application).flatMap((app) =>
    listOf(app.instance).map((each) => ({
      app: shown(app.name) || shown(each.app),
      id: shown(each.instanceId) || shown(each.hostName),
      status: shown(each.status),
      lease: isObject(each.leaseInfo) ? each.leaseInfo : {},
      vips: shown(each.vipAddress)
        .toLowerCase()
        .split(',', MAX_VIPS)
        .map((vip) => vip.trim())
        .filter((vip) => vip !== ''),
    })),
  )
}

function rootOf(text: string): Json | null {
  if (/^\uFEFF?\s*</.test(text)) {
    const document = readXml(text)
    if (document.kind === 'unreadable') return null
    return isObject(document.value) ? document.value : {}
  }
  try {
    const { applications } = JSON.parse(text) as Json
    return isObject(applications) ? applications : null
  } catch {
    return null
  }
}

/** A list of one is written without its brackets by some. */
function listOf(value: unknown): readonly Json[] {
  return (Array.isArray(value) ? value : [value]).filter(isObject)
}

function shown(value: unknown): string {
  return typeof value === 'string' ? printable(value.trim(), MAX_TEXT) : ''
}

function numberOf(value: unknown): number {
  const number = Number(typeof value === 'string' || typeof value === 'number' ? value : Number.NaN)
  return Number.isSafeInteger(number) && number >= 0 ? number : 0
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
