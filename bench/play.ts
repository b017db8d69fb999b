/** How does one scenario go? Start all, warm up, then round after round each target in turn, and judge every run. */

import { doubtsOf, problemsOf } from './judge.ts'
import type { LoadJob } from './load/protocol.ts'
import type { BenchOptions, ScenarioName } from './options.ts'
import { openStage, type Run, type Stage } from './stage.ts'
import type { PeerName, Surroundings, Target, TargetSpec } from './targets.ts'

/** One row's worth of one round. */
export interface Sample extends Run {
  /** The question that the run is to answer. */
  readonly asks: ScenarioName
  /** The title: one question may be played in several sizes. */
  readonly scenario: string
  readonly target: string
  /** From 1. */
  readonly round: number
}

/** A stage, and what each of its targets has reached so far, by target and traffic. */
export interface WarmStage {
  readonly stage: Stage
  readonly perSecond: Map<string, number>
}

export interface Bench extends Surroundings {
  readonly options: BenchOptions
  /** Those that are asked for and found here. */
  readonly peers: readonly PeerName[]
  /** Those that are open, by their number of instances. */
  readonly stages: Map<number, WarmStage>
  readonly samples: Sample[]
  /** One line each; any makes the bench fail. */
  readonly problems: string[]
  /** One line each: what the table alone does not say. */
  readonly notes: Set<string>
  progress(line: string): void
}

export type Load = Omit<LoadJob, 'origin'>

export interface Play {
  readonly asks: ScenarioName
  readonly title: string
  readonly specs: readonly TargetSpec[]
  readonly instances: number
  readonly rounds: number
  readonly sharesMustBeEven: boolean
  /** Processes of its own, that have served nobody before; otherwise those of earlier plays go on, warm. */
  readonly fresh: boolean
  /** What its requests are like; a target is warmed up once for each. */
  readonly traffic: string
  warmUp(spec: TargetSpec): Load
  /** @param perSecond requests per second that the target has reached so far, as fast as it could */
  load(spec: TargetSpec, perSecond: number): Load
}

/** Plays it, adds to the samples, problems and notes of the bench, and returns its own samples. */
export async function play(bench: Bench, plan: Play): Promise<readonly Sample[]> {
  bench.progress(`${plan.title}: ${plan.specs.map(({ name }) => name).join(', ')}`)
  if (!plan.fresh) return rounds(bench, plan, await sharedStage(bench, plan.instances))
  const stage = await openStage(plan.instances, bench)
  const samples = await rounds(bench, plan, { stage, perSecond: new Map() })
  await stage.close()
  return samples
}

async function sharedStage(bench: Bench, instances: number): Promise<WarmStage> {
  const open = bench.stages.get(instances) ?? { stage: await openStage(instances, bench), perSecond: new Map() }
  bench.stages.set(instances, open)
  return open
}

async function rounds(bench: Bench, plan: Play, { stage, perSecond }: WarmStage): Promise<readonly Sample[]> {
  const targets = await stage.targets(plan.specs)
  const keyOf = ({ spec }: Target): string => `${spec.name}: ${plan.traffic}`
  for (const target of targets) {
    if (perSecond.has(keyOf(target))) continue
    const run = await judgedRun(bench, plan, stage, target, plan.warmUp(target.spec), 'warm-up')
    perSecond.set(keyOf(target), run.completed / run.seconds)
  }

  const samples: Sample[] = []
  for (let round = 1; round <= plan.rounds; round++) {
    // There and back again: whoever runs behind a neighbour that leaves much to clear up does so in every other round only.
    for (const target of round % 2 === 1 ? targets : [...targets].reverse()) {
      const { name } = target.spec
      const load = plan.load(target.spec, perSecond.get(keyOf(target)) ?? 0)
      const run = await judgedRun(bench, plan, stage, target, load, `round ${round} of ${plan.rounds}`)
      if (load.kind !== 'paced') perSecond.set(keyOf(target), run.completed / run.seconds)
      const rate = load.kind === 'paced' ? load.rate : null
      for (const doubt of doubtsOf(run, rate)) bench.notes.add(`${plan.title}, ${name}: ${doubt}`)
      samples.push({ ...run, asks: plan.asks, scenario: plan.title, target: name, round })
    }
  }
  samples.sort((a, b) => a.round - b.round || order(targets, a) - order(targets, b))
  bench.samples.push(...samples)
  return samples
}

function order(targets: readonly Target[], { target }: Sample): number {
  return targets.findIndex(({ spec }) => spec.name === target)
}

async function judgedRun(
  bench: Bench,
  plan: Play,
  stage: Stage,
  target: Target,
  load: Load,
  when: string,
): Promise<Run> {
  const { name, kind } = target.spec
  const run = await stage.run(target, load)
  bench.progress(`${plan.title}, ${when}: ${name.padEnd(16)} ${said(run)}`)
  const role = kind === 'direct' || kind === 'evenkeel' ? kind : 'peer'
  for (const problem of problemsOf(run, role, plan.sharesMustBeEven)) {
    bench.problems.push(`${plan.title}, ${when}, ${name}: ${problem}`)
    bench.progress(`  FAILED: ${problem}`)
  }
  return run
}

function said({ completed, seconds, cpuUsPerRequest, latencyMs, rssMiB }: Run): string {
  const parts = [
    `${(completed / seconds).toFixed(0)} req/s`,
    cpuUsPerRequest === null ? null : `${cpuUsPerRequest.toFixed(0)} µs/req`,
    `p99 ${latencyMs.p99.toFixed(1)} ms`,
    rssMiB === null ? null : `${rssMiB.toFixed(0)} MiB`,
  ]
  return parts.filter((part) => part !== null).join(', ')
}
