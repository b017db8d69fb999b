/**
 * Is anything left behind? Under as much load as it can take the proxy meets clients that leave, reset and dawdle and
 * instances that end, lie and hang, for minutes; in between, those that behave must get every byte they asked for. When
 * all is quiet again, sockets, counts and memory must be back where they began.
 */

import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { clockMs, collectFindings, type Findings, type FindingsCollector, tallyText } from './findings.ts'
import { heldMemory } from './inspector.ts'
import { type ProxyProcess, startProxy, sumOf } from './proxy-process.ts'
import { type Scope, scoped } from './scope.ts'
import { behave, type SoakCounts, suffer } from './soak-clients.ts'
import { tellMemory } from './soak-memory.ts'
import { type SoakOrigins, startSoakOrigins } from './soak-origins.ts'
import { vandalise } from './soak-vandals.ts'
import { evilWays, type OriginStory, randomOf } from './soak-words.ts'

export interface SoakSize {
  readonly engine: string
  /** Of load, with and without upstream keep-alive together. */
  readonly minutes: number
  /** Clients at a time, of each sort. */
  readonly clients: { readonly good: number; readonly suffering: number; readonly vandals: number }
  /** Everything that is left to chance follows from it. */
  readonly seed: number
  /** One line now and then of how it goes. */
  readonly progress: (line: string) => void
}

export const soakFull: Omit<SoakSize, 'engine' | 'progress' | 'seed'> = {
  minutes: 10,
  clients: { good: 24, suffering: 12, vandals: 16 },
}

const MiB = 1024 ** 2
const samples = 20
/** Beyond every idle timeout, of clients, of endpoints and of pools. */
const settledWithinMs = 30_000
const endsSeenWithinMs = 5_000
const exitWithinMs = 20_000

export function soak(size: SoakSize): Promise<Findings> {
  return scoped(async (scope) => {
    const findings = collectFindings()
    findings.figure('seed', size.seed)
    for (const keepAlive of [false, true]) {
      await half(scope, size, keepAlive, findings)
    }
    return findings.done()
  })
}

async function half(scope: Scope, size: SoakSize, keepAlive: boolean, findings: FindingsCollector): Promise<void> {
  const how = `${size.engine}, keep-alive ${keepAlive ? 'on' : 'off'}`
  const origins = await startSoakOrigins(scope, size.seed)
  const proxy = await startProxy(scope, {
    configFile: await writeConfig(scope, size.engine, keepAlive, origins),
    nodeArgs: ['--inspect=127.0.0.1:0'],
  })
  const inspector = /ws:\/\/\S+/.exec(proxy.complaint())?.[0]
  if (inspector === undefined) throw new Error(`no inspector: ${proxy.complaint()}`)
  await heldMemory(inspector)
  const start = await settledState(proxy, null)

  // Code that has run, and stores that have been filled once, before the first look at the memory.
  const soakMs = (size.minutes * 60_000) / 2
  const warm = await load(proxy, size, Math.min(30_000, soakMs / 4), `${how}, warm-up`)
  await settledState(proxy, start)
  const before = await heldMemory(inspector)
  const counts = await load(proxy, size, soakMs, how)

  const stoppedMs = clockMs()
  const end = await settledState(proxy, start)
  findings.figure(`${how}: quiet again after, s`, (clockMs() - stoppedMs) / 1_000)
  const after = await heldMemory(inspector)
  tellCounts(how, counts, findings)
  tellState(how, start, end, findings)
  findings.figure(`${how}: RSS under load, MiB`, counts.rss.map((value) => value.toFixed(0)).join(' '))
  findings.figure(`${how}: sockets under load`, counts.series.map(({ sockets }) => sockets).join(' '))
  tellMemory(how, before, after, counts.answers, findings)
  for (const what of new Set([...warm.faults, ...counts.faults])) findings.promise(`${how}: ${what}`, false)
  tellStory(how, await lastStory(origins), findings)
  await tellEnd(how, proxy, findings)
  await origins.end()
}

async function writeConfig(
  scope: Scope,
  engine: string,
  keepAlive: boolean,
  { good, evil, sick }: SoakOrigins,
): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'evenkeel-soak-'))
  scope.onEnd(() => rm(folder, { recursive: true, force: true }))
  const file = join(folder, 'evenkeel.json')
  const config = {
    engine,
    discovery: { source: 'static', static: { services: { good, evil, sick } } },
    // Short, so that all is quiet soon after; `hang` must run into a timeout, and nobody else.
    upstream: { keepAlive, connectTimeout: '2s', responseTimeout: '5s', idleTimeout: '5s' },
    limits: { clientHeaderTimeout: '3s', clientIdleTimeout: '5s' },
    accessLog: { enabled: false },
    services: { sick: { outlier: { baseEjectionTime: '200ms', maxEjectionTime: '1s' } } },
  }
  await writeFile(file, JSON.stringify(config))
  return file
}

