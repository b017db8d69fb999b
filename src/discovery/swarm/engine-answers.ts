/**
 * What does an answer of the Docker Engine say? Pure: bytes in, as much of them as is needed out, in types of our own. What is
 * not as the API's documentation has it is left out; an answer that is no answer to the question says so.
 */

export type Unreadable = { readonly kind: 'unreadable'; readonly message: string }

/** What of the API this proxy was written for; older Engines and newer ones are asked in theirs. */
const WRITTEN_FOR = '1.41'

export type VersionAnswer = { readonly kind: 'version'; readonly version: string } | Unreadable

/** In which version of the API to ask. */
export function decodeVersion(body: Buffer): VersionAnswer {
  const answer = parsed(body)
  const { ApiVersion, MinAPIVersion } = isObject(answer) ? answer : {}
  if (typeof ApiVersion !== 'string' || !VERSION.test(ApiVersion)) return unreadable('/version names no ApiVersion')
  const least = typeof MinAPIVersion === 'string' && VERSION.test(MinAPIVersion) ? MinAPIVersion : WRITTEN_FOR
  if (isOlder(ApiVersion, WRITTEN_FOR)) return { kind: 'version', version: ApiVersion }
  return { kind: 'version', version: isOlder(WRITTEN_FOR, least) ? least : WRITTEN_FOR }
}

/** Whether the Engine is part of a swarm, and what it may say of it. */
export type Standing =
  /** A manager; the cluster's id, and a number that only grows while its data is not lost. */
  | { readonly kind: 'manager'; readonly cluster: string; readonly index: number }
  | { readonly kind: 'worker' }
  | { readonly kind: 'alone' }
  /** `pending`, `locked` or `error`, and what it says of it. */
  | { readonly kind: 'not-ready'; readonly state: string; readonly error: string }

export function decodeInfo(body: Buffer): Standing | Unreadable {
  const info = parsed(body)
  const swarm = isObject(info) ? info.Swarm : null
  if (!isObject(swarm)) return unreadable('/info does not say whether there is a swarm')
  const state = textOf(swarm.LocalNodeState)
  if (state === '' || state === 'inactive') return { kind: 'alone' }
  if (state !== 'active') return { kind: 'not-ready', state, error: textOf(swarm.Error) }
  if (swarm.ControlAvailable !== true) return { kind: 'worker' }
  const cluster = isObject(swarm.Cluster) ? swarm.Cluster : {}
  return { kind: 'manager', cluster: textOf(cluster.ID), index: indexOf(cluster.Version) }
}

export type Labels = Readonly<Record<string, unknown>>

export interface SwarmService {
  readonly id: string
  readonly name: string
  /** Those of the service, then those of its containers: the first that has a label counts. */
  readonly labels: readonly Labels[]
}

export interface Attachment {
  readonly id: string
  readonly name: string
  readonly driver: string
  readonly isIngress: boolean
  /** Without the length of its prefix; empty: none. */
  readonly address: string
}

export interface SwarmTask {
  readonly id: string
  readonly service: string
  readonly node: string
  /** Which of a service's replicas it is; null: there is one on each node. */
  readonly slot: number | null
  readonly desired: string
  readonly state: string
  readonly error: string
  /** When it came into this state, as the API writes it: texts of one length that order as the times do. */
  readonly since: string
  readonly networks: readonly Attachment[]
}

export interface SwarmNode {
  readonly id: string
  readonly state: string
  readonly availability: string
}

export interface Container {
  readonly id: string
  readonly name: string
  readonly labels: Labels
  /** `running`, `exited`, `paused` … */
  readonly state: string
  /** What its health check says. */
  readonly health: 'none' | 'starting' | 'healthy' | 'unhealthy'
  readonly networks: readonly Attachment[]
}

export type ListOf<T> = { readonly kind: 'list'; readonly items: readonly T[] } | Unreadable

export function decodeServices(body: Buffer): ListOf<SwarmService> {
  return listOf(body, '/services', ({ ID, Spec }) => {
    const { Name, Labels, TaskTemplate } = objectOf(Spec)
    const container = objectOf(objectOf(TaskTemplate).ContainerSpec)
    return { id: textOf(ID), name: textOf(Name), labels: [objectOf(Labels), objectOf(container.Labels)] }
  })
}

