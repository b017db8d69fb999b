import { describe, expect, test } from 'vitest'
import { jsonReport, scopeOf, textReport } from '../../src/commands/doctor-text.ts'
import type { Finding } from '../../src/doctor/finding.ts'
import { facts, instance, service, well } from '../doctor/facts-fixture.ts'

const scope = { from: 'http://192.0.2.9:8500', services: 14, instances: 40, excluded: 0, sources: [] }
const refused: Finding = {
  ...{ kind: 'refused', severity: 'error', service: 'web', where: 'web' },
  ...{ what: 'it refuses', why: 'it hurts', cure: 'mend it' },
  instances: [{ id: 'w1', node: 'n1', place: '192.0.2.1:80', note: 'ECONNREFUSED' }],
}

const lastLine = (text: string) => text.trimEnd().split('\n').at(-1)

test('a finding, in lines', () => {
  expect(textReport([refused], scope)).toBe(
    [
      'web',
      '  ERROR  it refuses [refused]',
      '         - w1 at 192.0.2.1:80 on n1: ECONNREFUSED',
      '         why: it hurts',
      '         do:  mend it',
      '',
      'doctor: 1 finding in 1 of 14 services',
      '',
    ].join('\n'),
  )
})

describe('the last line', () => {
  test.each<[string, Finding[], Partial<typeof scope>, string]>([
    ['nothing', [], {}, 'doctor: nothing wrong found in 14 services, 40 instances'],
    ['nothing in one', [], { services: 1, instances: 1 }, 'doctor: nothing wrong found in 1 service, 1 instance'],
    [
      'what is left out',
      [],
      { excluded: 2 },
      'doctor: nothing wrong found in 14 services, 40 instances (2 services left out by the config)',
    ],
    [
      'several in several',
      [refused, { ...refused, kind: 'no-checks' }, { ...refused, service: 'other', where: 'other' }],
      {},
      'doctor: 3 findings in 2 of 14 services',
    ],
    ['of no service', [{ ...refused, service: null }], {}, 'doctor: 1 finding'],
  ])('%s', (_, findings, more, line) => expect(lastLine(textReport(findings, { ...scope, ...more }))).toBe(line))
})

test('what to make of a finding is said once', () => {
  const text = textReport([refused, { ...refused, service: 'other', where: 'other' }], scope)
  expect(text.split('why: it hurts')).toHaveLength(2)
  expect(text).toContain(
    'other\n  ERROR  it refuses [refused]\n         - w1 at 192.0.2.1:80 on n1: ECONNREFUSED\n         (why and what to do: as above)\n',
  )
})

test('what many services have alike is told once, what one has alone is told with it', () => {
  const of = (service: string, more: Partial<Finding> = {}): Finding => ({
    ...refused,
    service,
    where: service,
    ...more,
  })
  const alike = Array.from({ length: 100 }, (_, n) => of(`s${n}`, { severity: 'warning', kind: 'no-checks' }))
  const text = textReport([{ ...of('-'), service: null, where: 'agent' }, of('a'), ...alike, of('b')], scope)
  expect(text.split('\n').length).toBeLessThan(40)
  expect(text).toContain(
    'many services\n  warn   no check, in 100 services [no-checks]\n         - s0: w1 at 192.0.2.1:80 on n1: ECONNREFUSED\n',
  )
  expect(text).toContain('           and 88 more; --json has all\n')
  const headings = text.split('\n').filter((line) => /^[^ ]/.test(line))
  expect(headings).toEqual(['agent', 'many services', 'a', 'b', 'doctor: 103 findings in 102 of 102 services'])
  expect(textReport([of('a'), of('b'), of('c')], scope)).not.toContain('many services')
})

test('a thousand instances are a dozen lines, all of them in JSON, and no line is very long', () => {
  const instances = Array.from({ length: 1000 }, (_, n) => ({
    id: `w${n}`,
    node: '',
    place: `192.0.2.1:${n}`,
    note: null,
  }))
  const many = { ...refused, instances, why: 'so many words '.repeat(50).trim() }
  const lines = textReport([many], scope).split('\n')
  expect(lines.length).toBeLessThan(30)
  expect(lines).toContain('           and 988 more; --json has all')
  expect(Math.max(...lines.map(({ length }) => length))).toBeLessThanOrEqual(100)
  expect(JSON.parse(jsonReport([many], scope)).findings[0].instances).toHaveLength(1000)
})

test('JSON has what the text has', () => {
  expect(JSON.parse(jsonReport([refused], scope))).toEqual({ ...scope, affectedServices: 1, findings: [refused] })
})

test('the scope counts what was looked at', () => {
  expect(scopeOf(well)).toMatchObject({ from: 'http://192.0.2.9:8500', services: 2, instances: 4, excluded: 0 })
  const one = [service('a', [instance('a1')])]
  expect(scopeOf(facts(one, { excluded: 3 })).excluded).toBe(3)
  expect(scopeOf(facts(one, { excluded: 3, only: 'a' })).excluded).toBe(0)
})

test('of several sources each finding says where it was found; what is in both is counted once', () => {
  const web = service('web', [instance('w1'), instance('w2')])
  const shop = service('shop', [instance('s3')])
  const both = [
    facts([web, shop]),
    facts([web], { source: 'eureka', from: 'http://192.0.2.8:8761/eureka', excluded: 2 }),
  ]
  const scope = scopeOf(...both)
  expect(scope).toMatchObject({
    from: 'consul (http://192.0.2.9:8500), eureka (http://192.0.2.8:8761/eureka)',
    ...{ services: 2, instances: 3, excluded: 2 },
    sources: [
      { source: 'consul', services: 2, instances: 3, excluded: 0 },
      { source: 'eureka', services: 1, instances: 2, excluded: 2 },
    ],
  })
  const found: Finding = { ...refused, source: 'eureka' }
  expect(textReport([found], scope)).toContain('  ERROR  in eureka: it refuses [refused]\n')
  expect(textReport([found], { ...scope, sources: scope.sources.slice(1) })).toContain(
    '  ERROR  it refuses [refused]\n',
  )
})

test('what a finding consists of besides instances is listed, and no item is very long', () => {
  const details = ['line 3: no port', 'x'.repeat(5000)]
  const lines = textReport([{ ...refused, instances: [], details }], scope).split('\n')
  expect(lines.slice(1, 4)).toEqual([
    '  ERROR  it refuses [refused]',
    '         - line 3: no port',
    `         - ${'x'.repeat(199)}…`,
  ])
})