/** All clients at once, for so long; resolves when the last of them has gone. */
async function load(proxy: ProxyProcess, size: SoakSize, forMs: number, how: string): Promise<Result> {
  const counts: SoakCounts = { ends: new Map(), faults: [], faultCount: 0, answers: 0 }
  const random = randomOf(size.seed)
  const startMs = clockMs()
  let isStopping = false
  const world = { port: proxy.port, counts, isStopping: () => isStopping }
  const crowd = <W>(sort: (of: W) => Promise<void>, count: number, more: object): Promise<void>[] =>
    Array.from({ length: count }, () => sort({ ...world, random: randomOf(random() * 2 ** 32), ...more } as W))
  const clients = [
    ...crowd(behave, size.clients.good, {}),
    ...crowd(suffer, size.clients.suffering, {}),
    ...crowd(vandalise, size.clients.vandals, { answersHalfClosed: size.engine !== 'http-proxy' }),
  ]
  const cpuBefore = await proxy.metric('process_cpu_seconds_total')
  const series: State[] = []
  const rss: number[] = []
  while (clockMs() < startMs + forMs && proxy.isRunning()) {
    await sleep(Math.min(forMs / samples, startMs + forMs - clockMs()))
    series.push(await stateOf(proxy))
    rss.push((await proxy.memory()).nowBytes / MiB)
    const perSecond = counts.answers / ((clockMs() - startMs) / 1_000)
    size.progress(
      `${how}: ${counts.answers} answers, ${perSecond.toFixed(0)}/s, ${counts.faultCount} faults, ` +
        `${rss.at(-1)?.toFixed(0)} MiB, ${series.at(-1)?.sockets} sockets`,
    )
  }
  const seconds = (clockMs() - startMs) / 1_000
  const cpuShare = ((await proxy.metric('process_cpu_seconds_total')) - cpuBefore) / seconds
  isStopping = true
  await Promise.all(clients)
  return { ...counts, seconds, cpuShare, series, rss }
}

interface Result extends SoakCounts {
  readonly seconds: number
  /** Of one CPU. */
  readonly cpuShare: number
  readonly series: readonly State[]
  readonly rss: readonly number[]
}

/** Everything that rises with load and must fall with it. */
interface State {
  /** What `/proc` has open. */
  readonly sockets: number
  readonly files: number
  /** Gauges of connections, pools and requests, by their names; and the endpoints' own counts. */
  readonly gauges: Readonly<Record<string, number>>
}

async function stateOf(proxy: ProxyProcess): Promise<State> {
  const { text } = await proxy.admin('/metrics')
  const gauges: Record<string, number> = {}
  for (const [, name = ''] of text.matchAll(
    /^# TYPE (evenkeel_\S*(?:connections|in_flight|pooled|idle)\S*) gauge$/gm,
  )) {
    gauges[name] = sumOf(text, name, {})
  }
  for (const service of ['good', 'evil', 'sick']) {
    const endpoints = await proxy.endpoints(service)
    gauges[`in flight, ${service}`] = endpoints.reduce((sum, { inFlight }) => sum + inFlight, 0)
  }
  return { ...(await proxy.openFiles()), gauges }
}

/** Waits until it is as it was before, or, at the beginning, until it stays as it is; then what it is after all. */
async function settledState(proxy: ProxyProcess, start: State | null): Promise<State> {
  const untilMs = clockMs() + settledWithinMs
  for (let wanted = start; ; ) {
    await sleep(250)
    const state = await stateOf(proxy)
    if (wanted !== null && excess(wanted, state).length === 0) return state
    if (clockMs() > untilMs) return state
    if (start === null) wanted = state
  }
}

/** What has more than at the start. Less is fine: what compiled the program may have ended in the meantime. */
function excess(start: State, end: State): readonly string[] {
  const both: readonly (readonly [string, number, number | undefined])[] = [
    ['sockets', start.sockets, end.sockets],
    ['files', start.files, end.files],
    ...Object.entries(start.gauges).map(([name, value]) => [name, value, end.gauges[name]] as const),
  ]
  return both.flatMap(([name, from, to]) => (to !== undefined && to <= from ? [] : [`${name}: ${from} → ${to}`]))
}

