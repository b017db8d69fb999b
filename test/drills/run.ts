/**
 * `npm run drills [-- NAME…]`: every drill, or those named, at full size; the soak, which takes minutes, only when named.
 *
 * Prints what each one measured beside what is asked of it. Exit 1 when a promise is broken; a time that is worse than
 * hoped for is only told, for it depends on the machine.
 */

import { parseArgs } from 'node:util'
import { consulAway, consulAwayFull } from './consul-away.ts'
import { consulFaultsDrill, faultsFull } from './consul-faults.ts'
import { deploy, deployFull } from './deploy.ts'
import { drain, drainFull } from './drain.ts'
import { even, evenFull } from './even.ts'
import type { Findings } from './findings.ts'
import { flip, flipFull } from './flip.ts'
import { flips, flipsFull } from './flips.ts'
import { kill, killFull } from './kill.ts'
import { memory, memoryFull } from './memory.ts'
import { page, pageFull } from './page.ts'
import { drillEngine } from './proxy-process.ts'
import { reload, reloadFull } from './reload.ts'
import { scale, scaleFull } from './scale.ts'
import { sick, sickFull } from './sick.ts'
import { soak, soakFull } from './soak.ts'
import { registryNames, sourceParts, sources, sourcesFull, sourcesQuick } from './sources.ts'
import { walk, walkFull } from './walk.ts'

interface Drill {
  readonly asked: string
  /** Runs only when it is named. */
  readonly isLong?: true
  readonly run: () => Promise<Findings>
}

const usage = [
  'npm run drills -- [NAME…] [--engine NAME]',
  'npm run drills -- soak [--minutes N] [--seed N]',
  `npm run drills -- sources [REGISTRY…] [--part NAME]… [--quick]   (${registryNames.join(', ')}; ${sourceParts.join(', ')})`,
].join('\n')

function readArguments() {
  try {
    const text = { type: 'string' } as const
    const [part, quick] = [{ ...text, multiple: true }, { type: 'boolean' }] as const
    return parseArgs({ options: { engine: text, minutes: text, seed: text, part, quick }, allowPositionals: true })
  } catch {
    print(usage)
    process.exit(2)
  }
}

function number(flag: string, text: string | undefined, otherwise: number): number {
  const value = text === undefined ? otherwise : Number(text)
  if (value > 0) return value
  print(`${flag} is a number above 0:\n${usage}`)
  process.exit(2)
}

const { values, positionals } = readArguments()
drillEngine.name = values.engine ?? null
/** They stand after `sources`. */
const namedRegistries = positionals.includes('sources')
  ? positionals.filter((name) => registryNames.includes(name))
  : []
const namedParts = sourceParts.filter((name) => values.part?.includes(name))
if (values.part?.some((name) => !sourceParts.some((part) => part === name))) {
  print(`--part is one of ${sourceParts.join(', ')}:\n${usage}`)
  process.exit(2)
}

const drills: Readonly<Record<string, Drill>> = {
  walk: {
    asked: 'services registered with the consul command are walked over; a deregistered one is gone',
    run: () => walk(walkFull),
  },
  even: {
    asked: '3 instances, 3,000 requests, 50 connections: 1,000 each (± 1), also while another service flaps 10 times/s',
    run: () => even(evenFull),
  },
  kill: {
    asked: 'kill -9 under 300 GET/s and 100 POST/s: no GET fails, of the POSTs only those that the dead instance had',
    run: () => kill(killFull),
  },
  sick: {
    asked: 'ejected after 5 bad answers, gone for 30 s, one probe, gone for 60 s; all bad: nobody is ejected',
    run: () => sick(sickFull),
  },
  'consul-away': {
    asked: 'no request fails, stale is said, the age grows; Consul back: followed within 2 s',
    run: () => consulAway(consulAwayFull),
  },
  'consul-faults': {
    asked:
      'whatever Consul or the way to it does: no request fails, no endpoint is lost, /readyz tells; a quarter of an hour',
    isLong: true,
    run: () => consulFaultsDrill(faultsFull, print),
  },
  flip: {
    asked: 'a check fails in Consul → last request to that instance: p99 under 50 ms over 50 flips',
    run: () => flip(flipFull),
  },
  deploy: {
    asked:
      'three more that do not listen yet: no request fails; ten rolling deploys, each stopped at once: no GET fails',
    run: () => deploy(deployFull),
  },
  drain: {
    asked: 'SIGTERM under load: no request fails, exit 0 within the drain time; WebSockets closed at its end',
    run: () => drain(drainFull),
  },
  reload: {
    asked: 'SIGHUP: a bad config changes nothing and is told; a good one takes effect; no request fails',
    run: () => reload(reloadFull),
  },
  flips: {
    asked: '100 flips/s for 30 s over 1,000 services: no final state missed, p99 of requests within 1.5 × of quiet',
    run: () => flips(flipsFull),
  },
  scale: {
    asked:
      '1,000 and 5,000 services × 3: table full in 5 s, flips seen (watched p99 50 ms), idle CPU 2 %, 200 MB, 150 connections',
    run: () => scale(scaleFull),
  },
  page: {
    asked:
      'three open pages, 500 services × 3, 500 requests/s: CPU under 1.1 × without; loaded in 1 s, 100 KB; an event seen in 500 ms',
    run: () => page(pageFull),
  },
  memory: {
    asked: '1 GiB up and down and 100 slow readers: whole, and in constant memory',
    run: () => memory(memoryFull),
  },
  sources: {
    asked:
      'every registry: changes are followed, 30 s without it fail no request and are told, 500 services; twenty minutes',
    isLong: true,
    run: () =>
      sources(
        { size: values.quick === true ? sourcesQuick : sourcesFull, registries: namedRegistries, parts: namedParts },
        print,
      ),
  },
  soak: {
    asked: 'minutes of all that clients and instances can do wrong: good answers exact, and nothing is left behind',
    isLong: true,
    run: () =>
      soak({
        ...soakFull,
        minutes: number('--minutes', values.minutes, soakFull.minutes),
        seed: number('--seed', values.seed, Date.now() % 1_000_000),
        engine: values.engine ?? 'wire',
        progress: (line) => void process.stderr.write(`  ${line}\n`),
      }),
  },
}

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}

async function runDrill(name: string, { asked, run }: Drill): Promise<boolean> {
  const startMs = performance.now()
  print(`${name} … ${asked}`)
  let findings: Findings
  try {
    findings = await run()
  } catch (error) {
    findings = { figures: {}, broken: [error instanceof Error ? error.message : String(error)] }
  }
  for (const [title, value] of Object.entries(findings.figures)) print(`  ${title}: ${value}`)
  for (const promise of findings.broken) print(`  BROKEN ${promise}`)
  const seconds = ((performance.now() - startMs) / 1_000).toFixed(1)
  print(`${name}: ${findings.broken.length === 0 ? 'kept' : 'BROKEN'} (${seconds} s)\n`)
  return findings.broken.length === 0
}

const wanted = positionals.filter((name) => !namedRegistries.includes(name))
const unknown = wanted.filter((name) => !(name in drills))
if (unknown.length > 0) {
  print(`no such drill: ${unknown.join(', ')}; there are ${Object.keys(drills).join(', ')}`)
  process.exit(2)
}
let allKept = true
for (const [name, drill] of Object.entries(drills)) {
  if (wanted.length > 0 ? !wanted.includes(name) : drill.isLong) continue
  allKept = (await runDrill(name, drill)) && allKept
}
process.exitCode = allKept ? 0 : 1
