/**
 * Does what is known of a service agree with what Consul says of all checks? Pure: `unknown` JSON in, texts to compare out.
 *
 * One query over every check that does not pass stands in for a watch of each service. It is compared with what the last
 * reading of a service said of the same checks, and not with its own answer before: so it does not matter which answers
 * were missed, nor in which order readings and answers came.
 */

import { compareText } from '../untrusted-text.ts'

/** The checks that do not pass, of one answer to `health/state/any`. */
export interface AilingChecks {
  /** Of the instances of a service, and of the nodes that they run on: as one text, '' when all of them pass. */
  of(service: string, nodes: readonly string[]): string
}

/** What one answer to `health/service/:name` says of the same. */
export interface ServiceChecks {
  /** The nodes that its instances run on, each once. */
  readonly nodes: readonly string[]
  readonly ailing: string
}

export type DecodedChecks =
  | { readonly kind: 'checks'; readonly checks: AilingChecks }
  | { readonly kind: 'unreadable'; readonly message: string }

/** What the query is filtered by. A server that does not know filters says more, and nothing else is made of it. */
export const AILING_FILTER = 'Status != "passing"'

/** @param body the answer's JSON: an array of checks. Anything else is `unreadable`; nothing throws. */
export function decodeAilingChecks(body: unknown): DecodedChecks {
  if (!Array.isArray(body)) return { kind: 'unreadable', message: 'the list of checks is not an array' }
  const ofServices = new Map<string, Set<string>>()
  const ofNodes = new Map<string, Set<string>>()
  for (const check of body) {
    if (!isObject(check) || check.Status === 'passing') continue
    const node = text(check.Node)
    const service = text(check.ServiceName)
    // A check without a service is the node's own, and concerns all that runs on it.
    const [group, name] = service === '' ? [ofNodes, node] : [ofServices, service]
    const entry = group.get(name) ?? new Set()
    group.set(name, entry.add(ailment(node, check)))
  }
  return {
    kind: 'checks',
    checks: {
      of(service, nodes) {
        const own = ofServices.get(service)
        const theirs = ofNodes.size === 0 ? [] : nodes.flatMap((node) => [...(ofNodes.get(node) ?? [])])
        if (own === undefined && theirs.length === 0) return ''
        return joined([...(own ?? []), ...theirs])
      },
    },
  }
}

/** @param body the JSON of a service's instances; what is malformed in it counts for nothing here. */
export function checksOfInstances(body: unknown): ServiceChecks {
  const nodes = new Set<string>()
  const ailments = new Set<string>()
  for (const entry of Array.isArray(body) ? body : []) {
    if (!isObject(entry)) continue
    const node = isObject(entry.Node) ? text(entry.Node.Node) : ''
    nodes.add(node)
    for (const check of Array.isArray(entry.Checks) ? entry.Checks : []) {
      if (isObject(check) && check.Status !== 'passing') ailments.add(ailment(node, check))
    }
  }
  return { nodes: [...nodes], ailing: joined([...ailments]) }
}

/** The check and its status, and its name, for operators are told that; but not its output, which changes all the time. */
function ailment(node: string, check: Json): string {
  return JSON.stringify([node, text(check.CheckID), text(check.Status), text(check.Name)])
}

function joined(ailments: readonly string[]): string {
  return [...ailments].sort(compareText).join('\n')
}

type Json = Readonly<Record<string, unknown>>

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : ''
}
