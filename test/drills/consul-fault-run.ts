/**
 * What do clients see, and what does `/readyz` say, while Consul or the way to it is at fault? One fault is played on a
 * stage of its own: a real agent, a fault proxy in front of it, the real program, real instances, paced load.
 */

import { type ConsulAgent, type StartConsulOptions, startConsul } from '../support/consul.ts'
import type { CheckRegistration } from '../support/consul-api.ts'
import { type FaultProxy, startFaultProxy } from '../support/fault-proxy.ts'
import { waitFor } from '../support/wait.ts'
import { clockMs, tally, tallyText } from './findings.ts'
import { failuresOf, type Load, type Shot, startLoad } from './load.ts'
import { type Origin, startOrigins } from './origins.ts'
import { type ProxyProcess, startProxy } from './proxy-process.ts'
import { type ReadyzSpell, watchReadyz } from './readyz.ts'
import type { Scope } from './scope.ts'

export interface FaultSize {
  readonly name: 'small' | 'full'
  /** How long a fault lasts that does not say so itself. */
  readonly seconds: number
  readonly perSecond: number
  readonly connections: number
}

export const faultsSmall: FaultSize = { name: 'small', seconds: 1, perSecond: 120, connections: 12 }
export const faultsFull: FaultSize = { name: 'full', seconds: 20, perSecond: 200, connections: 20 }

/** What all faults may share: nothing in it is at fault itself. */
export interface SharedWorld {
  readonly consul: ConsulAgent
  readonly settled: readonly Origin[]
  /** Registered once a fault is over, to see how soon that is followed. */
  readonly newcomer: Origin
}

/** What one fault is played on. */
export interface Stage {
  readonly service: string
  readonly consul: ConsulAgent
  /** What lies between Evenkeel and the agent. */
  readonly way: FaultProxy
  readonly settled: readonly Origin[]
  readonly size: FaultSize
  register(origin: Origin): Promise<void>
  /** Lets the heart of every instance beat, or stand still. */
  beat(isBeating: boolean): void
  /** Wakes every watch, with a change that is none to the proxy. */
  poke(): Promise<void>
}

export interface Play {
  /** Settings that Evenkeel is started with. */
  readonly set?: readonly string[]
  begin(stage: Stage): Promise<unknown>
  /** Resolves once Consul is as it was. */
  end(stage: Stage): Promise<unknown>
}

export interface ConsulFault {
  /** A row of the table. */
  readonly title: string
  /** Absent: the agent that all share. */
  readonly agent?: StartConsulOptions
  /** Evenkeel asks the agent itself, not through the fault proxy: a closed port is to be a closed port. */
  readonly isDirect?: true
  /** Answers are replaced on the way. */
  readonly isReplacing?: true
  /** Each instance has this check, and a heart that beats for it. */
  readonly check?: CheckRegistration
  readonly seconds?: { readonly small: number; readonly full: number }
  /** What `/readyz` must come to say meanwhile; absent at a size: anything. */
  readonly says?: { readonly small?: 'stale'; readonly full?: 'stale' }
  readonly play: (consul: ConsulAgent, service: string) => Play | Promise<Play>
}

export interface FaultReport {
  readonly title: string
  readonly requests: number
  /** Requests with no answer, or an error. */
  readonly failed: number
  /** The first of them, in few words. */
  readonly failures: readonly string[]
  /** `status:count` of all requests. */
  readonly statuses: string
  /** From the fault's beginning until its traces are gone; times from its beginning. */
  readonly readyz: readonly ReadyzSpell[]
  readonly endedMs: number
  /** Endpoints that left the table though nobody had taken them out. */
  readonly lost: readonly string[]
  /** The fault's end → the first request at an instance that was registered then. */
  readonly followedMs: number
  /** Answers that were not the agent's. */
  readonly replaced: number
}

/** What was not as it should be while a fault was lived through; empty: all was. */
export function complaintsOf(
  report: FaultReport,
  fault: Pick<ConsulFault, 'says' | 'isReplacing'>,
  size: FaultSize,
): readonly string[] {
  const { requests, failed, failures, lost, readyz, endedMs } = report
  const says = fault.says?.[size.name]
  const said = readyz.map(({ state }) => state)
  const during = readyz.filter(({ fromMs }) => fromMs < endedMs).map(({ state }) => state)
  const tookBack = says !== undefined && during.slice(during.indexOf(says)).some((state) => state !== says)
  const wrong: [boolean, string][] = [
    [failed > 0, `${failed} of ${requests} requests failed: ${failures.join('; ')}`],
    [lost.length > 0, `endpoints left the table: ${lost.join(', ')}`],
    [says !== undefined && !during.includes(says), `/readyz never said ${says}`],
    // One that is mended at once, and not by an agent's start.
    [fault.isReplacing === true && tookBack, `/readyz said ${during.join(', ')} before it was over`],
    [fault.isReplacing === true && report.replaced === 0, 'no answer was replaced'],
    [said.some((state) => state !== 'fresh' && state !== 'stale'), `/readyz said ${said.join(', ')}`],
  ]
  return wrong.filter(([isSo]) => isSo).map(([, text]) => text)
}

export async function startSharedWorld(scope: Scope): Promise<SharedWorld> {
  const [consul, [newcomer, ...settled]] = await Promise.all([
    startAgent(scope, {}),
    startOrigins(scope, ['newcomer', 'a', 'b', 'c']) as Promise<readonly [Origin, ...Origin[]]>,
  ])
  return { consul, settled, newcomer }
}

async function startAgent(scope: Scope, options: StartConsulOptions): Promise<ConsulAgent> {
  const consul = await startConsul(options)
  scope.onEnd(() => consul.stop())
  return consul
}

