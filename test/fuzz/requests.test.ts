import { expect, it } from 'vitest'
import { engines } from './engines.ts'
import { type Coverage, startLab } from './fuzz.ts'
import { told } from './report.ts'
import { search } from './search.ts'

/**
 * The same cases in every run, as far as the time goes: a change is judged by what it does, not by its luck. New cases
 * are looked for by `npm run fuzz`, whose seeds are new each time.
 */
const seed = 20_261_120
const timeMs = 5_000
const lanes = 2

it('whatever a client sends: every engine reads it as it is meant or refuses it, and leaves nothing behind', async () => {
  const labs = await Promise.all(Array.from({ length: lanes }, () => startLab()))
  const found = await Promise.all(labs.map((lab, lane) => search(lab, 'requests', { seed: seed + lane, timeMs })))
  const runs = labs.reduce((sum, { coverage }) => sum + coverage.runs, 0)
  for (const { name } of engines) {
    const answered = labs.reduce(
      (sum, { coverage }: { readonly coverage: Coverage }) => sum + (coverage[`${name} responded`] ?? 0),
      0,
    )
    // A search whose every case is refused at the door proves nothing.
    expect(answered / runs).toBeGreaterThan(0.2)
  }
  await Promise.all(labs.map((lab) => lab.close()))
  expect(found.flatMap((violation) => (violation === null ? [] : told(violation)))).toEqual([])
}, 60_000)
