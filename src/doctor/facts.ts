/**
 * What does the doctor look at? All that was read and tried, as plain data: findings.ts judges it and asks nobody else.
 * Texts that come from a catalog are printable and bounded from here on, but for the names of services, which are asked for
 * and routed as they are.
 */

import type { Failure } from '../discovery/failure.ts'
import type { Oddity } from '../discovery/oddity.ts'

/** As `discovery.source` has them. */
export type SourceName = 'consul' | 'eureka' | 'etcd' | 'zookeeper' | 'swarm' | 'dns' | 'file' | 'push' | 'static'

/** What was read of one source, and tried. */
export interface Facts {
  /** Where the catalog is from: an address without credentials, a file, or the words for a fixed list. */
  readonly from: string
  readonly source: SourceName
  /** What there is to tell of the registry beside its catalog. */
  readonly registry: RegistryFacts
  /** What is strange in it and belongs to no service that has instances. */
  readonly strays: readonly Oddity[]
  /** What else the source warned of while it was read. */
  readonly warnings: readonly string[]
  /** What the other sources of the config have; null: there are none. */
  readonly others: OtherSources | null
  /** Empty, or `/api`: in front of each service's name in a path. */
  readonly basePath: string
  /** Only this service was asked for; null: all. */
  readonly only: string | null
  /** Names that the source lists, those included that the config leaves out; null: the list could not be read. */
  readonly listed: number | null
  /** Names that the config leaves out. */
  readonly excluded: number
  readonly services: readonly ServiceFacts[]
  /** Readings that failed. */
  readonly unread: readonly UnreadFacts[]
  /** Of each answer of the agent, in the order in which they came. */
  readonly answers: readonly AnswerFacts[]
  /** The node whose agent was asked, when that agent is on this machine; null: it is elsewhere, or is not known. */
  readonly ownNode: string | null
  /** The agent, or the registry, was asked over the loopback address. */
  readonly agentIsHere: boolean
  /** What connecting showed, by `placeKey`. */
  readonly probes: ReadonlyMap<string, Probe>
  readonly churn: ChurnFacts
}

export interface ServiceFacts {
  /** As the catalog has it. */
  readonly name: string
  /** The config leaves it out: it was asked for by name. */
  readonly isExcluded: boolean
  /** Those that may be routed to: with the tag that the config wants, if any. */
  readonly instances: readonly InstanceFacts[]
  /** The tag that the config wants, and how many instances lack it; null: any will do. */
  readonly untagged: { readonly tag: string; readonly count: number } | null
  readonly oddities: readonly Oddity[]
  /** Datacenters that serve it while it has no endpoint here (`services.<name>.failover`); nobody looks at them. */
  readonly standbys: readonly string[]
}

export interface InstanceFacts {
  readonly id: string
  /** Empty for a fixed list. */
  readonly node: string
  /** The address as it is written in the catalog. */
  readonly stated: string
  /** In its one spelling; null: it is none that could be connected to. */
  readonly address: string | null
  /** Null: it has none that could be connected to. */
  readonly port: number | null
  /** `address:port`, as far as there is one. */
  readonly place: string
  /**
   * What the proxy makes of the catalog's word: `routed` gets requests, `critical` none because a check fails, `out` none for
   * another reason (maintenance, no port, no weight).
   */
  readonly standing: 'routed' | 'critical' | 'out'
  /** Why it is not routed; null when it is. */
  readonly reason: string | null
  /** Checks of its own or of its node, without the one that says that the node's agent is alive; null: the source has none. */
  readonly checks: number | null
  /** How long a connect to it may take. */
  readonly connectTimeoutMs: number
}

export interface UnreadFacts {
  /**
   * What was asked for: `list`, `checks` or one service; `server`: one of several that can be asked, and another answered;
   * `proxy`: the one that alone knows what was pushed to it.
   */
  readonly what:
    | { readonly kind: 'list' | 'checks' | 'server' | 'proxy' }
    | { readonly kind: 'service'; readonly name: string }
  readonly failure: Pick<Failure, 'message' | 'cure'>
}

