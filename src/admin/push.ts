/** A service says over HTTP where it is: what is done, and what is it told? What it may say is judged in discovery/push. */

import type { PushCatalog } from '../discovery/push/push-catalog.ts'
import { endpointOf, judgeBody, judgeNames, type Registration, written } from '../discovery/push/push-entry.ts'
import { printable } from '../discovery/untrusted-text.ts'
import type { Granted } from './permission.ts'

export interface PushSources {
  readonly pushed: Pick<PushCatalog, 'put' | 'remove' | 'limits'>
  /** The sources that are followed now (`discovery.source`). */
  readonly sources: () => readonly string[]
  /** The name of this proxy itself in the catalog, to which nothing is routed; null: it has none. */
  readonly ownName: () => string | null
}

/** What was sent, by whom; its path is one for which `isPushPath` holds. */
export interface PushCall {
  /** `PUT` or `DELETE`. */
  readonly method: string
  readonly body: string
  readonly caller: Granted
  /** Somebody else than the caller asks, so the caller's address is nobody's. */
  readonly isPassedOn: boolean
}

type Refusal = 400 | 404 | 409 | 507
const titles: Readonly<Record<Refusal, string>> = {
  400: 'Bad Request',
  404: 'Not Found',
  409: 'Conflict',
  507: 'Insufficient Storage',
}

export type PushAnswer =
  /** 201: it is new. 200: it was known already. */
  | { readonly status: 200 | 201; readonly told: PushTold }
  | { readonly status: 204 }
  | { readonly status: Refusal; readonly title: string; readonly why: string; readonly about: object }

export interface PushTold {
  readonly result: 'new' | 'changed' | 'renewed'
  readonly service: string
  readonly id: string
  readonly endpoint: string
  /** As it is written: `30s`. */
  readonly ttl: string
  /** When it is gone if nothing is heard of it until then. */
  readonly expiresInMs: number
}

/** The body may have so many bytes. */
export const maxPushBytes = 4096
const maxNamed = 128
const pattern = /^\/api\/catalog\/([^/]*)\/([^/]*)$/
export const pushRoute = '/api/catalog/{service}/{id} (PUT, DELETE)'

const example = '{ "address": "10.0.0.5", "port": 8080, "ttl": "30s" }'

export function isPushPath(path: string): boolean {
  return pattern.test(path)
}

/**
 * Takes an instance in, or out. Resolves when requests are routed accordingly.
 * @param path one for which `isPushPath` holds
 */
export async function answerPush(sources: PushSources, path: string, call: PushCall): Promise<PushAnswer> {
  const followed = sources.sources()
  if (!followed.includes('push')) return refusal(409, whyOff(followed))
  const names = readPath(path)
  if (names === null) return refusal(400, 'The service or the id is not valid percent-encoding. Nothing was changed.')
  return call.method === 'DELETE' ? remove(sources, names, call) : put(sources, names, call)
}

interface Names {
  readonly service: string
  readonly id: string
}

async function put({ pushed, ownName }: PushSources, names: Names, call: PushCall): Promise<PushAnswer> {
  const { caller, isPassedOn, body } = call
  const { maxInstances, maxTtlMs } = pushed.limits()
  const said = judgeBody(body, { maxTtlMs, ownAddress: isPassedOn ? null : caller.from })
  const isOwn = names.service === ownName()
  const problems = [
    ...judgeNames(names.service, names.id),
    ...(isOwn ? ['the service is this proxy itself, by register.name: requests would go round in a circle'] : []),
    ...(said.kind === 'unsound' ? said.problems : []),
  ]
  if (said.kind === 'unsound' || problems.length > 0) {
    const passedOn = isPassedOn ? ' A proxy passes this on, so the address that it comes from is not taken.' : ''
    const why = `${problems.join('; ')}.${passedOn} Nothing was changed. A body is like ${example}.`
    return refusal(400, why.charAt(0).toUpperCase() + why.slice(1), { problems })
  }
  const { from, how } = caller
  const of: Registration = { ...names, ...said.of }
  const result = await pushed.put(of, { from, how })
  if (result === 'full') {
    const cure = 'Remove those that are no more, or raise discovery.push.maxInstances.'
    return refusal(507, `There are ${maxInstances} pushed instances, and no more are taken. ${cure}`, { maxInstances })
  }
  const { ttlMs } = of
  const told = { result, ...names, endpoint: endpointOf(of), ttl: written(of).ttl, expiresInMs: ttlMs }
  return { status: result === 'new' ? 201 : 200, told }
}

async function remove({ pushed }: PushSources, names: Names, { caller }: PushCall): Promise<PushAnswer> {
  const { from, how } = caller
  if (await pushed.remove(names.service, names.id, { from, how })) return { status: 204 }
  const service = printable(names.service, maxNamed)
  const id = printable(names.id, maxNamed)
  const why = `No instance ${id} of ${service} is pushed: it never was, it has been removed, or it was not renewed in time.`
  return refusal(404, why, { service, id })
}

function whyOff(sources: readonly string[]): string {
  const cure = `Set discovery.source: [${[...sources, 'push'].join(', ')}].`
  return `discovery.source is ${sources.join(', ')}, so nothing that is pushed would be routed. ${cure}`
}

function refusal(status: Refusal, why: string, about: object = {}): PushAnswer {
  return { status, title: titles[status], why, about }
}

/** Decoded once; null: it is no percent-encoding. */
function readPath(path: string): Names | null {
  const [, service = '', id = ''] = pattern.exec(path) ?? []
  try {
    return { service: decodeURIComponent(service), id: decodeURIComponent(id) }
  } catch {
    return null
  }
}
