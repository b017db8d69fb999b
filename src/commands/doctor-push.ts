/** What has been pushed to the running proxy? It alone knows, so it is asked, on its admin listener. */

import {
  type AbsentInstance,
  type Catalog,
  type CatalogService,
  type Endpoint,
  endpointId,
} from '../balancer/endpoint.ts'
import { isPort, normalAddress } from '../discovery/address.ts'
import { printable } from '../discovery/untrusted-text.ts'
import type { UnreadFacts } from '../doctor/facts.ts'
import { inParallel } from '../doctor/parallel.ts'
import { type AdminReply, askAdmin } from './admin-client.ts'

export interface PushReading {
  /** Null: it could not be read. */
  readonly catalog: Catalog | null
  readonly unread: readonly UnreadFacts[]
}

const PARALLEL = 16
const ASK = 'start the proxy with this config (evenkeel serve), or run the doctor where it runs; then ask again'

/**
 * @param admin of the config; the proxy is taken to run on this machine
 * @param isAlone everything that the proxy routes to was pushed; false: only what it says to be from there counts
 */
export async function readPushed(
  { host, port }: { readonly host: string; readonly port: number },
  isAlone: boolean,
): Promise<PushReading & { readonly from: string }> {
  const place = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '[::1]' : host.includes(':') ? `[${host}]` : host
  const url = `http://${place}:${port}`
  const from = `the proxy at ${url}`
  const failed = (message: string, cure = ASK) => {
    return { from, catalog: null, unread: [{ what: { kind: 'proxy' }, failure: { message, cure } } as const] }
  }
  if (port === 0) return failed('admin.port is 0, so nobody knows where its proxy listens', 'set admin.port')
  const ask = (path: string) => askAdmin({ url, token: null }, 'GET', path)
  const list = await ask('/api/services')
  const names = namesIn(list)
  if (names === null) {
    // What comes after the semicolon is about flags of other commands.
    return failed(
      list.kind === 'failed'
        ? (list.message.split('; ')[0] ?? '')
        : `${url} answered ${list.status}, and no list of services`,
    )
  }
  const services = new Map<string, CatalogService>()
  let unmarked = 0
  await inParallel(PARALLEL, names, async (name) => {
    const read = serviceIn(await ask(`/api/services/${encodeURIComponent(name)}`), isAlone)
    if (read === 'unmarked') unmarked += 1
    else if (read !== null) services.set(name, read)
  })
  if (unmarked > 0) return failed('the proxy there does not tell which endpoints were pushed', 'update it')
  return { from, catalog: { services: new Map([...services].sort(([a], [b]) => (a < b ? -1 : 1))) }, unread: [] }
}

type Json = Readonly<Record<string, unknown>>

function namesIn(reply: AdminReply): readonly string[] | null {
  if (reply.kind === 'failed' || reply.status !== 200) return null
  const { services } = Object(reply.body) as Json
  const list = Array.isArray(reply.body) ? reply.body : services
  if (!Array.isArray(list)) return null
  return list.flatMap((each) => {
    const { name, inCatalog } = Object(each) as Json
    return typeof name === 'string' && inCatalog !== false ? [name] : []
  })
}

/** Null: nothing of it was pushed, or it is gone by now. */
function serviceIn(reply: AdminReply, isAlone: boolean): CatalogService | 'unmarked' | null {
  if (reply.kind === 'failed' || reply.status !== 200) return null
  const { endpoints, absent } = Object(reply.body) as Json
  const all = { endpoints: rows(endpoints), absent: rows(absent) }
  if (!isAlone && all.endpoints.some(({ sources }) => !Array.isArray(sources))) return 'unmarked'
  const isPushed = ({ sources }: Json) => isAlone || (Array.isArray(sources) && sources.includes('push'))
  const own = { endpoints: all.endpoints.filter(isPushed), absent: all.absent.filter(isPushed) }
  if (!isAlone && own.endpoints.length + own.absent.length === 0) return null
  return { endpoints: own.endpoints.flatMap(endpointIn), absent: own.absent.map(absenteeIn) }
}

/** Whoever answers there need not be a proxy of ours. */
function endpointIn({ instance, address: stated, port, weight }: Json): Endpoint[] {
  const address = normalAddress(text(stated))
  if (address === null || !isPort(port)) return []
  return [{ id: endpointId(address, port), instance: text(instance), address, port, weight: Number(weight) }]
}

function absenteeIn({ instance, address, why }: Json): AbsentInstance {
  return { instance: text(instance), address: text(address), reason: text(why) }
}

const MAX_TEXT_LENGTH = 300

function text(value: unknown): string {
  return typeof value === 'string' ? printable(value, MAX_TEXT_LENGTH) : ''
}

function rows(value: unknown): readonly Json[] {
  return Array.isArray(value) ? value.filter((each) => typeof each === 'object' && each !== null) : []
}
