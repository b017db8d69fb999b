/** Which questions does the bench ask, in which order, and of whom? */

import { memoryProblems } from './judge.ts'
import type { BenchOptions, ScenarioName } from './options.ts'
import { type Bench, type Load, play, type Sample } from './play.ts'
import { roundedUp } from './statistics.ts'
import { direct, evenkeel, manyServices, type PeerName, peer, serviceName, type TargetSpec } from './targets.ts'

const connections = 50
const rate = 1_000
const bulkConnections = 4
const mebibyte = 1024 * 1024
const servicesAsked = 500

export const scenarios: Readonly<Record<ScenarioName, (bench: Bench) => Promise<void>>> = {
  /** How long does a request take at a rate that everybody can keep? */
  rate: async (bench) => {
    const { options, peers } = bench
    // A quick bench has no time for it twice, and `max` starts it anyway.
    const baseline = peers.includes('http-proxy') && !options.quick ? [peer('http-proxy', false)] : []
    for (const instances of [1, 4]) {
      await play(bench, {
        asks: 'rate',
        title: `${count(rate)} req/s, ${instances === 1 ? '1 instance' : `${instances} instances`}`,
        specs: [direct, ...evenkeels(options), ...baseline],
        instances,
        rounds: options.quick ? 1 : options.rounds,
        sharesMustBeEven: true,
        fresh: false,
        traffic: 'small',
        warmUp: (spec) => closed(spec, warmUpRequests(options)),
        load: (spec) => ({ ...closed(spec, rate * options.seconds), kind: 'paced', rate }),
      })
    }
  },

  /** What does a request cost, and how many can there be? */
  max: async (bench) => {
    const { options, peers } = bench
    await play(bench, {
      asks: 'max',
      title: 'max, 4 instances',
      specs: [direct, ...evenkeels(options), ...peers.flatMap((name) => [peer(name, false), peer(name, true)])],
      instances: 4,
      rounds: options.rounds,
      sharesMustBeEven: true,
      fresh: false,
      traffic: 'small',
      warmUp: (spec) => closed(spec, warmUpRequests(options)),
      load: (spec, perSecond) => closed(spec, perSecond * options.seconds),
    })
  },

  /** Does memory grow with the number of requests? */
  memory: async (bench) => {
    const { engines, quick } = bench.options
    const part = quick ? 2_000 : 10_000
    const parts = quick ? 4 : 10
    const specs = engines.map((engine) => evenkeel(engine, engines, false))
    const samples = await play(bench, {
      asks: 'memory',
      title: `memory, ${count(part * parts)} requests`,
      specs,
      instances: 4,
      rounds: parts,
      sharesMustBeEven: true,
      fresh: true,
      traffic: 'small',
      warmUp: (spec) => closed(spec, connections),
      load: (spec) => closed(spec, part),
    })
    for (const { name } of specs) {
      const series = memorySeries(samples, name)
      if (series.length === 0) continue
      const said = series.map((rssMiB) => rssMiB.toFixed(0)).join(' ')
      bench.notes.add(`memory, ${name}: MiB resident after each ${count(part)} requests: ${said}`)
      for (const problem of memoryProblems(series)) bench.problems.push(`memory, ${name}: ${problem}`)
    }
  },

  /** How fast do large bodies flow, and do they pile up on the way? */
  bodies: async (bench) => {
    const { options, peers } = bench
    for (const { mib, warmUp } of [
      { mib: 1, warmUp: 200 },
      { mib: 100, warmUp: 4 },
    ]) {
      const bulk = (amount: number): Load => ({
        kind: 'bulk',
        paths: [`/${serviceName(0)}/bytes/${mib * mebibyte}`],
        connections: bulkConnections,
        amount: roundedUp(amount, bulkConnections),
        rate: 0,
      })
      await play(bench, {
        asks: 'bodies',
        title: `bodies of ${mib} MiB`,
        specs: [direct, ...evenkeels(options), ...bodyPeers(peers)],
        instances: 4,
        rounds: options.rounds,
        sharesMustBeEven: true,
        fresh: false,
        traffic: `${mib} MiB`,
        warmUp: () => bulk(warmUp),
        load: (_spec, perSecond) => bulk(perSecond * options.seconds),
      })
    }
  },

  /** Does a request cost more when the table is large? */
  services: async (bench) => {
    const { options } = bench
    const sizes = [1, manyServices]
    await play(bench, {
      asks: 'services',
      title: `table of 1 and of ${count(manyServices)} services`,
      specs: options.engines.flatMap((engine) =>
        sizes.map((services) => evenkeel(engine, options.engines, false, { services })),
      ),
      instances: 4,
      // A few per cent are to be told apart: many short rounds do that better than few long ones.
      rounds: options.rounds * 3,
      // Each service has a turn of its own, and hundreds of them are asked.
      sharesMustBeEven: false,
      // Neither has a warmer past than the other.
      fresh: true,
      traffic: 'small',
      warmUp: (spec) => closed(spec, 4 * warmUpRequests(options)),
      load: (spec, perSecond) => closed(spec, (perSecond * options.seconds) / 2),
    })
  },
}

/** Every engine, without and with upstream keep-alive, of every build. */
function evenkeels({ engines, against }: BenchOptions): readonly TargetSpec[] {
  const commits = against === null ? [''] : ['', against]
  return engines.flatMap((engine) =>
    [false, true].flatMap((keepAlive) => commits.map((commit) => evenkeel(engine, engines, keepAlive, { commit }))),
  )
}

/** nginx with a pool too: throughput is asked for in relation to it, either way. */
function bodyPeers(peers: readonly PeerName[]): readonly TargetSpec[] {
  const off = peers.map((name) => peer(name, false))
  return peers.includes('nginx') ? [...off, peer('nginx', true)] : off
}

/** As many as the turns of 1 and of 4 instances and the connections divide evenly. */
function closed(spec: TargetSpec, amount: number): Load {
  return { kind: 'closed', paths: pathsFor(spec), connections, amount: roundedUp(amount, connections * 4), rate: 0 }
}

/** Of a large table many services are asked: the others of one that is asked alone may cost nothing. */
function pathsFor({ services }: TargetSpec): readonly string[] {
  const asked = Math.max(1, Math.min(services, servicesAsked))
  const step = Math.max(1, Math.floor(services / asked))
  return Array.from({ length: asked }, (_, index) => `/${serviceName(index * step)}/accounts/10000`)
}

function warmUpRequests({ quick }: BenchOptions): number {
  return quick ? 3_000 : 5_000
}

function memorySeries(samples: readonly Sample[], name: string): readonly number[] {
  return samples.flatMap(({ target, rssMiB }) => (target === name && rssMiB !== null ? [rssMiB] : []))
}

function count(value: number): string {
  return value.toLocaleString('en')
}
