/** The parsed, complete, frozen configuration of one process: every part's own options, composed. */

import type { OutlierOptions } from '../balancer/outlier-options.ts'
import type { BalancingOptions } from '../balancer/slow-start.ts'
import type { AdmissionOptions } from '../discovery/admission.ts'
import type { RegistrationOptions } from '../discovery/consul/registration.ts'
import type { LimitOptions } from '../proxy/exchange.ts'
import type { UpstreamOptions } from '../proxy/policy.ts'
import type { RetryOptions } from '../proxy/retry.ts'
import type { DiscoveryOptions } from './discovery-options.ts'

export interface Address {
  readonly host: string
  /** 0: any free port. */
  readonly port: number
}

export interface AdminOptions extends Address {
  /** With it, callers from elsewhere may change something too; null: only those on the loopback address. */
  readonly token: string | null
}

export interface MetricsLimits {
  /** Services with series of their own; those beyond are counted together as `_other`. */
  readonly maxServices: number
}

export interface TracingOptions {
  /** Makes a `traceparent` for a request that has none. */
  readonly enabled: boolean
  /** Share (0–1) of the traces made here whose flag tells those downstream to record them. */
  readonly sample: number
}

export interface RoutingOptions {
  /** Empty, or `/api`: starts with a slash, ends without one. */
  readonly basePath: string
  readonly stripPrefix: boolean
  /** True: tags in fabio's way claim requests by host and path. */
  readonly fabioTags: boolean
}

/** What may differ for one service; what is absent is as for all. */
export interface ServiceOverrides {
  readonly upstream: Partial<UpstreamOptions>
  readonly outlier: Partial<OutlierOptions>
  readonly retry: Partial<RetryOptions>
  readonly routing: { readonly stripPrefix?: boolean }
  readonly balancing: Partial<BalancingOptions>
  /** Datacenters to ask for it, in this order, while its own has no endpoint of it. */
  readonly failover: readonly string[]
}

export interface Config {
  readonly listen: Address
  readonly admin: AdminOptions
  readonly workers: 1
  readonly engine: 'http-proxy' | 'wire'
  readonly discovery: DiscoveryOptions
  readonly admission: AdmissionOptions
  readonly routing: RoutingOptions
  readonly balancing: BalancingOptions
  readonly upstream: UpstreamOptions
  readonly outlier: OutlierOptions
  readonly retry: RetryOptions
  readonly limits: LimitOptions
  /** CIDRs, or single addresses. */
  readonly trustedProxies: readonly string[]
  /** `sample`: 0–1. */
  readonly accessLog: { readonly enabled: boolean; readonly sample: number; readonly query: boolean }
  readonly metrics: MetricsLimits
  readonly tracing: TracingOptions
  readonly log: { readonly level: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent' }
  readonly shutdown: { readonly drainDelayMs: number; readonly drainTimeoutMs: number }
  readonly register: RegistrationOptions
  readonly services: Readonly<Record<string, ServiceOverrides>>
}
