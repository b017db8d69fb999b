/** The two searches, as properties: one case through every engine, and whatever is wrong thrown as a Violation. */

import type fc from 'fast-check'
import { engines } from './engines.ts'
import { compareOrigins, judgeOrigins, readingOf } from './judge-origins.ts'
import { compareRequests, judgeRequests } from './judge-requests.ts'
import { knownReason } from './known.ts'
import { type OriginCase, originCase } from './origin-cases.ts'
import { playOrigins } from './play-origins.ts'
import { playRequests } from './play-requests.ts'
import { Silence } from './quiet.ts'
import { type RequestCase, requestCase } from './request-cases.ts'
import { Violation } from './violation.ts'
import { startWorld, type World } from './world.ts'

/** How much of a search was to the point: a search whose every request is refused proves nothing. */
export interface Coverage {
  runs: number
  [what: string]: number
}

export interface Lab {
  readonly coverage: Coverage
  /**
   * Puts one case through every engine.
   * @param input a case of this search
   * @throws Violation
   */
  attempt(search: Search, input: unknown): Promise<void>
  close(): Promise<void>
}

export interface LabOptions {
  /** The reason why a violation does not end a search, or null; as known.ts says unless told otherwise. */
  readonly accept?: (violation: Violation) => string | null
  /** Names of the engines; all unless told otherwise. */
  readonly only?: readonly string[]
}

export async function startLab({ accept = knownReason, only }: LabOptions = {}): Promise<Lab> {
  const silence = new Silence()
  const chosen = engines.filter(({ name }) => only?.includes(name) ?? true)
  const startWorlds = (): Promise<World[]> => Promise.all(chosen.map((engine) => startWorld(engine, silence)))
  let worlds = await startWorlds()
  const coverage: Coverage = { runs: 0 }
  const count = (what: string): void => {
    coverage[what] = (coverage[what] ?? 0) + 1
  }
  // One at a time: a search that is interrupted leaves its last run behind.
  let underWay: Promise<void> = Promise.resolve()
  const stray: unknown[] = []
  const onStray = (error: unknown): void => void stray.push(error)
  process.on('uncaughtException', onStray)
  process.on('unhandledRejection', onStray)

  /** After a violation nothing of these worlds can be trusted. */
  async function renew(after: Violation): Promise<void> {
    const old = worlds
    worlds = await startWorlds()
    const failed = (world: World): void => count(`${world.name} does not close, after: ${after.message.slice(0, 80)}`)
    await Promise.all(old.map((world) => world.close().catch(() => failed(world))))
    await silence.come()
    stray.length = 0
  }

  async function judged<T extends { readonly engine: string; readonly trouble: string | null }>(
    input: unknown,
    seen: readonly T[],
    judge: (one: T) => string | null,
    compare: (reference: T, other: T) => string | null,
  ): Promise<void> {
    coverage.runs++
    const violations: Violation[] = []
    const note = (engine: string, what: string | null): void => {
      if (what !== null) violations.push(new Violation(engine, what, input, seen))
    }
    for (const crash of stray) note('some engine', `uncaught: ${crash instanceof Error ? crash.stack : crash}`)
    for (const one of seen) note(one.engine, judge(one))
    const [reference, ...others] = seen
    if (reference !== undefined && violations.length === 0) {
      for (const other of others) note(other.engine, compare(reference, other))
    }
    const [first] = violations
    if (first === undefined) return
    await renew(first)
    for (const violation of violations) {
      const reason = accept(violation)
      if (reason === null) throw violation
      count(`known: ${reason}`)
    }
  }

  async function requests(input: RequestCase): Promise<void> {
    const seen = await Promise.all(worlds.map((world) => playRequests(world, input)))
    for (const { engine, items, upstream } of seen) {
      for (const { outcome, reply } of items) count(`${engine} ${outcome ?? reply}`)
      if (upstream.some(({ switched }) => switched)) count(`${engine} tunnels`)
    }
    await judged(input, seen, (one) => judgeRequests(input, one), compareRequests)
  }

  async function origins(input: OriginCase): Promise<void> {
    const seen = await Promise.all(worlds.map((world) => playOrigins(world, input)))
    count(`answers ${readingOf(input, false).kind}`)
    for (const { engine, items } of seen) {
      for (const { outcome, reply } of items) count(`${engine} ${outcome ?? reply}`)
    }
    await judged(
      input,
      seen,
      (one) => judgeOrigins(input, one),
      (reference, other) => compareOrigins(input, reference, other),
    )
  }

  return {
    coverage,
    attempt: (search, input) => {
      const run = (): Promise<void> =>
        search === 'requests' ? requests(input as RequestCase) : origins(input as OriginCase)
      const mine = underWay.then(run)
      underWay = mine.catch(() => {})
      return mine
    },
    close: async () => {
      await underWay
      process.removeListener('uncaughtException', onStray)
      process.removeListener('unhandledRejection', onStray)
      await Promise.all(worlds.map((world) => world.close()))
    },
  }
}

export type Search = 'requests' | 'origins'

/** Where the cases of each search come from. */
export const cases: Readonly<Record<Search, fc.Arbitrary<unknown>>> = { requests: requestCase, origins: originCase }
