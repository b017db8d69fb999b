/**
 * What does it cost that somebody looks, and how soon do they see? Three open pages on 500 services under load, against
 * none, in turns; and in a real browser, if there is one, how long the page takes to load and an event to be on it.
 */

import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { type ClientRequest, get } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Page } from 'playwright-core'
import { findChromium, launchChromium } from '../page/chromium.ts'
import { waitFor } from '../support/wait.ts'
import { collectFindings, type Findings, type FindingsCollector, percentile } from './findings.ts'
import { failuresOf, startLoad } from './load.ts'
import { type Origin, startOrigins } from './origins.ts'
import { type ProxyProcess, startProxy } from './proxy-process.ts'
import { type Scope, scoped } from './scope.ts'

export interface PageSize {
  readonly services: number
  readonly perSecond: number
  readonly pages: number
  readonly rounds: number
  readonly secondsPerRound: number
}

export const pageFull: PageSize = { services: 500, perSecond: 500, pages: 3, rounds: 6, secondsPerRound: 10 }

/** What is looked at with a browser: a fleet as most are. */
const normalFleet = 20
const wantedRatio = 1.1
const mostBytes = 100 * 1024

export function page(size: PageSize): Promise<Findings> {
  return scoped(async (scope) => {
    const findings = collectFindings()
    const origins = await startOrigins(scope, ['a', 'b', 'c'])
    await cost(scope, origins, size, findings)
    if (findChromium() === null) findings.figure('in a browser', 'not measured: there is no chromium')
    else await inBrowser(scope, origins, findings)
    return findings.done()
  })
}

async function cost(scope: Scope, origins: readonly Origin[], size: PageSize, findings: FindingsCollector) {
  const { names, proxy } = await proxyOf(scope, origins, size.services)
  const streams = names.map((name) => {
    return { method: 'GET', perSecond: size.perSecond / names.length, path: `/${name}/` } as const
  })
  const load = startLoad(scope, { port: proxy.port, connections: 20, streams })
  await load.more(size.perSecond * 4)
  // The code of the frames has to be warm too.
  const warm = await openPages(proxy, size.pages)
  await sleep(4_000)
  warm.close()

  const cpu = { without: 0, with: 0 }
  const ratios: number[] = []
  let bytes = 0
  for (let round = 0; round < size.rounds; round++) {
    const without = await cpuSeconds(proxy, size.secondsPerRound)
    const pages = await openPages(proxy, size.pages)
    // What the first event costs is not what a page costs that stays.
    await sleep(1_000)
    const bytesBefore = pages.bytes()
    const looked = await cpuSeconds(proxy, size.secondsPerRound)
    bytes += pages.bytes() - bytesBefore
    pages.close()
    cpu.without += without
    cpu.with += looked
    ratios.push(looked / without)
  }
  const seconds = size.rounds * size.secondsPerRound
  findings.figure('requests/s, as made', load.shots.length === 0 ? 0 : rateOf(load.shots))
  findings.figure('processor time without a page, % of a core', (cpu.without / seconds) * 100)
  findings.figure(`processor time with ${size.pages} pages, % of a core`, (cpu.with / seconds) * 100)
  const title = `processor time with ${size.pages} pages, × without (hoped for: under ${wantedRatio})`
  findings.figure(
    title,
    `${(cpu.with / cpu.without).toFixed(3)}; by round: ${ratios.map((each) => each.toFixed(2)).join(' ')}`,
  )
  findings.figure('bytes/s to each page', bytes / seconds / size.pages)
  const shots = await load.stop()
  findings.promise('no request fails', failuresOf(shots).length === 0, failuresOf(shots).slice(0, 5))
}

function rateOf(shots: readonly { readonly endedMs: number }[]): number {
  const [first, last] = [shots[0]?.endedMs ?? 0, shots.at(-1)?.endedMs ?? 1]
  return (shots.length * 1_000) / (last - first)
}

async function cpuSeconds(proxy: ProxyProcess, seconds: number): Promise<number> {
  const before = await proxy.cpuSeconds()
  await sleep(seconds * 1_000)
  return (await proxy.cpuSeconds()) - before
}

/** As pages do it, but for the drawing: that is another machine's work. */
async function openPages({ adminPort }: ProxyProcess, count: number) {
  let received = 0
  const open: ClientRequest[] = []
  for (let number = 0; number < count; number++) {
    await new Promise<void>((resolve, reject) => {
      const sent = get({ host: '127.0.0.1', port: adminPort, path: '/api/live', agent: false }, (answer) => {
        answer.on('data', (piece: Buffer) => {
          received += piece.length
          resolve()
        })
        answer.on('error', () => {})
      })
      sent.on('error', reject)
      open.push(sent)
    })
  }
  return {
    bytes: () => received,
    close: () => {
      for (const sent of open) sent.destroy()
    },
  }
}

