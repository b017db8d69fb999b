/**
 * What do labels and networks say of where to send requests? Pure: shared by the tasks of a swarm and by plain
 * containers. Whoever may deploy chooses these texts: they are bounded and made printable here, and trusted from here on.
 */

import {
  type AbsentInstance,
  type CatalogService,
  compareEndpoints,
  type Endpoint,
  endpointId,
} from '../../balancer/endpoint.ts'
import { isPort, normalAddress } from '../address.ts'
import { matchesAny } from '../glob.ts'
import { isNameable, type NameRules } from '../names.ts'
import { type Oddity, oddity } from '../oddity.ts'
import { compareText, printable } from '../untrusted-text.ts'
import type { Attachment, Labels } from './engine-answers.ts'

export interface SwarmRules extends NameRules {
  /** The network whose addresses count, by name or id; null: the one that an instance is on, if it is only one. */
  readonly network: string | null
  /** The label that says the port; what has none is not routed. */
  readonly label: string
}

/** The label that gives a service another name than its own. */
export const NAME_LABEL = 'evenkeel.name'

const MAX_INSTANCE_LENGTH = 128
const MAX_QUOTE_LENGTH = 64
const MAX_NETWORKS_NAMED = 5

export type PortLabel =
  | { readonly kind: 'none' }
  | { readonly kind: 'port'; readonly port: number }
  | { readonly kind: 'bad'; readonly reason: string }

/** @param labels the first that has the label counts */
export function portOf(labels: readonly Labels[], label: string): PortLabel {
  const value = labelOf(labels, label)
  if (value === undefined) return { kind: 'none' }
  const port = typeof value === 'string' && /^\d{1,5}$/.test(value.trim()) ? Number(value) : 0
  if (isPort(port)) return { kind: 'port', port }
  return { kind: 'bad', reason: `its label ${printable(label, MAX_QUOTE_LENGTH)} is ${quoted(value)}, not 1 to 65535` }
}

/** @param own its name if no label gives it another */
export function nameOf(labels: readonly Labels[], own: string): string {
  const given = labelOf(labels, NAME_LABEL)
  return typeof given === 'string' && given !== '' ? given : own
}

function labelOf(labels: readonly Labels[], label: string): unknown {
  return labels.find((each) => Object.hasOwn(each, label))?.[label]
}

export type Reachable =
  | { readonly kind: 'at'; readonly address: string }
  /** One clause that names the networks, and what to do where it is not plain. */
  | { readonly kind: 'nowhere'; readonly reason: string }

/**
 * Where one reaches an instance that is on these networks. Never on the ingress network: its addresses do not answer.
 * @param preferred the driver of networks that count before others do; null: all are alike
 */
export function reachedOn(networks: readonly Attachment[], wanted: string | null, preferred: string | null): Reachable {
  const others = networks.filter(({ isIngress }) => !isIngress)
  const named = wanted === null ? others : others.filter(({ id, name }) => name === wanted || id === wanted)
  const best = wanted === null && preferred !== null ? named.filter(({ driver }) => driver === preferred) : named
  const [first, second] = best.length > 0 ? best : named
  const nowhere = (reason: string): Reachable => ({ kind: 'nowhere', reason })
  const list = namesOf(others)
  if (first === undefined) {
    if (wanted === null)
      return nowhere('it is on no network but ingress: attach it to an overlay that this proxy is on')
    const instead = others.length === 0 ? 'nor on any other but ingress' : `but on ${list}`
    return nowhere(`it is not on the network ${quoted(wanted)} (discovery.swarm.network), ${instead}`)
  }
  if (second !== undefined)
    return nowhere(`it is on several networks (${list}): say which with discovery.swarm.network`)
  const address = normalAddress(first.address)
  if (address === null) return nowhere(`it has no address of its own on the network ${quoted(first.name)}`)
  return { kind: 'at', address }
}

function namesOf(networks: readonly Attachment[]): string {
  const names = networks.map(({ name }) => quoted(name)).sort(compareText)
  const more = names.length - MAX_NETWORKS_NAMED
  return `${names.slice(0, MAX_NETWORKS_NAMED).join(', ')}${more > 0 ? ` and ${more} more` : ''}`
}

/** Several services of Docker may have one name here: then they are one service, with the instances of all. */
export interface Assembly {
  /** A service of this name is there. False: it is not to be routed, and no instance of it is to be told. */
  service(name: string): boolean
  /** `trouble` null: it is in rotation. */
  instance(service: string, instance: string, at: Reachable, port: PortLabel, trouble: string | null): void
  note(service: string, kind: Oddity['kind'], subject: string, words: string): void
  /** Services ordered by name, and what is odd by service; '': of none. */
  done(): { readonly services: ReadonlyMap<string, CatalogService>; readonly oddities: ReadonlyMap<string, Oddity[]> }
}

export function assembly({ include, exclude }: NameRules): Assembly {
  const services = new Map<string, { ready: Endpoint[]; absent: AbsentInstance[] }>()
  const oddities = new Map<string, Oddity[]>()

  function note(service: string, kind: Oddity['kind'], subject: string, words: string): void {
    const of = oddities.get(service) ?? []
    of.push(oddity(kind, subject, words))
    oddities.set(service, of)
  }

  function assembled(name: string, ready: Endpoint[], absent: AbsentInstance[]): CatalogService {
    const places = new Map<string, Endpoint>()
    // Of several instances at one place the one with the first name stands for it.
    for (const endpoint of ready.sort((a, b) => compareText(a.instance, b.instance))) {
      const { id, instance } = endpoint
      const holder = places.get(id)
      if (holder === undefined) places.set(id, endpoint)
      else {
        absent.push({ instance, address: id, reason: `same address and port as "${holder.instance}"` })
        note(name, 'shared-address', instance, `counted once: ${id}, also of "${holder.instance}"`)
      }
    }
    return { endpoints: [...places.values()].sort(compareEndpoints), absent: absent.sort(compareAbsent) }
  }

  return {
    note,
    service(name) {
      if (!isNameable(name)) {
        note('', 'bad-name', name, `the service name ${quoted(name)} cannot be routed to`)
        return false
      }
      if (!matchesAny(include, name) || matchesAny(exclude, name)) return false
      if (!services.has(name)) services.set(name, { ready: [], absent: [] })
      return true
    },
    instance(service, given, at, port, trouble) {
      const of = services.get(service)
      if (of === undefined) return
      const instance = printable(given, MAX_INSTANCE_LENGTH)
      const isPlaced = at.kind === 'at' && port.kind === 'port'
      const id = isPlaced ? endpointId(at.address, port.port) : ''
      const reason = (port.kind === 'bad' ? port.reason : null) ?? trouble ?? (at.kind === 'nowhere' ? at.reason : null)
      if (reason === null && isPlaced) {
        of.ready.push({ id, instance, address: at.address, port: port.port, weight: 1 })
      } else {
        of.absent.push({ instance, address: id, reason: reason ?? 'it has no port' })
      }
    },
    done() {
      const sorted = [...services].sort(([a], [b]) => compareText(a, b))
      const whole = new Map(sorted.map(([name, { ready, absent }]) => [name, assembled(name, ready, absent)]))
      return { services: whole, oddities }
    },
  }
}

function compareAbsent(a: AbsentInstance, b: AbsentInstance): number {
  return compareText(a.address, b.address) || compareText(a.instance, b.instance) || compareText(a.reason, b.reason)
}

/** A foreign value for people to read, whatever it is. */
function quoted(value: unknown): string {
  const words = typeof value === 'string' ? value : typeof value
  return printable(JSON.stringify(words), MAX_QUOTE_LENGTH)
}
