/**
 * `npm run bench`: what does a request through Evenkeel cost, beside others and in one run with them?
 *
 * Progress goes to stderr, the table to stdout, everything to bench/results/<time>.json. Exit 0 when all went well, 1
 * when a share was uneven, a request failed or memory grew, 2 for wrong usage.
 */

import { mkdirSync, writeFileSync } from 'node:fs'
import { availableParallelism, cpus, loadavg } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { build, buildOf } from './build.ts'
import { goalsOf, goalTable } from './goals.ts'
import { measurable, missing } from './measure.ts'
import { type BenchOptions, readBenchLine } from './options.ts'
import type { Bench } from './play.ts'
import { createFleet } from './processes.ts'
import { rowsOf, tableOf } from './report.ts'
import { scenarios } from './scenarios.ts'
import { type PeerName, peerNames, programOf } from './targets.ts'

const root = fileURLToPath(new URL('..', import.meta.url))

const line = readBenchLine(process.argv.slice(2))
switch (line.kind) {
  case 'help':
    process.stdout.write(line.text)
    break
  case 'wrong':
    process.stderr.write(`bench: ${line.message}\n`)
    process.exitCode = 2
    break
  case 'run':
    process.exitCode = await run(line.options)
    break
  default:
    line satisfies never
}

async function run(options: BenchOptions): Promise<number> {
  const startMs = performance.now()
  const progress = (text: string): void => {
    const seconds = ((performance.now() - startMs) / 1000).toFixed(0)
    process.stderr.write(`[${seconds.padStart(3)} s] ${text}\n`)
  }
  const fleet = createFleet()
  const end = endWith(() => fleet.end())
  try {
    progress('compiling')
    const compiled = build(root)
    end.also(() => compiled.remove())
    if (compiled.complaints !== '') progress(`the compiler complains, and the bench goes on:\n${compiled.complaints}`)
    const against = options.against === null ? null : buildOf(root, options.against)
    if (against !== null) end.also(() => against.remove())
    const notes = new Set<string>()
    const bench: Bench = {
      fleet,
      build: compiled,
      against,
      options,
      peers: availablePeers(options, notes),
      stages: new Map(),
      samples: [],
      problems: [],
      notes,
      progress,
    }
    if (missing !== null) notes.add(missing)
    const [load = 0] = loadavg()
    if (measurable && load > 0.5) {
      notes.add(`the machine was busy before the bench began (load ${load.toFixed(1)}): trust the ratios, if anything`)
    }
    for (const name of options.scenarios) await scenarios[name](bench)
    for (const { stage } of bench.stages.values()) await stage.close()
    return conclude(bench, (performance.now() - startMs) / 1000)
  } catch (error) {
    process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n`)
    return 1
  } finally {
    end.now()
  }
}

/** Those that were asked for and are here; each that is not is told of. */
function availablePeers({ peers }: BenchOptions, notes: Set<string>): readonly PeerName[] {
  return (peers ?? peerNames).filter((name) => {
    if (programOf(name) !== null) return true
    notes.add(`${name} is not on PATH and was left out`)
    return false
  })
}

function conclude(bench: Bench, seconds: number): number {
  const { options, samples, problems } = bench
  const rows = rowsOf(samples, options.baseline)
  if (!samples.some(({ target }) => target === options.baseline)) {
    bench.notes.add(`no target is called ${JSON.stringify(options.baseline)}: there are no ratios`)
  }
  const table = tableOf(rows, options.baseline)
  const goals = goalsOf(samples, options.engines)
  const notes = [...bench.notes]
  const said = [
    '',
    table,
    '',
    ...(goals.length === 0 ? [] : [goalTable(goals), '']),
    ...notes.map((note) => `note: ${note}`),
    ...problems.map((problem) => `FAILED: ${problem}`),
  ]
  process.stdout.write(`${said.join('\n')}\n`)

  const time = new Date().toISOString()
  const file = join(root, 'bench', 'results', `${time.replace(/[:.]/g, '-')}.json`)
  mkdirSync(join(root, 'bench', 'results'), { recursive: true })
  const machine = {
    node: process.version,
    platform: process.platform,
    cpus: availableParallelism(),
    cpu: cpus()[0]?.model,
  }
  const everything = { time, seconds, options, machine, rows, goals, samples, notes, problems }
  writeFileSync(file, `${JSON.stringify(everything, null, 2)}\n`)
  bench.progress(`${problems.length === 0 ? 'all is well' : `${problems.length} failed`}; written to ${file}`)
  return problems.length === 0 ? 0 : 1
}

/** Runs these, the last first, when told to, on a signal, and at the latest when the process exits; once. */
function endWith(first: () => void) {
  const ends = [first]
  const now = (): void => {
    for (let each = ends.pop(); each !== undefined; each = ends.pop()) each()
  }
  const signals = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const
  for (const [signal, code] of Object.entries(signals)) process.once(signal, () => process.exit(code))
  process.once('exit', now)
  return { now, also: (next: () => void) => void ends.push(next) }
}
