/**
 * `npm run fuzz -- [--minutes N] [--seed S] [--only requests|origins] [--engine NAME] [--all]`: the searches,
 * for long.
 *
 * Exit 1 with the smallest case found, unless nothing is wrong. With `--all` it goes on, and tells each kind of fault
 * once. With one engine nothing is compared, and more cases are run.
 */

import process from 'node:process'
import { parseArgs } from 'node:util'
import { type Coverage, cases, type Lab, type Search, startLab } from './fuzz.ts'
import { minimise, type Pieces } from './minimise.ts'
import { kindOf, told } from './report.ts'
import { search } from './search.ts'
import { Violation } from './violation.ts'

/** Searches go on side by side: much of a run is waiting for the other side. */
const lanes = 4
const sliceMs = 20_000
const shrinkMs = 30_000

const { values: options } = parseArgs({
  options: {
    minutes: { type: 'string', default: '5' },
    seed: { type: 'string' },
    only: { type: 'string' },
    engine: { type: 'string' },
    all: { type: 'boolean', default: false },
  },
})

const say = (text: string): void => void process.stdout.write(`${text}\n`)
const names = (Object.keys(cases) as Search[]).filter((name) => options.only === undefined || name === options.only)
const firstSeed = Number(options.seed ?? Math.floor(Math.random() * 2 ** 30))
const endMs = performance.now() + Number(options.minutes) * 60_000
if (names.length === 0 || !Number.isInteger(firstSeed) || !(endMs > performance.now())) {
  process.stderr.write('fuzz: [--minutes N] [--seed S] [--only requests|origins] [--engine NAME] [--all]\n')
  process.exit(2)
}

const kinds = new Set<string>()
const labs = await Promise.all(
  Array.from({ length: lanes }, () => startLab(options.engine === undefined ? {} : { only: [options.engine] })),
)
let round = 0
await Promise.all(
  labs.map(async (lab) => {
    while (performance.now() < endMs && (kinds.size === 0 || options.all)) {
      const name = names[round % names.length] as Search
      await slice(lab, name, firstSeed + round++)
    }
  }),
)
const coverage: Coverage = { runs: 0 }
for (const [what, count] of labs.flatMap((lab) => Object.entries(lab.coverage))) {
  coverage[what] = (coverage[what] ?? 0) + count
}
say(`${JSON.stringify(coverage, null, 1)}\nfirst seed ${firstSeed}; ${kinds.size} kinds of fault`)
await Promise.all(labs.map((lab) => lab.close()))
process.exit(kinds.size === 0 ? 0 : 1)

async function slice(lab: Lab, name: Search, seed: number): Promise<void> {
  const before = lab.coverage.runs
  const timeMs = Math.min(sliceMs, Math.max(1, endMs - performance.now()))
  const violation = await search(lab, name, { seed, timeMs, isOld: (old) => kinds.has(kindOf(old)) })
  say(`${name}, seed ${seed}: ${lab.coverage.runs - before} runs`)
  if (violation === null) return
  kinds.add(kindOf(violation))
  say(`\n──── found by --only ${name} --seed ${seed}\n${told(await smallest(lab, name, violation))}\n`)
}

async function smallest(lab: Lab, name: Search, violation: Violation): Promise<Violation> {
  let best = violation
  await minimise(
    violation.input as Pieces,
    async (input) => {
      try {
        await lab.attempt(name, input)
      } catch (error) {
        if (!(error instanceof Violation) || kindOf(error) !== kindOf(violation)) return false
        best = error
        return true
      }
      return false
    },
    shrinkMs,
  )
  return best
}
