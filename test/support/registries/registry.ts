/**
 * What does a drill or a test need of a registry, to do the same with every one of them? A driver stands in front of a real
 * server: it writes instances as those do that use such a registry, ends the server and starts it again, and says how
 * Evenkeel is told of it.
 */

export interface RegisteredInstance {
  readonly service: string
  /** Unique in the service. */
  readonly id: string
  /** An IPv4 address. */
  readonly address: string
  readonly port: number
}

export interface StartedInstance {
  readonly name: string
  readonly address: string
  readonly port: number
}

/** A server that runs, and what was registered there by its driver. */
export interface Registry {
  /**
   * What stands in a config below `discovery.<name>`.
   * @param services those that will be asked for: some registries do not list what they have
   */
  section(services: readonly string[]): Readonly<Record<string, unknown>>
  /** Resolves once the registry has taken all of them. */
  register(instances: readonly RegisteredInstance[]): Promise<void>
  /** Resolves once the registry has taken it. */
  deregister(instance: RegisteredInstance): Promise<void>
  /** Only of one that `isContained`. Makes of a command, with whole paths, one that runs where its instances are. */
  inside?(command: readonly string[]): readonly [command: string, args: readonly string[]]
  /** Absent: any process can be an instance. Starts some that answer as those of the drills do; registers none of them. */
  startInstances?(names: readonly string[]): Promise<readonly StartedInstance[]>
  /** Absent: the registry does not need the proxy. Resolves once it has what has been registered before. */
  onProxy?(adminPort: number): Promise<void>
  /** Absent: what the registry has taken it tells at once. Resolves once it tells everybody all that it has taken. */
  untilTold?(): Promise<void>
  /** Ends the server without a word to it. What is registered afterwards is the caller's mistake. */
  kill(): Promise<void>
  /** Resolves once it answers again, with what a server of its kind still knows then. */
  startAgain(): Promise<void>
  /** Ends it for good, with all that it has written. */
  close(): Promise<void>
}

export interface RegistryKind {
  /** As `discovery.source` names it. */
  readonly name: string
  /** What the protocol itself costs, however good its reader is, and what the server here is set to. One sentence. */
  readonly floor: string
  /** How far apart two looks at it are; 0: it tells of changes. Changes that are measured must not come in step with it. */
  readonly pollMs: number
  /** Why it cannot be killed; absent: it can. */
  readonly cannotDie?: string
  /** Its instances cannot be reached from here, but from inside. */
  readonly isContained?: true
  /** It runs the instances, too, and ends them when it comes back. */
  readonly endsInstances?: true
  /** Why there is none to be had here; null: there is one, or it must be there. */
  lacks(): Promise<string | null>
  start(): Promise<Registry>
}

/** Why something is not there, for a test to be skipped with; in CI it has to be there, and nothing is skipped. */
export async function lacksUnlessCi(find: () => Promise<unknown>): Promise<string | null> {
  if (process.env.CI !== undefined && process.env.CI !== '') return null
  return find().then(
    () => null,
    (error: Error) => error.message,
  )
}
