/** What is pushed, in the snapshot: does it come back, does nothing else get in, and when is it written? */

import { setImmediate as turn } from 'node:timers/promises'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Registration } from '../../../src/discovery/push/push-entry.ts'
import { decodeSnapshot, encodeSnapshot, snapshotPieces } from '../../../src/discovery/snapshot.ts'
import { openSnapshot } from '../../../src/discovery/snapshot-file.ts'
import { printable } from '../../../src/discovery/untrusted-text.ts'
import { anyCatalog, catalogOf } from '../catalogs.ts'

const web: Registration = {
  ...{ service: 'web', id: 'web-1', address: '10.0.0.5', port: 8080 },
  ...{ weight: 1, tags: ['v1'], ttlMs: 30_000 },
}

function textOf(pushed: readonly Registration[], catalog = catalogOf(8080)): string {
  return [...snapshotPieces({ catalog, confirmedAtMs: 0, pushed })].join('')
}

test('each has a line, for people to read and mend', () => {
  const text = textOf([web, { ...web, id: 'web-2', tags: [], ttlMs: 90_000 }])
  expect(text.slice(text.indexOf('\n  ],'))).toBe(`
  ],
  "pushed": [
    {"service":"web","id":"web-1","address":"10.0.0.5","port":8080,"ttl":"30s","weight":1,"tags":["v1"]},
    {"service":"web","id":"web-2","address":"10.0.0.5","port":8080,"ttl":"90s","weight":1,"tags":[]}
  ]
}
`)
})

test('where nothing is pushed the text is as it was before there was a push', () => {
  expect(textOf([])).toBe(encodeSnapshot(catalogOf(8080), 0))
})

test('whatever is pushed comes back beside the catalog', () => {
  const name = fc.constantFrom('web', '__proto__', 'ä b', '10')
  const registration = fc.record({
    ...{ service: name, id: name, address: fc.constantFrom('10.0.0.1', 'fd00::1', 'web.example') },
    port: fc.integer({ min: 1, max: 65_535 }),
    weight: fc.nat(65_535),
    tags: fc.array(fc.constantFrom('v1', '"', 'é'), { maxLength: 16 }),
    ttlMs: fc.integer({ min: 1000, max: 100_000_000 }),
  })
  const selector = ({ service, id }: Registration) => JSON.stringify([service, id])
  const list = fc.uniqueArray(registration, { selector, minLength: 1, maxLength: 6 })
  fc.assert(
    fc.property(anyCatalog, list, (catalog, pushed) => {
      expect(decodeSnapshot(textOf(pushed, catalog))).toEqual({ kind: 'read', catalog, confirmedAtMs: 0, pushed })
    }),
  )
})

describe('a text that somebody has mended is taken if it is sound, and refused as a whole if not:', () => {
  test.each<[string, object]>([
    ['no more than what there has to be', { service: 'web', id: 'a', address: '10.0.0.5', port: 80 }],
    ['with what is not known', { service: 'web', id: 'a', address: '10.0.0.5', port: 80, since: 'yesterday' }],
  ])('%s', (_, entry) => {
    const text = textOf([web]).replace(/\{"service".*\}/, JSON.stringify(entry))
    expect(decodeSnapshot(text)).toMatchObject({ kind: 'read', pushed: [{ service: 'web', id: 'a', ttlMs: 30_000 }] })
  })

  test.each<[string, string, string]>([
    ['a service that cannot be routed', '"web"', 'pushed[0]: the service'],
    ['an id that is no text', '"web-1"', 'pushed[0].id is 7, not an id'],
    ['an address that is none', '"10.0.0.5"', 'pushed[0]: address is "a b", not'],
    ['a port that is none', '8080,"ttl"', 'pushed[0]: port is 0, not'],
    ['a time to live that is none', '"30s"', 'pushed[0]: ttl is "1ms", not a duration such as "30s", from 1s up'],
    ['tags that are none', '["v1"]', 'pushed[0]: tags is a list with something else'],
    ['what is no object', '{"service":"web","id":"web-1"', 'pushed[0] is 1, not an object'],
    ['what is no list', '"pushed": [', 'pushed is an object, not a list'],
  ])('%s', (_, found, why) => {
    const put: Record<string, string> = {
      ...{ '"web"': '"a/b"', '"web-1"': '7', '"10.0.0.5"': '"a b"', '8080,"ttl"': '0,"ttl"', '"30s"': '"1ms"' },
      ...{ '["v1"]': '[7]', '{"service":"web","id":"web-1"': '1,{"service":"web","id":"web-1"' },
    }
    const text = textOf([web], { services: new Map() })
    const harmed =
      found === '"pushed": ['
        ? text.replace(/"pushed": \[[\s\S]*$/, '"pushed": {}\n}\n')
        : text.replace(found, put[found] as string)
    expect(harmed).not.toBe(text)
    const decoded = decodeSnapshot(harmed)
    expect(decoded).toMatchObject({ kind: 'refused', why: expect.stringContaining(why) })
    if (decoded.kind === 'refused') expect(decoded.why).toBe(printable(decoded.why, 250))
  })

  test('the same one twice', () => {
    const decoded = decodeSnapshot(textOf([web, { ...web, port: 81 }]))
    expect(decoded).toEqual({ kind: 'refused', why: 'pushed[1] is "web-1" of "web" for the second time' })
  })

  test('cut short anywhere', () => {
    const text = textOf([web]).trimEnd()
    for (let at = 0; at < text.length; at += 1) expect(decodeSnapshot(text.slice(0, at)).kind).toBe('refused')
  })
})

test('a change of what is pushed is written with the catalog that there is, and not before there is one', async () => {
  const written: string[] = []
  let nowMs = 0
  let due: (() => void)[] = []
  let pushed: readonly Registration[] = [web]
  const file = openSnapshot('/catalog.json', {
    now: () => nowMs,
    epochNow: () => nowMs,
    pushed: () => pushed,
    onError: () => {},
    sleep: (ms) =>
      new Promise((resolve) => {
        due.push(() => {
          nowMs += ms
          resolve(null)
        })
      }),
    disk: {
      look: async () => ({ kind: 'absent' }),
      removeLeftovers: async () => {},
      replace: async (_, pieces) => {
        written.push([...pieces].join(''))
        return { kind: 'written', mark: '' }
      },
    },
  })
  const settle = async () => {
    const all = due
    due = []
    for (const each of all) each()
    for (let at = 0; at < 5; at += 1) await turn()
  }
  file.pushedChanged()
  await settle()
  expect(written).toEqual([])
  file.write(catalogOf(8080), 0)
  await settle()
  expect(written).toEqual([textOf([web])])
  pushed = [{ ...web, tags: ['v2'] }]
  file.pushedChanged()
  file.pushedChanged()
  await settle()
  expect(written).toHaveLength(2)
  expect(written[1]).toContain('"tags":["v2"]')
  await file.close()
  file.pushedChanged()
  await settle()
  expect(written).toHaveLength(2)
})
