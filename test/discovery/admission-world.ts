/** Admission with a clock that the test moves, answers written by letters, and traffic that it makes up. */

import type { AbsentInstance, Catalog } from '../../src/balancer/endpoint.ts'
import type { Vitals } from '../../src/balancer/view.ts'
import {
  type Admission,
  acceptAll,
  type Circumstances,
  confirmRead,
  judgeAnswer,
  newAdmission,
  settle,
  type Verdict,
} from '../../src/discovery/admission.ts'
import { suspectsOf } from '../../src/discovery/suspect.ts'
import { endpointsOf, type Members } from '../balancer/world.ts'

export const holdMs = 10_000

export type Answer = Readonly<Record<string, Members>>

/** `{ web: 'AB' }`: web has the endpoints A:80 and B:80. */
export function answerOf(services: Answer, absent: Readonly<Record<string, readonly AbsentInstance[]>> = {}): Catalog {
  return {
    services: new Map(
      Object.entries(services).map(([name, members]) => [
        name,
        { endpoints: endpointsOf(members), absent: absent[name] ?? [] },
      ]),
    ),
  }
}

/** An instance that its own check, or only the silence of its agent, keeps out. */
export function absent(letter: string, agentLost = false): AbsentInstance {
  const reason = agentLost ? 'check "Serf Health Status" is critical' : 'check "http" is critical'
  return { instance: `i-${letter}`, address: `${letter}:80`, reason, ...(agentLost ? { agentLost } : {}) }
}

export interface AdmissionWorld {
  nowMs: number
  settled: boolean
  enabled: boolean
  holdMs: number
  readonly admission: Admission
  /** What was decided so far: `web A held (service-emptied)`. */
  readonly told: string[]
  answer(catalog: Catalog, rewound?: boolean): void
  /** So much time passes; then it is looked what can be decided. */
  pass(ms: number): void
  /** A second read leaves the suspects out as well. */
  readAgain(): void
  accept(): void
  /** A request to `web A` was answered well, or that many in a row failed. */
  traffic(service: string, letter: string, what: 'good' | number): void
  /** `web: ABC*, api: D` — suspects have a star. */
  table(): string
}

export function newAdmissionWorld(baseline: Catalog | null = null, isJudge = true): AdmissionWorld {
  const vitals = new Map<string, Vitals>()
  let admission = newAdmission({ catalog: baseline, isJudge })
  const told: string[] = []

  const given = (): Circumstances => ({
    nowMs: world.nowMs,
    options: { enabled: world.enabled, holdMs: world.holdMs },
    settled: () => world.settled,
    vitals: (service, endpoint) => vitals.get(`${service} ${endpoint}`) ?? null,
  })

  function take({ admission: next, decisions }: Verdict): void {
    admission = next
    for (const { kind, suspect } of decisions) {
      const why = kind === 'held' ? ` (${suspect.doubt})` : ''
      told.push(`${suspect.service} ${suspect.endpoint.address} ${kind}${why}`)
    }
  }

  const world: AdmissionWorld = {
    nowMs: 50_000,
    settled: true,
    enabled: true,
    holdMs,
    get admission() {
      return admission
    },
    told,
    answer: (catalog, rewound = false) => take(judgeAnswer(admission, catalog, { rewound }, given())),
    pass(ms) {
      world.nowMs += ms
      take(settle(admission, given()))
    },
    readAgain() {
      admission = confirmRead(admission, [...admission.suspects.keys()], world.nowMs)
      take(settle(admission, given()))
    },
    accept: () => take(acceptAll(admission)),
    traffic(service, letter, what) {
      const key = `${service} ${letter}:80`
      const before = vitals.get(key) ?? { goodAnswers: 0, faultsInRow: 0, state: 'healthy' }
      const after =
        what === 'good'
          ? { goodAnswers: before.goodAnswers + 1, faultsInRow: 0 }
          : { goodAnswers: before.goodAnswers, faultsInRow: before.faultsInRow + what }
      vitals.set(key, { ...before, ...after })
    },
    table() {
      const starred = new Set([...suspectsOf(admission)].map(({ service, endpoint }) => `${service} ${endpoint.id}`))
      return [...(admission.table?.services ?? [])]
        .map(([name, { endpoints }]) => {
          const letters = endpoints.map(({ id, address }) => `${address}${starred.has(`${name} ${id}`) ? '*' : ''}`)
          return `${name}: ${letters.join('')}`
        })
        .join(', ')
    },
  }
  return world
}
