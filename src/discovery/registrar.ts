/** How does a program get a service into a registry that does not register itself, and out again? One interface for all. */

import type { Failure } from './failure.ts'

/** What is registered. */
export interface Registrant {
  readonly service: string
  /** Unique within its service, and the same again after a restart at the same place. */
  readonly id: string
  /** An IP address or a host name that clients reach; IPv6 without brackets. */
  readonly address: string
  /** 1–65535 */
  readonly port: number
  readonly tags: readonly string[]
}

/** What came of asking a registry. `changed`: it was not so before, as far as the registrar knows. */
export type Registered =
  | { readonly kind: 'done'; readonly changed: boolean }
  | { readonly kind: 'failed'; readonly where: string; readonly failure: Failure }

/**
 * One service in one registry. Nothing rejects. One call at a time; each has deadlines of its own and ends soon after
 * `signal` is aborted.
 */
export interface Registrar {
  /** The registry as it may be shown: without credentials. */
  readonly where: string
  /** How often `keep` has to be called, in milliseconds. */
  readonly beatMs: number
  /** Makes sure that the registry has the instance, and as a healthy one; registers it (again) where it has not. */
  keep(signal: AbortSignal): Promise<Registered>
  /** The instance lives but is not well: nobody is to be sent to it. Where a registry has no word for that, it leaves. */
  suspend(signal: AbortSignal): Promise<Registered>
  /** Takes the instance out. Not being there is `done` too. */
  remove(signal: AbortSignal): Promise<Registered>
  /** Closes what is open towards the registry; what is registered stays so. */
  close(): Promise<void>
}
