/** A person says something of an endpoint over HTTP: what is done, what are they told, and what is written down? */

import type { HandResult, Hands } from '../balancer/balancer.ts'
import type { EndpointState, ServiceView } from '../balancer/view.ts'
import { printable } from '../discovery/untrusted-text.ts'
import { endpointOf, notesOn } from './hand-notes.ts'
import type { Granted } from './permission.ts'

export type HandAction = keyof Hands

/** Whose word, on what. */
export interface HandCall {
  readonly action: HandAction
  readonly service: string
  readonly endpoint: string
}

/** One word of a person and what came of it. */
export interface HandRecord extends HandCall {
  readonly result: HandResult
  /** The name that was claimed; null: none was. */
  readonly by: string | null
  /** Where it came from, and what made it good enough. */
  readonly from: string
  readonly how: Granted['how']
}

export interface HandSources {
  readonly hands: Hands
  readonly viewService: (name: string) => ServiceView | null
  /** The names of the services that there are. */
  readonly services: () => readonly string[]
  /** Told of every word, also of one that changed nothing. */
  readonly onHand: (record: HandRecord) => void
}

/** The body may have so many bytes. */
export const maxBodyBytes = 1024
const maxNameLength = 64
/** What was asked for and does not exist may be anything. */
const maxLoggedLength = 255
/** So many names are listed to whoever got one wrong. */
const listed = 20

/** What a caller is told: 200 with what is true now, or why nothing was done. */
export type HandAnswer =
  | { readonly status: 200; readonly told: HandTold }
  | { readonly status: Refusal; readonly title: string; readonly why: string; readonly about: object }

type Refusal = 400 | 404 | 409
const titles: Readonly<Record<Refusal, string>> = { 400: 'Bad Request', 404: 'Not Found', 409: 'Conflict' }

export interface HandTold {
  readonly result: 'done' | 'unchanged'
  readonly service: string
  readonly endpoint: string
  /** Null: the catalog has it out of rotation, or does not list it. */
  readonly state: EndpointState | null
  readonly by: string
  /** What a person might not expect of what is true now; clauses without a full stop. */
  readonly notes: readonly string[]
}

const actions: readonly string[] = ['drain', 'undrain', 'eject', 'restore'] satisfies HandAction[]
const pattern = /^\/api\/services\/([^/]*)\/endpoints\/([^/]*)\/([^/]*)$/
export const handRoute = `/api/services/{name}/endpoints/{id}/{${actions.join('|')}} (POST)`

export function isHandPath(path: string): boolean {
  return pattern.test(path)
}

/**
 * Does what a person says of an endpoint.
 * @param path one for which `isHandPath` holds
 * @param body as it was sent, `maxBodyBytes` at the most; empty: nobody gave a name
 */
export function answerHand(sources: HandSources, path: string, body: string, caller: Granted): HandAnswer {
  const call = readPath(path)
  if ('status' in call) return call
  const said = readBy(body)
  if (typeof said === 'string') {
    return refusal(400, `${said} Send {"by": "your name"}, or nothing. Nothing was changed.`)
  }
  const { action, service, endpoint } = call
  const { by } = said
  const who = by === null ? caller.from : `${by} (${caller.from})`
  const before = sources.viewService(service)
  const result = sources.hands[action](service, endpoint, who)
  const named = { service: printable(service, maxLoggedLength), endpoint: printable(endpoint, maxLoggedLength) }
  sources.onHand({ action, ...named, result, by, from: caller.from, how: caller.how })
  switch (result) {
    case 'unknown-service': {
      const there = listOf('service', sources.services())
      return refusal(404, `No such service in the routing table. There ${there}.`, { service })
    }
    case 'unknown-endpoint':
      return refusal(404, whyUnknown(call, before), { service, endpoint })
    case 'too-many': {
      const cure = 'Undrain those that need not be: /api/services/<name> shows them.'
      return refusal(409, `So many endpoints are drained already that no more can be. ${cure}`, { service, endpoint })
    }
    case 'done':
    case 'unchanged': {
      const after = sources.viewService(service)
      const isAway = after?.drainedAway.some((each) => each.endpoint === endpoint) ?? false
      const state = endpointOf(after, endpoint)?.state ?? (isAway ? 'drained' : null)
      return {
        status: 200,
        told: { result, service, endpoint, state, by: who, notes: notesOn(action, endpoint, result, after) },
      }
    }
    default:
      return result satisfies never
  }
}

function refusal(status: Refusal, why: string, about: object = {}): HandAnswer & { readonly why: string } {
  return { status, title: titles[status], why, about }
}

function readPath(path: string): HandCall | ReturnType<typeof refusal> {
  const [, service = '', endpoint = '', action = ''] = pattern.exec(path) ?? []
  if (!isAction(action)) return refusal(404, `What can be said of an endpoint is ${actions.join(', ')}.`)
  try {
    return { action, service: decodeURIComponent(service), endpoint: decodeURIComponent(endpoint) }
  } catch {
    return refusal(400, 'The name or the endpoint is not valid percent-encoding. Nothing was changed.')
  }
}

function isAction(text: string): text is HandAction {
  return actions.includes(text)
}

/** A text says what is wrong. */
function readBy(body: string): { readonly by: string | null } | string {
  if (body.trim() === '') return { by: null }
  let value: unknown
  try {
    value = JSON.parse(body)
  } catch {
    return 'The body is not JSON.'
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return 'The body is no JSON object.'
  const { by = null, ...others } = value as Readonly<Record<string, unknown>>
  const [other] = Object.keys(others)
  if (other !== undefined) return `The body has an unknown key, ${JSON.stringify(printable(other, maxNameLength))}.`
  if (by !== null && typeof by !== 'string') return '"by" is not a text.'
  const name = printable(by?.trim() ?? '', maxNameLength)
  return { by: name === '' ? null : name }
}

function whyUnknown({ action, endpoint }: HandCall, service: ServiceView | null): string {
  const absent = service?.absent.find(({ address }) => address === endpoint)
  if (absent !== undefined)
    return `The catalog keeps it out of rotation: ${absent.reason}. There is nothing to ${action}.`
  const meant = service?.endpoints.find((each) => each.endpoint.instance === endpoint)
  if (meant !== undefined) return `An endpoint is named by its address and port: ${meant.endpoint.id}.`
  return `The service has no such endpoint. There ${listOf('endpoint', service?.endpoints.map((each) => each.endpoint.id) ?? [])}.`
}

function listOf(what: string, names: readonly string[]): string {
  if (names.length === 0) return `is no ${what}`
  const more = names.length > listed ? `, … ${names.length} in all` : ''
  return `${names.length === 1 ? 'is' : 'are'} ${names.slice(0, listed).join(', ')}${more}`
}
