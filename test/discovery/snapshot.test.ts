/** The snapshot's text: what is written comes back, and nothing else gets in. */

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { sameCatalog } from '../../src/balancer/endpoint.ts'
import { decodeSnapshot, encodeSnapshot } from '../../src/discovery/snapshot.ts'
import { printable } from '../../src/discovery/untrusted-text.ts'
import { anyCatalog, catalogOf } from './catalogs.ts'

const time = fc.integer({ min: 0, max: 253_402_300_799_999 })
const atMs = Date.UTC(2026, 0, 31, 12)

test('the text is for people: a head, and a line for each service', () => {
  expect(encodeSnapshot(catalogOf(8080), atMs)).toBe(`{
  "format": "evenkeel-catalog",
  "version": 1,
  "confirmedAt": "2026-01-31T12:00:00.000Z",
  "services": [
    {"name":"quotes","endpoints":[{"instance":"quotes-8080","address":"10.0.0.1","port":8080,"weight":1}],"absent":[{"instance":"quotes-9","address":"10.0.0.9:80","reason":"in maintenance mode"}]}
  ]
}
`)
})

test('every catalog comes back as it was', () => {
  fc.assert(
    fc.property(anyCatalog, time, (catalog, confirmedAtMs) => {
      const decoded = decodeSnapshot(encodeSnapshot(catalog, confirmedAtMs))
      expect(decoded).toEqual({ kind: 'read', catalog, confirmedAtMs })
      if (decoded.kind !== 'read') return
      expect(sameCatalog(decoded.catalog, catalog)).toBe(true)
      expect([...decoded.catalog.services.keys()]).toEqual([...catalog.services.keys()])
    }),
  )
})

test.each([
  ['a time before 1970', -1, 0],
  ['a fraction of a millisecond', 1.75, 1],
  ['a time after the year 9999', 1e18, 253_402_300_799_999],
])('%s does not stop the writing', (_, given, read) => {
  expect(decodeSnapshot(encodeSnapshot(catalogOf(1), given))).toMatchObject({ kind: 'read', confirmedAtMs: read })
})

describe('a text that was harmed is refused in a line, or is another valid catalog', () => {
  function judge(text: string): 'read' | 'refused' {
    const decoded = decodeSnapshot(text)
    if (decoded.kind === 'refused') expect(decoded.why).toBe(printable(decoded.why, 200))
    else
      expect(decodeSnapshot(encodeSnapshot(decoded.catalog, decoded.confirmedAtMs))).toEqual({
        ...decoded,
        kind: 'read',
      })
    return decoded.kind
  }

  test('cut short anywhere, it is refused', () => {
    const text = encodeSnapshot(catalogOf(8080, 8081), atMs).trimEnd()
    for (let length = 0; length < text.length; length++) expect(judge(text.slice(0, length))).toBe('refused')
  })

  test('characters replaced', () => {
    fc.assert(
      fc.property(
        anyCatalog,
        fc.nat(),
        fc.nat(5),
        fc.string({ unit: 'binary', maxLength: 3 }),
        (catalog, ...change) => {
          const text = encodeSnapshot(catalog, atMs)
          const [place, length, put] = change
          const at = place % text.length
          judge(text.slice(0, at) + put + text.slice(at + length))
        },
      ),
    )
  })

  test('values replaced by any others', () => {
    const root = () => JSON.parse(encodeSnapshot(catalogOf(8080, 8081), atMs))
    const places = placesIn(root())
    expect(places.length).toBeGreaterThan(20)
    fc.assert(
      fc.property(fc.constantFrom(...places), fc.jsonValue(), (path, value) => {
        const harmed = { root: root() }
        put(harmed, ['root', ...path], value)
        judge(JSON.stringify(harmed.root))
      }),
      { numRuns: 1_000 },
    )
  })

  test('any text at all', () => {
    fc.assert(fc.property(fc.oneof(fc.string({ unit: 'binary' }), fc.json()), (text) => void judge(text)))
  })
})

