/**
 * Where can requests go, according to a Eureka registry? Pure: instances in, a catalog out.
 *
 * Only `UP` gets traffic; every other status is absent with its name. Whoever may register chooses these texts: they are
 * bounded and made printable here, and trusted from here on.
 */

import {
  type AbsentInstance,
  type Catalog,
  type CatalogService,
  compareEndpoints,
  type Endpoint,
  endpointId,
} from '../../balancer/endpoint.ts'
import { normalAddress } from '../address.ts'
import { matchesAny } from '../glob.ts'
import { isNameable, type NameRules } from '../names.ts'
import { type Oddity, oddity } from '../oddity.ts'
import { compareText, printable } from '../untrusted-text.ts'
import type { EurekaInstance } from './eureka-answer.ts'
import { type EurekaRegistry, instancesOf } from './eureka-registry.ts'

export interface EurekaRules extends NameRules {
  /** What names a service, in lower case: the application, or each of the instance's vipAddresses. */
  readonly name: 'app' | 'vip'
  /** Where an instance is reached: at its `hostName`, as Eureka's own clients do, or at its `ipAddr`. */
  readonly address: 'host-name' | 'ip'
  /** True: an instance whose plain port is disabled is reached at its secure one. False: it is absent. */
  readonly securePort: boolean
}

export interface RegistryCatalog {
  readonly catalog: Catalog
  /** By service, those that have any. */
  readonly oddities: ReadonlyMap<string, readonly Oddity[]>
}

const MAX_INSTANCE_LENGTH = 128
const MAX_ADDRESS_LENGTH = 64
/** Names that one instance can be registered under; more are no list of names. */
const MAX_NAMES = 16

/** One service while it is put together. */
interface Draft {
  readonly endpoints: Endpoint[]
  readonly absent: AbsentInstance[]
  readonly oddities: Oddity[]
}

/**
 * The catalog of a registry. Each instance ends up, in each of its services, either as (part of) an endpoint or among `absent`
 * with a reason; an endpoint of what is lost is doubted. Never throws; the result does not depend on the order of the
 * instances.
 */
export function catalogOf(registry: EurekaRegistry, rules: EurekaRules): RegistryCatalog {
  const drafts = new Map<string, Draft>()
  const misnamed: Oddity[] = []
  for (const { instance, isLost } of instancesOf(registry)) {
    for (const name of namesOf(instance, rules)) {
      if (!isNameable(name)) misnamed.push(oddity('bad-name', name, 'this service name cannot be routed to'))
      else if (matchesAny(rules.include, name) && !matchesAny(rules.exclude, name)) {
        const draft = drafts.get(name) ?? { endpoints: [], absent: [], oddities: [] }
        drafts.set(name, draft)
        judge(instance, isLost, rules, draft)
      }
    }
  }
  const inOrder = [...drafts].sort(([a], [b]) => compareText(a, b))
  const services = inOrder.map(([name, draft]): [string, CatalogService] => [name, finish(draft)])
  const oddities = inOrder.map(([name, draft]): [string, Oddity[]] => [name, draft.oddities])
  return {
    catalog: { services: new Map(services) },
    oddities: new Map([['', misnamed] as const, ...oddities].filter(([, found]) => found.length > 0)),
  }
}

/** Without any vipAddress an instance has no name, as for Eureka's clients; each name once. */
function namesOf({ app, vipAddress }: EurekaInstance, { name }: EurekaRules): readonly string[] {
  if (name === 'app') return [app.toLowerCase()]
  const names = vipAddress.toLowerCase().split(',', MAX_NAMES)
  return [...new Set(names.map((vip) => vip.trim()).filter((vip) => vip !== ''))]
}

function judge(
  said: EurekaInstance,
  isLost: boolean,
  rules: EurekaRules,
  { endpoints, absent, oddities }: Draft,
): void {
  const instance = printable(said.id, MAX_INSTANCE_LENGTH)
  const stated = rules.address === 'ip' ? said.ipAddr || said.hostName : said.hostName || said.ipAddr
  const address = normalAddress(stated)
  const { port, securePort } = said
  const used = port.enabled || !(rules.securePort && securePort.enabled) ? port : securePort
  const away = (reason: string): void => {
    const shown = address ?? printable(stated, MAX_ADDRESS_LENGTH)
    const place = shown !== '' && used.number !== null ? endpointId(shown, used.number) : shown
    absent.push({ instance, address: place, reason })
  }

  if (stated === '') {
    oddities.push(oddity('no-address', said.id, 'it has neither a host name nor an IP address'))
    away('has no address')
  } else if (address === null) {
    oddities.push(oddity('bad-address', said.id, `${JSON.stringify(stated)} is not an address`))
    away('its address is not one')
  } else if (said.status !== 'UP') away(`its status is ${printable(said.status, 32)}`)
  else if (!used.enabled) away(securePort.enabled ? 'only its secure port is enabled' : 'its port is disabled')
  else if (used.number === null) {
    oddities.push(oddity('bad-port', said.id, 'it has no port from 1 to 65535'))
    away('has no port')
  } else {
    const endpoint = { id: endpointId(address, used.number), instance, address, port: used.number, weight: 1 }
    endpoints.push(isLost ? { ...endpoint, doubted: true } : endpoint)
  }
}

/**
 * One endpoint for each address and port. Of several instances the one with the first id stands for it, and sooner one that
 * the server knows: whoever came back to its place under a new id is not doubted.
 */
function finish({ endpoints, absent }: Draft): CatalogService {
  const places = new Map<string, Endpoint>()
  const others: AbsentInstance[] = []
  const doubt = ({ doubted }: Endpoint) => Number(doubted === true)
  for (const endpoint of endpoints.sort((a, b) => doubt(a) - doubt(b) || compareText(a.instance, b.instance))) {
    const holder = places.get(endpoint.id)
    if (holder === undefined) places.set(endpoint.id, endpoint)
    else {
      const reason = `same address and port as "${holder.instance}"`
      others.push({ instance: endpoint.instance, address: endpoint.id, reason })
    }
  }
  return {
    endpoints: [...places.values()].sort(compareEndpoints),
    absent: [...absent, ...others].sort(
      (a, b) =>
        compareText(a.address, b.address) || compareText(a.instance, b.instance) || compareText(a.reason, b.reason),
    ),
  }
}
