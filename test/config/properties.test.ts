import { resolve } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { stringify } from 'yaml'
import { redactedConfig } from '../../src/config/convert.ts'
import { fixedPaths } from '../../src/config/keys.ts'
import { knownKeys, type LoadResult, parseConfig } from '../../src/config/load.ts'
import { formatProblem } from '../../src/config/problem.ts'
import { load } from './support.ts'

const paths = [...fixedPaths(knownKeys)].map(([path]) => path)

/** Values that are nearly right, and values that are not. */
const anyValue = fc.oneof(
  fc.jsonValue(),
  fc.constantFrom('2s', '16KiB', '50%', '0s', 'http://a:1', '10.0.0.0/8', 'info', 'static', null, true, 0, 1, 8080),
  fc.constantFrom([], {}, ['*'], [502], ['500-599'], { a: {} }, { a: ['h:1'] }, { a: { upstream: { keepAlive: 1 } } }),
)

const anyFile = fc
  .array(fc.tuple(fc.constantFrom(...paths), anyValue), { maxLength: 6 })
  .map((settings) => settings.reduce<Record<string, unknown>>((tree, [path, value]) => set(tree, path, value), {}))

test('whatever JSON or YAML a file has, the answer is a config or problems that can be told', () => {
  fc.assert(
    fc.property(fc.oneof(fc.jsonValue(), anyFile), fc.boolean(), (value, asJson) => {
      answered(parseConfig(asJson ? JSON.stringify(value) : stringify(value), 'x.yaml'))
    }),
    { numRuns: 400, interruptAfterTimeLimit: 5_000 },
  )
})

test('whatever text a file has, the answer is a config or problems that can be told', () => {
  const yamlish = fc.string({ unit: fc.constantFrom(...'{}[]:,-?&*!|>\'"%@`# \n\tab1~<'), maxLength: 60 })
  fc.assert(
    fc.property(fc.oneof(yamlish, fc.string({ unit: 'binary' })), (text) => answered(parseConfig(text, 'x.yaml'))),
    { numRuns: 400, interruptAfterTimeLimit: 5_000 },
  )
})

test('whatever text a variable or a flag has, the answer is a config or problems that can be told', () => {
  const name = fc.oneof(
    fc.constantFrom(...paths.map((path) => path.join('.'))),
    fc.string({ maxLength: 12 }).map((key) => `services.${key}`),
    fc.string({ maxLength: 12 }),
  )
  fc.assert(
    fc.property(
      name,
      fc.oneof(
        fc.string(),
        anyValue.map((value) => JSON.stringify(value)),
      ),
      (key, text) => {
        const variable = `EVENKEEL_${key.replace(/\W/g, '_').toUpperCase()}`
        answered(load({ env: { [variable]: text, CONSUL_HTTP_ADDR: text, CONSUL_HTTP_SSL: text } }))
        answered(load({ flags: { port: text, consul: text, set: [`${key}=${text}`, text] } }))
      },
    ),
    { numRuns: 200, interruptAfterTimeLimit: 5_000 },
  )
})

/** A config that is accepted can be shown, and what is shown would be accepted again as the same. */
function answered(result: LoadResult): void {
  if (!result.ok) {
    expect(result.problems.length).toBeGreaterThan(0)
    for (const problem of result.problems) expect(formatProblem(problem)).toMatch(/\S/)
    return
  }
  const shown = redactedConfig(result.config)
  const again = parseConfig(JSON.stringify(shown), 'again.json')
  expect(again.ok && located(redactedConfig(again.config))).toEqual(located(shown))
}

/** A path in a file is told in full, one from elsewhere as it was said. */
function located(shown: Record<string, unknown>): unknown {
  const { discovery } = shown as { discovery: { snapshot: string | null; file: { path: string | null } } }
  const full = (path: string | null) => path && resolve(path)
  return { ...shown, discovery: { ...discovery, snapshot: full(discovery.snapshot), file: full(discovery.file.path) } }
}

function set(tree: Record<string, unknown>, path: readonly string[], value: unknown): Record<string, unknown> {
  const [key = '', ...rest] = path
  const inner = tree[key]
  const below = typeof inner === 'object' && inner !== null && !Array.isArray(inner) ? { ...inner } : {}
  return { ...tree, [key]: rest.length === 0 ? value : set(below, rest, value) }
}