describe('it is refused', () => {
  const head = { format: 'evenkeel-catalog', version: 1, confirmedAt: '2026-01-31T12:00:00.000Z' }
  const place = { instance: 'q', address: '10.0.0.1', port: 80, weight: 1 }
  const service = (more: object) => ({ ...head, services: [{ name: 'q', endpoints: [], absent: [], ...more }] })
  const endpoint = (more: object) => service({ endpoints: [{ ...place, ...more }] })
  const absentee = (more: object) => service({ absent: [{ instance: '', address: '', reason: 'r', ...more }] })

  test.each<[string, unknown, string]>([
    ['a list', [], `it is not a catalog of Evenkeel's`],
    ['the JSON of somebody else', { services: [] }, `it is not a catalog of Evenkeel's`],
    ['a later version', { ...head, version: 2, services: [] }, 'its version is 2, and this Evenkeel reads 1'],
    ['no version', { ...head, version: undefined }, 'its version is missing, and this Evenkeel reads 1'],
    ['no time', { ...head, confirmedAt: undefined }, 'confirmedAt is missing'],
    ['a day for a time', { ...head, confirmedAt: '2026-01-31' }, 'confirmedAt is "2026-01-31", not a time such as'],
    ['a 32nd', { ...head, confirmedAt: '2026-01-32T12:00:00.000Z' }, 'confirmedAt is "2026-01-32T12:00:00.000Z", not'],
    ['a time before 1970', { ...head, confirmedAt: '1969-12-31T23:59:59.999Z' }, 'confirmedAt is "1969'],
    ['a number for a time', { ...head, confirmedAt: 5 }, 'confirmedAt is 5, not'],
    ['no services', head, 'services is missing'],
    ['services by name', { ...head, services: {} }, 'services is an object, not a list'],
    ['a service that is a text', { ...head, services: ['q'] }, 'services[0] is "q", not an object'],
    ['a name with a slash', service({ name: 'a/b' }), 'services[0].name is "a/b", not the name of a service'],
    ['a name with a line break', service({ name: 'a\nb' }), 'services[0].name is "a\\nb", not'],
    ['a name that goes up', service({ name: '..' }), 'services[0].name is "..", not'],
    ['the longest of names', service({ name: 'x'.repeat(256) }), 'services[0].name is "xxx'],
    [
      'a name twice',
      { ...head, services: [...service({}).services, ...service({}).services] },
      'services[1].name is "q" for the second time',
    ],
    ['no endpoints', service({ endpoints: undefined }), 'services[0].endpoints is missing'],
    ['no absentees', service({ absent: null }), 'services[0].absent is null, not a list'],
    ['an address that is none', endpoint({ address: 'a b' }), 'services[0].endpoints[0].address is "a b", not an IP'],
    ['the address of anywhere', endpoint({ address: '0.0.0.0' }), 'services[0].endpoints[0].address is "0.0.0.0", not'],
    ['port 0', endpoint({ port: 0 }), 'services[0].endpoints[0].port is 0, not an integer from 1 to 65535'],
    ['a port in a text', endpoint({ port: '80' }), 'services[0].endpoints[0].port is "80", not'],
    ['port 65536', endpoint({ port: 65_536 }), 'services[0].endpoints[0].port is 65536, not'],
    ['weight 0', endpoint({ weight: 0 }), 'services[0].endpoints[0].weight is 0, not an integer from 1 to 65535'],
    ['weight 1.5', endpoint({ weight: 1.5 }), 'services[0].endpoints[0].weight is 1.5, not'],
    ['weight 65536', endpoint({ weight: 65_536 }), 'services[0].endpoints[0].weight is 65536, not'],
    ['no instance', endpoint({ instance: undefined }), 'services[0].endpoints[0].instance is missing'],
    [
      'a place twice, spelled in two ways',
      service({ endpoints: [place, { ...place, address: 'HOST' }, { ...place, address: 'host' }] }),
      'services[0].endpoints[2] is "host:80" for the second time',
    ],
    ['a reason that is a number', absentee({ reason: 5 }), 'services[0].absent[0].reason is 5, not a text'],
    ['agentLost as a text', absentee({ agentLost: 'yes' }), 'services[0].absent[0].agentLost is "yes", not true or'],
  ])('for %s', (_, root, why) => {
    const decoded = decodeSnapshot(JSON.stringify(root))
    expect(decoded.kind === 'refused' && decoded.why).toContain(why)
  })

  test('in words that quote nothing of a file that is not JSON', () => {
    expect(decodeSnapshot('root:x:0:0')).toEqual({ kind: 'refused', why: 'it is not JSON, or only part of it' })
  })

  test('when it is nested without end', () => {
    expect(decodeSnapshot('['.repeat(1_000_000)).kind).toBe('refused')
    expect(decodeSnapshot('['.repeat(200_000) + ']'.repeat(200_000)).kind).toBe('refused')
  })
})

test('what a person mended by hand is put in order, spelled our way and made printable', () => {
  const text = `\n{ "services": [
    { "name": "b", "endpoints": [], "absent": [{ "instance": "", "address": "", "reason": "a\\nb", "agentLost": false }] },
    { "name": "a", "note": "ours", "absent": [], "endpoints": [
      { "instance": "${'x'.repeat(2_000)}", "address": "[FD00::0:5]", "port": 80, "weight": 1, "id": "1.2.3.4:5" },
      { "instance": "", "address": "Host", "port": 9, "weight": 2 },
      { "instance": "", "address": "Host", "port": 10, "weight": 2 } ] } ],
    "confirmedAt": "2026-01-31T12:00:00.000Z", "version": 1, "format": "evenkeel-catalog" }`
  const decoded = decodeSnapshot(text)
  expect(decoded.kind === 'read' && [...decoded.catalog.services]).toEqual([
    [
      'a',
      {
        endpoints: [
          { id: '[fd00::5]:80', instance: `${'x'.repeat(511)}…`, address: 'fd00::5', port: 80, weight: 1 },
          { id: 'host:10', instance: '', address: 'host', port: 10, weight: 2 },
          { id: 'host:9', instance: '', address: 'host', port: 9, weight: 2 },
        ],
        absent: [],
      },
    ],
    ['b', { endpoints: [], absent: [{ instance: '', address: '', reason: 'a?b' }] }],
  ])
})

/** The path of every value in a JSON value, itself left out. */
function placesIn(value: unknown): string[][] {
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([key, inner]) => [[key], ...placesIn(inner).map((path) => [key, ...path])])
}

function put(root: object, path: readonly string[], value: unknown): void {
  let holder = root as Record<string, unknown>
  for (const key of path.slice(0, -1)) holder = holder[key] as Record<string, unknown>
  holder[path.at(-1) ?? ''] = value
}

test('which catalog it is of is kept, and must be a text', () => {
  const text = encodeSnapshot(catalogOf(1), 0, 'datacenter "dc1"')
  expect(decodeSnapshot(text)).toMatchObject({ kind: 'read', of: 'datacenter "dc1"' })
  const wrong = decodeSnapshot(JSON.stringify({ ...JSON.parse(text), of: 7 }))
  expect(wrong).toEqual({ kind: 'refused', why: expect.stringContaining('of is 7') })
})
