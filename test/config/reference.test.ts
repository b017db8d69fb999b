import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { redactedConfig } from '../../src/config/convert.ts'
import { type KeyNode, nodeAt } from '../../src/config/keys.ts'
import { checkConfigFile, knownKeys } from '../../src/config/load.ts'
import { accepted, configOf } from './support.ts'

const fileOf = (name: string) => fileURLToPath(new URL(`../../config/${name}`, import.meta.url))

describe('config/evenkeel.yaml', () => {
  const file = fileOf('evenkeel.yaml')
  const text = readFileSync(file, 'utf8')

  test('says what the code assumes when nothing is said', () => {
    expect(redactedConfig(accepted(checkConfigFile(file)))).toEqual(redactedConfig(configOf('')))
  })

  test('has every key there is', () => {
    expect(missing(knownKeys, parse(text), [])).toEqual([])
  })

  test('tells why in every section', () => {
    const sections = text.split(/\n\n+/)
    expect(sections.length).toBeGreaterThan(10)
    expect(sections.filter((section) => !section.includes('# '))).toEqual([])
  })

  test('marks as needing a restart the sections that do', () => {
    const marked = [...text.matchAll(/\(restart\)\n\s*(\w+):/g)].map(([, key]) => key)
    expect(marked).toEqual(['listen', 'host', 'port', 'workers', 'engine', 'snapshot', 'limits', 'register'])
  })
})

test('config/static.example.yaml is accepted, and routes what it lists', () => {
  const { discovery } = accepted(checkConfigFile(fileOf('static.example.yaml')))
  expect(discovery.sources).toEqual(['static'])
  expect(Object.keys(discovery.static.services)).toEqual(['accountservice', 'quotes-service'])
})

test('the search for missing keys finds one', () => {
  expect(missing(knownKeys, { ...parse('listen: {host: a}') }, [])).toContain('listen.port')
  expect(nodeAt(knownKeys, ['listen', 'port'])).not.toBeNull()
})

function missing(node: KeyNode, value: unknown, path: readonly string[]): string[] {
  if (node.kind !== 'section') return value === undefined ? [path.join('.')] : []
  const inside = (typeof value === 'object' && value !== null ? value : {}) as Readonly<Record<string, unknown>>
  return [...node.keys].flatMap(([key, child]) => missing(child, inside[key], [...path, key]))
}
