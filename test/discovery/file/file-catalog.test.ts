/** Which catalog, or which problems, does the text of a file come to? */

import { describe, expect, test } from 'vitest'
import type { Catalog } from '../../../src/balancer/endpoint.ts'
import { decodeFile, type FileRules } from '../../../src/discovery/file/file-catalog.ts'
import { readDocument } from '../../../src/discovery/file/file-document.ts'

const all: FileRules = { include: ['*'], exclude: [], tag: null }

function decode(text: string, rules: Partial<FileRules> = {}): Catalog | string[] {
  const document = readDocument(text)
  const decoded =
    document.kind === 'read' ? decodeFile(document.value, document.placeOf, { ...all, ...rules }) : document
  return decoded.kind === 'catalog'
    ? decoded.catalog
    : decoded.problems.map(({ place, message }) => `${place}|${message}`)
}

/** `web: a*1 b*2 (c: why)` a line each. */
function shown(text: string, rules: Partial<FileRules> = {}): string[] {
  const catalog = decode(text, rules)
  if (Array.isArray(catalog)) return catalog
  return [...catalog.services].map(([name, { endpoints, absent }]) => {
    const parts = [
      ...endpoints.map(({ id, weight }) => `${id}*${weight}`),
      ...absent.map(({ address, reason }) => `(${address}: ${reason})`),
    ]
    return `${name}: ${parts.join(' ')}`
  })
}

describe('what is understood', () => {
  const tagged = 'services: {web: [{address: a, port: 1, tags: [v2]}, {address: b, port: 1}, "c:1"]}'
  test.each<[string, string, Partial<FileRules>, string[]]>([
    [
      'texts, in the order of the ids',
      "services: {web: ['b:2', 'a:1', '[FD00::5]:3']}",
      {},
      ['web: [fd00::5]:3*1 a:1*1 b:2*1'],
    ],
    ['JSON', '{"services": {"web": [{"address": "10.0.0.1", "port": 80, "weight": 3}]}}', {}, ['web: 10.0.0.1:80*3']],
    [
      'a key in JSON that another map has as well',
      '{"services": {"a": [{"address": "h", "port": 1}, {"address": "h", "port": 2}], "port": []}}',
      {},
      ['a: h:1*1 h:2*1', 'port: '],
    ],
    ['YAML that begins like JSON', '{services: {web: ["a:1"]}}', {}, ['web: a:1*1']],
    ['services in the order of their names', 'services: {b: [], a: []}', {}, ['a: ', 'b: ']],
    ['an explicit empty catalog', 'services: {}', {}, []],
    [
      'an endpoint that is named twice counts once',
      'services: {web: ["a:1", {address: a, port: 1}]}',
      {},
      ['web: a:1*1'],
    ],
    [
      'weight 0 is out, with the reason',
      'services: {web: [{address: a, port: 1, weight: 0}]}',
      {},
      ['web: (a:1: its weight is 0)'],
    ],
    [
      'only those with the tag',
      tagged,
      { tag: 'v2' },
      ['web: a:1*1 (b:1: lacks the tag "v2") (c:1: lacks the tag "v2")'],
    ],
    ['only services that are routed', 'services: {web: [], api: []}', { exclude: ['api'] }, ['web: ']],
    ['a list used twice by an alias', 'services: {a: &x ["h:1"], b: *x}', {}, ['a: h:1*1', 'b: h:1*1']],
  ])('%s', (_, text, rules, expected) => {
    expect(shown(text, rules)).toEqual(expected)
  })
})

