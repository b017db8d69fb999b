/** Do the drills of a source do what they are for? At their smallest and over a file; `npm run drills -- sources` has all. */

import { expect, test } from 'vitest'
import { sources } from '../drills/sources.ts'

test('a file is followed, does without its file, and names many services: the tables have a row of each', async () => {
  const size = {
    changes: { changes: 2, perSecond: 200 },
    outage: { awaySeconds: 1, perSecond: 200 },
    size: { services: 20, idleSeconds: 1 },
  }
  const printed: string[] = []
  const { broken } = await sources({ size, registries: ['file'], parts: [] }, (line) => printed.push(line))
  expect(broken).toEqual([])
  const rows = printed.filter((line) => line.startsWith('| file |'))
  expect(rows).toEqual([
    expect.stringMatching(/^\| file( \| \d+ ms){5} \| 0 of \d{3,} \| the system tells /),
    expect.stringMatching(/^\| file \| \d\.\d s \| 0 of \d{3,}( \| \d\.\d s){4} \| none \|$/),
    expect.stringMatching(/^\| file \| 20 × 3( \| \d\.\d\d s){2}( \| \d+ MiB){2} \| \d+\.\d % of a core/),
  ])
}, 90_000)