/** How long anything is waited for once a fault is over: above the longest blocking query with its deadline. */
const recoveryMs = 90_000
const beatMs = 300

/** Sets the stage: registers the instances of a service that nobody else has. */
export async function setStage(
  scope: Scope,
  shared: SharedWorld,
  service: string,
  size: FaultSize,
  fault: Pick<ConsulFault, 'agent' | 'check'> = {},
): Promise<Stage> {
  const consul = fault.agent === undefined ? shared.consul : await startAgent(scope, fault.agent)
  const way = await startFaultProxy(consul.port)
  scope.onEnd(() => way.close())
  let pokes = 0
  const id = (origin: Origin) => `${service}-${origin.name}`
  const register = (origin: Origin, meta: Readonly<Record<string, string>> = {}) =>
    consul.register({
      Name: service,
      ID: id(origin),
      Address: origin.address,
      Port: origin.port,
      Meta: meta,
      // The newcomer has no heart.
      ...(fault.check !== undefined && shared.settled.includes(origin)
        ? { Check: { ...fault.check, CheckID: `${id(origin)}-beat` } }
        : {}),
    })
  for (const origin of shared.settled) await register(origin)
  let isBeating = fault.check !== undefined
  const heart = setInterval(() => {
    if (!isBeating) return
    // An agent that is not there just now hears the next one.
    for (const origin of shared.settled) consul.setCheck(`${id(origin)}-beat`, 'pass').catch(() => {})
  }, beatMs)
  scope.onEnd(() => clearInterval(heart))
  return {
    service,
    consul,
    way,
    settled: shared.settled,
    size,
    register: (origin) => register(origin),
    beat: (on) => {
      isBeating = on
    },
    poke: async () => {
      pokes++
      for (const origin of shared.settled) await register(origin, { poke: `${pokes}` })
      await consul.register({ Name: `${service}-poke-${pokes}`, Port: 9 })
    },
  }
}

/** Plays one fault to its end. Whatever is not as it should be is in the report; only a fault that does not end throws. */
export async function runFault(
  scope: Scope,
  shared: SharedWorld,
  service: string,
  fault: ConsulFault,
  size: FaultSize,
): Promise<FaultReport> {
  const stage = await setStage(scope, shared, service, size, fault)
  const play = await fault.play(stage.consul, service)
  const proxy = await startEvenkeel(scope, stage, fault.isDirect ? stage.consul.url : stage.way.url, play.set)
  await untilSettled(proxy, stage)
  const load = loadOn(scope, stage, proxy)
  await load.more(size.perSecond / 2)

  const readyz = watchReadyz(scope, proxy.adminPort)
  const beginMs = clockMs()
  await play.begin(stage)
  const says = fault.says?.[size.name]
  const isSaid = () => says === undefined || readyz.last() === says
  await waitFor(`/readyz says ${says}`, isSaid, recoveryMs).catch(() => {})
  await load.more(size.perSecond * (fault.seconds?.[size.name] ?? size.seconds))
  await play.end(stage)
  return finish(stage, shared.newcomer, proxy, load, readyz, { title: fault.title, beginMs })
}

export function startEvenkeel(
  scope: Scope,
  { service }: Stage,
  url: string,
  set: readonly string[] = [],
): Promise<ProxyProcess> {
  return startProxy(scope, { consul: url, set: [`discovery.consul.include=[${service}]`, ...set] })
}

export function untilSettled(proxy: ProxyProcess, { service, settled }: Stage): Promise<void> {
  return proxy.untilEndpoints(
    service,
    settled.map(({ endpoint }) => endpoint),
    recoveryMs,
  )
}

export function loadOn(scope: Scope, { service, size }: Stage, { port }: { readonly port: number }): Load {
  const { perSecond, connections } = size
  return startLoad(scope, { port, connections, streams: [{ method: 'GET', perSecond, path: `/${service}/` }] })
}

/** What happens once a fault is over: a change is made and must be followed, and then nothing is left of it. */
export async function finish(
  stage: Stage,
  newcomer: Origin,
  proxy: ProxyProcess,
  load: Load,
  readyz: ReturnType<typeof watchReadyz>,
  { title, beginMs }: { readonly title: string; readonly beginMs: number },
): Promise<FaultReport> {
  const endMs = clockMs()
  await stage.register(newcomer)
  const isFirst = (shot: Shot) => shot.servedBy === newcomer.name && shot.startedMs > endMs
  const first = await waitFor('a change is followed', () => load.shots.find(isFirst), recoveryMs)
  await waitFor('/readyz says fresh', () => readyz.last() === 'fresh', recoveryMs)
  await stage.consul.deregister(`${stage.service}-${newcomer.name}`)
  await untilSettled(proxy, stage)
  const spells = readyz.stop(beginMs)
  const shots = await load.stop()
  const failures = failuresOf(shots)
  return {
    title,
    requests: shots.length,
    failed: failures.length,
    failures: failures.slice(0, 4),
    statuses: tallyText(tally(shots.map(({ status, error }) => `${error ?? status}`))),
    readyz: spells,
    endedMs: endMs - beginMs,
    lost: lossesOf(proxy, stage.service).filter((left) => !left.includes(newcomer.endpoint)),
    followedMs: (first.arrivedMs ?? Number.NaN) - endMs,
    replaced: stage.way.replaced.length,
  }
}

/** Endpoints that left the table of a service, as the log tells it. */
function lossesOf(proxy: ProxyProcess, service: string): readonly string[] {
  return proxy
    .logged('the catalog changed')
    .filter((line) => line.service === service)
    .flatMap(({ left }) => (Array.isArray(left) ? left.map(String) : []))
}
