/**
 * Where scenarios play: instances, proxies in front of them, and the load generator; and one measured run of one target.
 *
 * A target is started when it is first wanted and then stays up, warm, for every scenario of its stage; while another is
 * measured it does nothing.
 */

import { platform } from 'node:os'
import process from 'node:process'
import { ask } from './ipc.ts'
import type { LoadJob, LoadResult } from './load/protocol.ts'
import { processTree, usageOf } from './measure.ts'
import type { OriginQuestion } from './origin.ts'
import type { Address, Child } from './processes.ts'
import { spreadOf } from './statistics.ts'
import { type Surroundings, startTarget, type Target, type TargetSpec } from './targets.ts'

export interface Stage {
  /** The targets, in the order of the specs; those that are not up yet are started, all at once. */
  targets(specs: readonly TargetSpec[]): Promise<readonly Target[]>
  run(target: Target, load: Omit<LoadJob, 'origin'>): Promise<Run>
  close(): Promise<void>
}

/** What one run of one target has shown. Shares of time are of one CPU: 1 is one that is busy all the time. */
export interface Run {
  readonly requests: number
  readonly completed: number
  readonly failures: LoadResult['failures']
  readonly seconds: number
  readonly latencyMs: LoadResult['latencyMs']
  readonly latestStartMs: number | null
  readonly bodyBytes: number
  /** Of the target's own processes; null where it cannot be had or the target has none. */
  readonly cpuUsPerRequest: number | null
  readonly rssMiB: number | null
  /** Before the run. */
  readonly rssBeforeMiB: number | null
  /** By how much memory rose above where it stood before the run, at the most; `bulk` only. */
  readonly rssRiseMiB: number | null
  readonly busy: { readonly target: number | null; readonly load: number | null; readonly origin: number | null }
  /** Requests of each instance, counted there. */
  readonly shares: readonly number[]
  readonly spread: number
}

const peakEveryMs = 100

/** Starts the instances and the load generator. What fails to start throws, and is left to the fleet to end. */
export async function openStage(instances: number, surroundings: Surroundings): Promise<Stage> {
  const { fleet, build } = surroundings
  const fork = (name: string, source: string): Child =>
    fleet.spawn(name, process.execPath, [build.path(source)], { ipc: true })
  const origin = fork('the instances', 'bench/origin.ts')
  const generator = fork('the load generator', 'bench/load/generator.ts')
  const hosts = Array.from({ length: instances }, (_, index) => hostOf(index))
  const ports = await ask<number[]>(origin.process, { kind: 'listen', hosts } satisfies OriginQuestion)
  const addresses = hosts.map((host, index): Address => ({ host, port: ports[index] ?? 0 }))
  const up = new Map<string, Promise<Target>>()

  const counts = (): Promise<number[]> => ask(origin.process, { kind: 'counts' } satisfies OriginQuestion)
  const processes = (target: Target) => ({
    // Asked anew each time: nginx listens before it starts the process that works.
    target: target.child === null ? [] : processTree(target.child.pid),
    load: [generator.pid],
    origin: [origin.pid],
  })

  const targetFor = (spec: TargetSpec): Promise<Target> => {
    const target = up.get(spec.name) ?? startTarget(spec, addresses, surroundings)
    up.set(spec.name, target)
    return target
  }

  return {
    targets: (specs) => Promise.all(specs.map(targetFor)),
    async run(target, load) {
      const { target: own, load: loads, origin: origins } = processes(target)
      const countsBefore = await counts()
      const before = { own: usageOf(own), load: usageOf(loads), origin: usageOf(origins) }
      const peak = load.kind === 'bulk' && own.length > 0 ? watchPeak(own) : null
      const result = await ask<LoadResult>(generator.process, { ...load, origin: target.origin } satisfies LoadJob)
      const peakRssMiB = peak?.() ?? null
      const rssRiseMiB = peakRssMiB === null ? null : peakRssMiB - (before.own.rssMiB ?? peakRssMiB)
      const after = { own: usageOf(own), load: usageOf(loads), origin: usageOf(origins) }
      const countsAfter = await counts()
      fleet.check()

      const cpuMs = own.length === 0 ? null : used(before.own.cpuMs, after.own.cpuMs)
      const share = (ms: number | null): number | null => (ms === null ? null : ms / 1000 / result.seconds)
      const shares = countsAfter.map((count, index) => count - (countsBefore[index] ?? 0))
      return {
        requests: load.amount,
        completed: result.completed,
        failures: result.failures,
        seconds: result.seconds,
        latencyMs: result.latencyMs,
        latestStartMs: result.latestStartMs,
        bodyBytes: result.bodyBytes,
        cpuUsPerRequest: cpuMs === null ? null : (cpuMs * 1000) / Math.max(1, result.completed),
        rssMiB: own.length === 0 ? null : after.own.rssMiB,
        rssBeforeMiB: own.length === 0 ? null : before.own.rssMiB,
        rssRiseMiB,
        busy: {
          target: share(cpuMs),
          load: share(used(before.load.cpuMs, after.load.cpuMs)),
          origin: share(used(before.origin.cpuMs, after.origin.cpuMs)),
        },
        shares,
        spread: spreadOf(shares),
      }
    },
    async close() {
      const targets = await Promise.all(up.values())
      await fleet.stop([origin, generator, ...targets.flatMap(({ child }) => child ?? [])])
    },
  }
}

/**
 * An address of its own for each instance, where the system answers on all of 127.0.0.0/8: local ports are used up per
 * pair of addresses, and a connection a request uses many.
 */
function hostOf(index: number): string {
  return platform() === 'linux' ? `127.0.0.${11 + index}` : '127.0.0.1'
}

function used(before: number | null, after: number | null): number | null {
  return before === null || after === null ? null : after - before
}

/** Looks at the memory until the answer is asked for: the most that was seen. */
function watchPeak(pids: readonly number[]): () => number | null {
  let peak = usageOf(pids).rssMiB
  const look = (): void => {
    const { rssMiB } = usageOf(pids)
    if (rssMiB !== null) peak = Math.max(peak ?? 0, rssMiB)
  }
  const timer = setInterval(look, peakEveryMs)
  return () => {
    clearInterval(timer)
    look()
    return peak
  }
}