/** What the head of an answer says of the agent and of its servers. */
export interface AnswerFacts {
  /** What was asked: answers to the same question can be compared. */
  readonly query: string
  /** `X-Consul-Index`; null: absent. */
  readonly index: string | null
  /** `X-Consul-KnownLeader`; null: absent. */
  readonly knowsLeader: boolean | null
  /** `X-Consul-LastContact`: how long ago the server that answered heard of its leader; null: absent. */
  readonly lastContactMs: number | null
  /** How far its clock is ahead of ours (below 0: behind), at the least; null: it does not say. */
  readonly clockAheadMs: number | null
}

/** How connecting to one place ended, and the GET behind it. */
export type Probe =
  | { readonly kind: 'connected'; readonly http: HttpProbe | null }
  | { readonly kind: 'failed'; readonly code: string }
  | { readonly kind: 'timed-out'; readonly afterMs: number }

/** How one GET ended. */
export type HttpProbe =
  | { readonly kind: 'status'; readonly status: number }
  /** What came is no HTTP. */
  | { readonly kind: 'no-http'; readonly detail: string }
  | { readonly kind: 'broke-off'; readonly code: string }
  | { readonly kind: 'silent'; readonly afterMs: number }

export interface ChurnFacts {
  /** How long the checks were watched. */
  readonly watchedMs: number
  readonly checks: readonly ChurningCheck[]
}

/** A check whose output changed while its status did not. */
export interface ChurningCheck {
  /** Null: it is its node's own check. */
  readonly service: string | null
  readonly instance: string
  readonly node: string
  readonly check: string
  readonly changes: number
}

/** Two instances with the same key are tried once. */
export function placeKey({ place, connectTimeoutMs }: Pick<InstanceFacts, 'place' | 'connectTimeoutMs'>): string {
  return `${place} ${connectTimeoutMs}`
}

/** Of a service that several sources may have. */
export interface OtherSources {
  /** The services that another source has in rotation, by that source's name. */
  readonly routed: ReadonlyMap<string, SourceName>
  /** All services that another source lists. */
  readonly listed: ReadonlySet<string>
}

export type RegistryFacts =
  | { readonly kind: 'none' }
  | ({ readonly kind: 'eureka' } & EurekaFacts)
  | ({ readonly kind: 'entries' } & EntryFacts)
  | { readonly kind: 'swarm'; readonly network: string | null; readonly label: string }
  | ({ readonly kind: 'dns' } & DnsFacts)
  /** What makes the file a wrong one, each with its line as far as that is known. */
  | { readonly kind: 'file'; readonly problems: readonly { readonly place: string; readonly message: string }[] }

export interface EurekaFacts {
  /** `discovery.eureka.name` and `address`. */
  readonly name: 'app' | 'vip'
  readonly address: 'host-name' | 'ip'
  /** Of all that is registered; null: that could not be read. */
  readonly registered: {
    readonly count: number
    /** Instances that are UP although they have long missed their beats. */
    readonly overdue: readonly { readonly app: string; readonly id: string; readonly silentMs: number }[]
    /** Those without a vipAddress. */
    readonly unnamed: readonly { readonly app: string; readonly id: string }[]
    /** Applications whose instances' vipAddresses are other names than theirs, all in lower case. */
    readonly aliases: readonly { readonly app: string; readonly vips: readonly string[] }[]
  } | null
}

/** Of a tree of keys or nodes in which each instance is an entry: etcd, ZooKeeper. */
export interface EntryFacts {
  /** Below which they are looked for. */
  readonly path: string
  /** How many there are, whatever they are; null: not known. */
  readonly count: number | null
  /** Instances whose entries nothing removes when they die: no lease, not ephemeral. */
  readonly permanent: readonly { readonly service: string; readonly id: string }[]
}

export interface DnsFacts {
  /** The resolvers that failed, each with how often and in which way. */
  readonly failing: readonly {
    readonly resolver: string
    readonly failed: number
    readonly asked: number
    readonly failure: Pick<Failure, 'message' | 'cure'>
  }[]
  /** Of each service the question and what came of it, as far as a resolver answered. */
  readonly names: readonly {
    readonly service: string
    /** `SRV _http._tcp.web.example` */
    readonly question: string
    /** Resolvers that say that there is no such name, or that it has no such record, and those that name something. */
    readonly absent: readonly string[]
    readonly empty: readonly string[]
    readonly answering: readonly string[]
    /** How long the answer holds by its own word; null: it does not say, or names nothing. */
    readonly ttlMs: number | null
  }[]
}