function tellCounts(
  how: string,
  { answers, seconds, cpuShare, ends, faultCount }: Result,
  findings: FindingsCollector,
): void {
  findings.figure(`${how}: answers`, `${answers} in ${seconds.toFixed(0)} s, ${(answers / seconds).toFixed(0)}/s`)
  findings.figure(`${how}: the proxy's share of one CPU`, `${(cpuShare * 100).toFixed(0)} %`)
  for (const sort of ['good', 'evil', 'sick', 'vandal:', 'half-closed:', 'slow', 'nonsense:']) {
    const own = [...ends]
      .filter(([what]) => what.startsWith(sort))
      .map(([what, count]) => [`${what.slice(sort.length).trim()} `, count] as const)
    findings.figure(`${how}: ${sort.replace(':', '')}`, tallyText(new Map(own)).replaceAll(' :', ' '))
  }
  findings.figure(`${how}: answers that were wrong`, faultCount)
}

function tellState(how: string, start: State, end: State, findings: FindingsCollector): void {
  for (const name of Object.keys(start.gauges)) {
    findings.figure(`${how}: ${name}, before → after`, `${start.gauges[name]} → ${end.gauges[name]}`)
  }
  findings.figure(`${how}: open sockets, before → after`, `${start.sockets} → ${end.sockets}`)
  const left = excess(start, end)
  findings.promise(`${how}: sockets, connections, pools and requests return to their start`, left.length === 0, left)
}

/** Told when the instances have seen every end, or will not any more. */
async function lastStory(origins: SoakOrigins): Promise<OriginStory> {
  const untilMs = clockMs() + endsSeenWithinMs
  for (;;) {
    const story = await origins.story()
    if (story.connections.length === 0 || clockMs() > untilMs) return story
    await sleep(100)
  }
}

/** What the instances saw, which no client can know. */
function tellStory(how: string, story: OriginStory, findings: FindingsCollector): void {
  findings.figure(`${how}: requests that reached an instance`, story.requests)
  findings.figure(`${how}: misbehaviours shown`, tallyText(new Map(Object.entries(story.ways))))
  findings.promise(`${how}: no instance gets a request that nobody sent`, story.strange.length === 0, story.strange)
  findings.promise(`${how}: all that an instance gets is HTTP`, story.unparsable.length === 0, story.unparsable)
  findings.promise(`${how}: no upload arrives with other bytes`, story.falseUploads === 0, story.falseUploads)
  findings.promise(`${how}: no POST arrives twice`, story.repeated.length === 0, story.repeated)
  const open = story.connections
  for (const [index, told] of open.entries()) findings.figure(`${how}: open at an instance, ${index + 1}`, told)
  findings.promise(`${how}: no connection stays open at an instance`, open.length === 0, open.length)
  const unseen = Object.keys(evilWays).filter((way) => way !== 'hang' && !(way in story.ways))
  findings.promise(`${how}: every misbehaviour was shown`, unseen.length === 0, unseen)
}

async function tellEnd(how: string, proxy: ProxyProcess, findings: FindingsCollector): Promise<void> {
  for (const service of ['good', 'evil', 'sick']) {
    const ejected = await proxy.metric('evenkeel_ejections_total', { service })
    findings.figure(`${how}: ejections, ${service}`, ejected)
    if (service === 'sick') findings.promise(`${how}: a sick instance is ejected`, ejected > 0)
    if (service === 'good') {
      findings.promise(`${how}: no good instance is blamed for what clients do`, ejected === 0, ejected)
    }
  }
  const startMs = clockMs()
  proxy.signal('SIGTERM')
  // What was never closed may keep it alive for good.
  const exit = await Promise.race([proxy.exited, sleep(exitWithinMs, null, { ref: false })])
  if (exit === null) proxy.signal('SIGKILL')
  findings.figure(`${how}: exit after SIGTERM, ms`, clockMs() - startMs)
  findings.promise(`${how}: exit 0`, exit?.code === 0, exit ?? 'still running')
  const bad = proxy.log.filter(({ level }) => level === 'error' || level === 'fatal')
  findings.figure(`${how}: log lines`, tallyText(countsOf(proxy.log.map(({ level, msg }) => `${level}, ${msg} `))))
  findings.promise(`${how}: no defect in the log`, bad.length === 0, bad.slice(0, 3))
  const complaint = proxy
    .complaint()
    .replace(/^(Debugger|For help|Starting inspector).*\n?/gm, '')
    .trim()
  findings.promise(`${how}: nothing on stderr`, complaint === '', complaint)
}

function countsOf(values: readonly string[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>()
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1)
  return counts
}
