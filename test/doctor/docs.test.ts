import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { titles } from '../../src/doctor/finding.ts'

test('docs/doctor.md has a row for every kind of finding, and for nothing else', () => {
  const text = readFileSync(new URL('../../docs/doctor.md', import.meta.url), 'utf8')
  const rows = [...text.matchAll(/^\| `([a-z0-9-]+)` \|/gm)].map(([, kind]) => kind)
  expect(rows.sort()).toEqual(Object.keys(titles).sort())
})
