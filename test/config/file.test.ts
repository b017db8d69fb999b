import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { configOf, linesOf, load, problemsOf } from './support.ts'

describe('a file is accepted', () => {
  test.each([
    ['when it is empty', ''],
    ['when it has nothing but comments', '# nothing\n\n'],
    ['when it has nothing but null', '~'],
    ['when its sections have nothing but comments', 'listen:\n  # port: 1\nservices:\ndiscovery:\n  static:\n'],
  ])('%s: all defaults', (_, yaml) => {
    expect(JSON.stringify(configOf(yaml))).toBe(JSON.stringify(configOf('{}')))
  })

  test('when it is JSON, indented by tabs', () => {
    const json = JSON.stringify({ listen: { port: 1 }, upstream: { connectTimeout: '3s' } }, null, '\t')
    const config = configOf(json)
    expect([config.listen.port, config.upstream.connectTimeoutMs]).toEqual([1, 3_000])
  })

  test('when an alias repeats a part of it', () => {
    const config = configOf('services: { a: &a { retry: { attempts: 1 } }, b: *a }')
    expect(config.services.b?.retry).toEqual({ attempts: 1 })
  })
})

describe('a file is refused, with the place', () => {
  test.each([
    ['that names a key twice', 'listen: {port: 1}\nlisten: {port: 2}', 'file x.yaml:2:1: Map keys must be unique'],
    ['that is a list', '- a', 'file x.yaml: is a list, must be a map of keys, e.g. listen: { port: 8080 }'],
    ['that is a word', 'a', 'file x.yaml: is a single value, must be a map of keys, e.g. listen: { port: 8080 }'],
    ['that holds two documents', 'a: 1\n---\nb: 1', /^file x\.yaml:2:1: .*multiple documents/],
    ['that is no YAML', 'listen: {port: 1', /^file x\.yaml:1:17: /],
    ['that names an anchor nobody made', 'listen: *a', /^file x\.yaml(:1:9)?: .*[aA]lias/],
    ['that uses a tag of its own', 'listen: !secret a', /^file x\.yaml:1:9: .*[tT]ag/],
    ['that multiplies aliases', bomb(), /^file x\.yaml: cannot be understood: Excessive alias count/],
    ['that contains itself', 'a: &a [*a]', /^file x\.yaml:1: a: found a value that contains itself, unknown key/],
  ])('%s', (_, yaml, line) => {
    const [first, ...others] = problemsOf(yaml)
    if (typeof line === 'string') expect(first).toBe(line)
    else expect(first).toMatch(line)
    expect(others).toEqual([])
  })

  test.each([
    ['lists', '['],
    ['maps', '{a: '],
    ['items', '- '],
    ['keys', '? '],
  ])('that nests %s deeper than the parser could follow: the process must outlive it', (_, opening) => {
    expect(problemsOf(opening.repeat(20_000))).toEqual(['file x.yaml: is nested more than 32 levels deep'])
  })
})

describe('a file on disk', () => {
  let folder = ''
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'evenkeel-config-'))
  })
  afterAll(() => rmSync(folder, { recursive: true }))

  const written = (name: string, text: string): string => {
    const file = join(folder, name)
    writeFileSync(file, text)
    return file
  }

  test('that does not exist is a problem that names it', () => {
    expect(linesOf(load({ file: '/no/such.yaml' }))).toEqual([
      expect.stringMatching(/^file \/no\/such\.yaml: cannot be read: ENOENT/),
    ])
  })

  test('that is a folder is a problem', () => {
    expect(linesOf(load({ file: folder }))).toEqual([expect.stringContaining('cannot be read: EISDIR')])
  })

  test('of 1 MiB is read, of one byte more refused', () => {
    const comment = `#${' '.repeat(2 ** 20 - 1)}`
    expect(load({ file: written('full.yaml', comment) }).ok).toBe(true)
    const over = written('over.yaml', `${comment} `)
    expect(linesOf(load({ file: over }))).toEqual([`file ${over}: is larger than 1MiB, which no config is`])
  })

  test('names PEM files relative to itself, and their texts are what the config has', () => {
    written('ca.pem', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n')
    const result = load({ file: written('tls.yaml', 'discovery: { consul: { tls: { ca: ca.pem } } }') })
    expect(result.ok && result.config.discovery.consul.tls.ca).toContain('BEGIN CERTIFICATE')
  })

  test('that names PEM files which cannot be used is a problem for each', () => {
    const other = written('other.txt', 'no PEM')
    const yaml = `discovery: { consul: { tls: { ca: /no/ca.pem, cert: ${other}, key: "-----BEGIN KEY-----\\nAA" } } }`
    const file = written('bad.yaml', yaml)
    expect(linesOf(load({ file }))).toEqual([
      expect.stringContaining('tls.ca: found "/no/ca.pem", cannot be read: ENOENT'),
      expect.stringContaining(`tls.cert: found ${JSON.stringify(other)}, must be the path of a PEM file`),
      expect.stringContaining('tls.key: found ***, cannot be read: it is no path'),
    ])
  })

  test('that has a certificate but no key is a problem', () => {
    written('cert.pem', '-----BEGIN CERTIFICATE-----')
    const file = written('half.yaml', 'discovery: { consul: { tls: { cert: cert.pem } } }')
    expect(linesOf(load({ file }))).toEqual([
      `file ${file}:1: discovery.consul.tls.key: found null, must be given along with cert`,
    ])
  })
})

function bomb(): string {
  const row = (name: string) => `[${Array.from({ length: 9 }, () => name).join(',')}]`
  return `a: [&a ${row('x')}, &b ${row('*a')}, &c ${row('*b')}, &d ${row('*c')}, &e ${row('*d')}]`
}
