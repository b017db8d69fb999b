/**
 * Which sample instances run, and how does a person play with them? The fleet of the demo: it starts and stops
 * instances, kills them, makes them sick, and heals them. Every instance has a slot, and a slot has its own loopback
 * address, so that a service's third instance is at the same address whenever it runs.
 */

import { Agent } from 'node:http'
import { send } from './http-client.ts'
import { type Instance, startInstance } from './instance.ts'
import { accountService, parseQuote, type Quote, quotesService, type Service } from './sample-services.ts'

export const serviceNames = ['accountservice', 'quotes-service'] as const
export type ServiceName = (typeof serviceNames)[number]

export const maxInstances = 20

export interface FleetOptions {
  /** Where Consul's HTTP API is. */
  readonly catalogUrl: string
  /** Through which the account service reaches the quotes service. */
  readonly proxyUrl: string
}

export interface InstanceView {
  readonly service: ServiceName
  readonly id: string
  /** `address:port` */
  readonly at: string
  readonly state: 'running' | 'sick' | 'killed'
}

/** Commands run one after the other, in the order given. Each resolves with the ids that it touched. */
export interface Fleet {
  /** Makes exactly `count` (0–20) instances run, in the lowest slots, and clears away what was killed. */
  scale(service: ServiceName, count: number): Promise<string[]>
  /** Ends the first running instance as `kill -9` would. Empty when none runs. */
  kill(service: ServiceName): Promise<string[]>
  /** Makes the first well instance answer 500. Empty when none is well. */
  sick(service: ServiceName): Promise<string[]>
  /** Makes every sick instance well and starts every killed one again. */
  heal(): Promise<string[]>
  list(): InstanceView[]
  /** Stops all. */
  close(): Promise<void>
}

interface Slot {
  readonly instance: Instance
  killed: boolean
}

/** The last number of the loopback address of each service's first slot: 127.0.0.11 …, 127.0.0.41 … */
const firstAddress: Readonly<Record<ServiceName, number>> = { accountservice: 11, 'quotes-service': 41 }
const initialCount: Readonly<Record<ServiceName, number>> = { accountservice: 3, 'quotes-service': 2 }
const quoteTimeoutMs = 1000

/** Starts three account and two quotes instances; resolves once the catalog knows all. */
export async function startFleet({ catalogUrl, proxyUrl }: FleetOptions): Promise<Fleet> {
  const agent = new Agent({ keepAlive: true })
  const slots: Readonly<Record<ServiceName, Map<number, Slot>>> = {
    accountservice: new Map(),
    'quotes-service': new Map(),
  }
  const answers: Readonly<Record<ServiceName, () => Service>> = {
    accountservice: () => accountService(fetchQuote),
    'quotes-service': quotesService,
  }

  async function fetchQuote(): Promise<Quote> {
    const url = `${proxyUrl}/quotes-service/api/quote?strength=4`
    const { status, text } = await send({ method: 'GET', url, timeoutMs: quoteTimeoutMs, agent })
    if (status !== 200) throw new Error(`the proxy answered ${status}`)
    const quote = parseQuote(text)
    if (quote === null) throw new Error('the answer was no quote')
    return quote
  }

  async function start(service: ServiceName, number: number): Promise<string> {
    const instance = await startInstance({
      service,
      id: `${service}-${number}`,
      address: `127.0.0.${firstAddress[service] + number - 1}`,
      answer: answers[service](),
      catalogUrl,
      agent,
    })
    slots[service].set(number, { instance, killed: false })
    return instance.id
  }

  function ordered(service: ServiceName): [number, Slot][] {
    return [...slots[service]].sort(([a], [b]) => a - b)
  }

  function first(service: ServiceName, wanted: (slot: Slot) => boolean): Slot | undefined {
    return ordered(service).find(([, slot]) => wanted(slot))?.[1]
  }

  async function scale(service: ServiceName, count: number): Promise<string[]> {
    const touched: Promise<string>[] = []
    for (const [number, { instance, killed }] of ordered(service)) {
      if (number <= count && !killed) continue
      slots[service].delete(number)
      if (number > count) touched.push(instance.stop().then(() => instance.id))
    }
    for (let number = 1; number <= count; number++) {
      if (!slots[service].has(number)) touched.push(start(service, number))
    }
    // All must have ended before one failure is told: an instance that starts late would outlive the fleet.
    await Promise.allSettled(touched)
    return Promise.all(touched)
  }

  async function heal(): Promise<string[]> {
    const touched: string[] = []
    for (const service of serviceNames) {
      for (const [number, slot] of ordered(service)) {
        if (slot.killed) touched.push(await start(service, number))
        else if (slot.instance.sick) {
          slot.instance.sick = false
          touched.push(slot.instance.id)
        }
      }
    }
    return touched
  }

  const inOrder = createQueue()
  const fleet: Fleet = {
    scale: (service, count) => inOrder(() => scale(service, count)),
    kill: (service) =>
      inOrder(async () => {
        const slot = first(service, ({ killed }) => !killed)
        if (slot === undefined) return []
        slot.killed = true
        slot.instance.kill()
        return [slot.instance.id]
      }),
    sick: (service) =>
      inOrder(async () => {
        const slot = first(service, ({ killed, instance }) => !killed && !instance.sick)
        if (slot === undefined) return []
        slot.instance.sick = true
        return [slot.instance.id]
      }),
    heal: () => inOrder(heal),
    list: () => serviceNames.flatMap((service) => ordered(service).map(([, slot]) => view(service, slot))),
    close: () =>
      inOrder(async () => {
        await Promise.all(serviceNames.map((service) => scale(service, 0)))
        agent.destroy()
      }),
  }
  try {
    await Promise.all(serviceNames.map((service) => scale(service, initialCount[service])))
  } catch (error) {
    await fleet.close()
    throw error
  }
  return fleet
}

function view(service: ServiceName, { instance, killed }: Slot): InstanceView {
  const state = killed ? 'killed' : instance.sick ? 'sick' : 'running'
  return { service, id: instance.id, at: `${instance.address}:${instance.port}`, state }
}

/** Runs what it is given one after the other. */
function createQueue(): <T>(run: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve()
  return (run) => {
    const next = last.then(run)
    last = next.catch(() => {})
    return next
  }
}