/** Tells when the first service was to be seen, and when each event was. */
const watcher = `
  window.seen = { firstMs: null, events: [] }
  new MutationObserver((changes) => {
    if (seen.firstMs === null && document.querySelector('.service .open') !== null) seen.firstMs = performance.now()
    for (const { addedNodes } of changes) {
      for (const node of addedNodes) {
        if (node.nodeType !== 1 || !node.matches('.event')) continue
        seen.events.push([node.querySelector('button')?.textContent ?? '', node.querySelector('b').textContent, Date.now()])
      }
    }
  }).observe(document, { childList: true, subtree: true })`

type Seen = { readonly firstMs: number | null; readonly events: readonly (readonly [string, string, number])[] }

async function inBrowser(scope: Scope, origins: readonly Origin[], findings: FindingsCollector): Promise<void> {
  const { names, proxy } = await proxyOf(scope, origins, normalFleet)
  const load = startLoad(scope, {
    port: proxy.port,
    connections: 20,
    streams: names.map((name) => ({ method: 'GET', perSecond: 10, path: `/${name}/` }) as const),
  })
  await load.more(500)
  const browser = await launchChromium()
  scope.onEnd(() => browser.close())
  const loads: number[] = []
  let bytes = 0
  let looking: Page | null = null
  for (let number = 0; number < 5; number++) {
    await looking?.context().close()
    looking = await (await browser.newContext()).newPage()
    await looking.addInitScript(watcher)
    const received = await receivedBytes(looking)
    await looking.goto(`http://127.0.0.1:${proxy.adminPort}/`)
    const firstMs = await waitFor(
      'the first service is there',
      async () => (await seenBy(looking)).firstMs ?? undefined,
    )
    bytes = received()
    loads.push(firstMs)
  }
  findings.figure('page opened → services on it, ms: median of 5', percentile(loads, 0.5))
  findings.figure('page opened → services on it, ms: worst of 5', percentile(loads, 1))
  findings.figure('bytes until then, all files and the first event', bytes)
  findings.promise(`under ${mostBytes} bytes`, bytes < mostBytes, bytes)

  // One that answers 500 is ejected from each service, at that service's own time.
  await (origins[0] as Origin).behave({ status: 500 })
  const ejected = () => proxy.logged('an endpoint was ejected')
  await waitFor('every service has ejected it', () => ejected().length >= normalFleet, 60_000)
  await waitFor('all of it is on the page', async () => (await ejectionsSeen(looking)).size >= normalFleet, 10_000)
  const seen = await ejectionsSeen(looking)
  const latencies = ejected().flatMap(({ service, time }) => {
    const atMs = seen.get(String(service))
    return atMs === undefined ? [] : [atMs - Date.parse(String(time))]
  })
  findings.figure('an ejection → on the page, p50 ms', percentile(latencies, 0.5))
  findings.figure('an ejection → on the page, worst ms', percentile(latencies, 1))
  await load.stop()
}

async function seenBy(looking: Page | null): Promise<Seen> {
  return (await looking?.evaluate<Seen>('window.seen')) ?? { firstMs: null, events: [] }
}

/** The first one of each service. */
async function ejectionsSeen(looking: Page | null): Promise<ReadonlyMap<string, number>> {
  const first = new Map<string, number>()
  for (const [service, kind, atMs] of (await seenBy(looking)).events) {
    if (kind === 'ejected' && !first.has(service)) first.set(service, atMs)
  }
  return first
}

/** As the browser itself counts them, with the heads of the answers. */
async function receivedBytes(looking: Page): Promise<() => number> {
  const session = await looking.context().newCDPSession(looking)
  let bytes = 0
  session.on('Network.dataReceived', ({ dataLength }) => {
    bytes += dataLength
  })
  await session.send('Network.enable')
  return () => bytes
}

/** A proxy over that many services, each of which has all the instances. */
async function proxyOf(scope: Scope, origins: readonly Origin[], services: number) {
  const names = Array.from({ length: services }, (_, at) => `service-${String(at).padStart(3, '0')}`)
  const places = origins.map(({ endpoint }) => endpoint)
  const folder = await mkdtemp(join(tmpdir(), 'evenkeel-page-'))
  scope.onEnd(() => rm(folder, { recursive: true, force: true }))
  const configFile = join(folder, 'config.json')
  const discovery = { source: 'static', static: { services: Object.fromEntries(names.map((name) => [name, places])) } }
  await writeFile(configFile, JSON.stringify({ discovery, accessLog: { enabled: false } }))
  return { names, proxy: await startProxy(scope, { configFile }) }
}
