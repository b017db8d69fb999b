/** Are the configs of docs/moving.md ones that Evenkeel takes? */

import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { configOf } from './support.ts'

const page = readFileSync(new URL('../../docs/moving.md', import.meta.url), 'utf8')
const blocks = [...page.matchAll(/```yaml\n(.*?)```/gs)].map(([, yaml = '']) => yaml)
const ours = blocks.filter((yaml) => /^(?:discovery|listen):/.test(yaml))

test('there is one for each way to move', () => {
  expect(ours.map((yaml) => configOf(yaml).discovery.sources)).toEqual([['eureka', 'static'], ['consul'], ['swarm']])
})

test('so is the one in a line of text', () => {
  const [, yaml = ''] = /`(discovery: \{ source: dns.*?\})`/.exec(page) ?? []
  expect(configOf(yaml).discovery.sources).toEqual(['dns'])
})