export function decodeTasks(body: Buffer): ListOf<SwarmTask> {
  return listOf(body, '/tasks', ({ ID, ServiceID, NodeID, Slot, DesiredState, Status, NetworksAttachments }) => {
    const { State, Err, Message, Timestamp } = objectOf(Status)
    return {
      id: textOf(ID),
      service: textOf(ServiceID),
      node: textOf(NodeID),
      slot: typeof Slot === 'number' && Slot > 0 ? Slot : null,
      desired: textOf(DesiredState),
      state: textOf(State),
      error: textOf(Err) || (textOf(State) === 'rejected' ? textOf(Message) : ''),
      since: textOf(Timestamp),
      networks: Array.isArray(NetworksAttachments) ? NetworksAttachments.filter(isObject).map(attachmentOf) : [],
    }
  })
}

export function decodeNodes(body: Buffer): ListOf<SwarmNode> {
  return listOf(body, '/nodes', ({ ID, Spec, Status }) => {
    return { id: textOf(ID), state: textOf(objectOf(Status).State), availability: textOf(objectOf(Spec).Availability) }
  })
}

export function decodeContainers(body: Buffer): ListOf<Container> {
  return listOf(body, '/containers/json', ({ Id, Names, Labels, State, Status, Health, NetworkSettings }) => {
    const [first] = Array.isArray(Names) ? Names : []
    const networks = Object.entries(objectOf(objectOf(NetworkSettings).Networks))
    return {
      id: textOf(Id),
      name: textOf(first).replace(/^\//, ''),
      labels: objectOf(Labels),
      state: textOf(State),
      health: healthOf(textOf(objectOf(Health).Status), textOf(Status)),
      networks: networks.map(([name, network]) => {
        const { NetworkID, IPAddress, GlobalIPv6Address } = objectOf(network)
        const address = textOf(IPAddress) || textOf(GlobalIPv6Address)
        return { id: textOf(NetworkID), name, driver: '', isIngress: false, address }
      }),
    }
  })
}

type Json = Readonly<Record<string, unknown>>

const VERSION = /^\d{1,3}\.\d{1,4}$/

function isOlder(version: string, than: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  const [otherMajor = 0, otherMinor = 0] = than.split('.').map(Number)
  return major === otherMajor ? minor < otherMinor : major < otherMajor
}

function attachmentOf({ Network, Addresses }: Json): Attachment {
  const { ID, Spec, DriverState } = objectOf(Network)
  const { Name, Ingress, DriverConfiguration } = objectOf(Spec)
  const [address] = Array.isArray(Addresses) ? Addresses : []
  return {
    id: textOf(ID),
    name: textOf(Name),
    driver: textOf(objectOf(DriverState).Name) || textOf(objectOf(DriverConfiguration).Name),
    // Before 1.29 of the API it was known by its name only.
    isIngress: Ingress === true || textOf(Name) === 'ingress',
    address: textOf(address).replace(/\/\d+$/, ''),
  }
}

/** Older Engines say it in the text that `docker ps` shows, and nowhere else in a list. */
function healthOf(said: string, status: string): Container['health'] {
  const [, words = ''] = /\((?:health: )?(starting|healthy|unhealthy)\)$/.exec(status) ?? []
  const health = said || words
  return health === 'starting' || health === 'healthy' || health === 'unhealthy' ? health : 'none'
}

function listOf<T>(body: Buffer, path: string, read: (entry: Json) => T): ListOf<T> {
  const answer = parsed(body)
  if (!Array.isArray(answer)) return unreadable(`the answer to ${path} is no list`)
  return { kind: 'list', items: answer.filter(isObject).map(read) }
}

function parsed(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'))
  } catch {
    return undefined
  }
}

function unreadable(message: string): Unreadable {
  return { kind: 'unreadable', message }
}

function indexOf(version: unknown): number {
  const { Index } = objectOf(version)
  return typeof Index === 'number' ? Index : 0
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

function objectOf(value: unknown): Json {
  return isObject(value) ? value : {}
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