describe('what is refused', () => {
  test.each<[string, string, (string | RegExp)[]]>([
    ['an empty file', '', ['|is empty: a catalog without services is written as services: {}']],
    ['a file of comments', '# nothing\n', [/is empty/]],
    ['a list', '- a:1\n', [/\|is a list, must be a map such as/]],
    ['a map without services', 'web: []\n', [/^line 1\|web: unknown key/, /^\|has no services/]],
    [
      'services that are null, as a lost indentation makes them',
      'services:\nweb: []\n',
      [/^line 2\|web: unknown key/, /^line 1\|services: is null/],
    ],
    ['a service that is a text', 'services:\n  web: a:1\n', [/^line 2\|services\.web: is "a:1", must be a list/]],
    ['a text without a port', 'services:\n  web:\n    - a\n', [/^line 3\|services\.web\[0\]: "a" has no port/]],
    [
      'everything that is wrong at once',
      'services:\n  web:\n    - {address: "", port: 0, weight: -1, tags: v2, wieght: 1}\n    - 7\n',
      [
        /^line 3\|services\.web\[0\]\.wieght: unknown key/,
        /^line 3\|services\.web\[0\]\.address: is "", must be/,
        /^line 3\|services\.web\[0\]\.port: is 0, must be/,
        /^line 3\|services\.web\[0\]\.weight: is -1, must be/,
        /^line 3\|services\.web\[0\]\.tags: is "v2", must be/,
        /^line 4\|services\.web\[1\]: is 7, must be/,
      ],
    ],
    ['a missing port', 'services: {web: [{address: a}]}', [/port: is missing/]],
    [
      'one place with two weights',
      'services: {web: ["a:1", {address: a, port: 1, weight: 2}]}',
      [/names a:1 again, with weight 2 after 1/],
    ],
    ['a name that cannot stand in a path', 'services: {a/b: []}', [/cannot be routed to/]],
    ['a service that is named twice', 'services:\n  web: []\n  web: []\n', [/^line 3:3\|Map keys must be unique/]],
    ['broken YAML', 'services:\n  web: [\n', [/^line \d+:\d+\|/]],
    ['nesting without end', '['.repeat(5000), [/^\|is nested more than/]],
    [
      'an alias bomb',
      `a: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [${'*a,'.repeat(20)}]\nc: &c [${'*b,'.repeat(20)}]\nservices: {w: [*c]}`,
      [/cannot be understood/],
    ],
  ])('%s', (_, text, expected) => {
    const problems = decode(text)
    expect(problems).toHaveLength(expected.length)
    for (const [at, each] of expected.entries()) {
      if (typeof each === 'string') expect((problems as string[])[at]).toBe(each)
      else expect((problems as string[])[at]).toMatch(each)
    }
  })

  test.each<[string, string, (string | RegExp)[]]>([
    ['a problem has its line', '{"services": {\n "web": [\n  "a"]}}', [/^line 3\|services\.web\[0\]: "a" has no port/]],
    [
      'a service that is named twice',
      '{"services": {"web": [],\n"w\\u0065b": []}}',
      ['line 2|the key "web" stands twice in one map'],
    ],
    [
      'a key twice in an entry',
      '{"services": {"web": [{"port": 1, "port": 2}]}}',
      [/^line 1\|the key "port" stands twice/],
    ],
    ['what begins like it and is none', '{"services": {"web": [}', [/^line 1:\d+\|/]],
    ['a large one that is broken', `{"services": ${' '.repeat(300_000)}`, [/^\|.*JSON/]],
    ['a large one with a problem', `{"services": ${' '.repeat(300_000)}{"web": 7}}`, [/^\|services\.web: is 7/]],
  ])('in JSON: %s', (_, text, expected) => {
    const problems = decode(text) as string[]
    expect(problems.length).toBeGreaterThanOrEqual(expected.length)
    for (const [at, each] of expected.entries()) expect(problems[at]).toMatch(each)
  })

  test('in YAML: more than can be read in a moment', () => {
    expect(decode(`services: {}\n${'#'.repeat(300_000)}`)).toEqual([expect.stringContaining('must be written as JSON')])
  })

  test('one wrong entry makes the whole file wrong, also where it is not routed', () => {
    expect(shown('services: {web: ["a:1"], api: ["b"]}', { exclude: ['api'] })).toEqual([
      expect.stringContaining('api'),
    ])
  })

  test('its words are printable', () => {
    expect(String(decode('services: {web: ["a\\nforged line"]}'))).not.toContain('\n')
  })
})
