/** How do others find this proxy in Consul? */

export interface RegistrationOptions {
  readonly enabled: boolean
  /** The service name to register under. */
  readonly name: string
  /** Unique on its agent; null: made of the name and the port. */
  readonly id: string | null
  readonly tags: readonly string[]
  /** Where clients reach this proxy; null: the address of the agent's node. */
  readonly address: string | null
  /** 1–65535; null: the port that it listens on. */
  readonly port: number | null
  /** Origin of the admin listener as the agent reaches it; null: worked out from where that listens. */
  readonly checkUrl: string | null
  readonly checkIntervalMs: number
  /** How long its check may fail before Consul forgets it. */
  readonly deregisterAfterMs: number
}
