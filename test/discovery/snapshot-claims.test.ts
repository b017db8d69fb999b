/** Do routes survive a restart while Consul is away? What tags claim is in the snapshot, and as little trusted as the rest. */

import { expect, test } from 'vitest'
import { type Catalog, sameCatalog } from '../../src/balancer/endpoint.ts'
import { claimsOf } from '../../src/discovery/fabio-tags.ts'
import { decodeSnapshot, encodeSnapshot } from '../../src/discovery/snapshot.ts'

const claims = claimsOf(['urlprefix-www.example/a strip=/a weight=.1', 'urlprefix-/b proto=https'], () => {})
const endpoint = { id: '10.0.0.1:80', instance: 'web-1', address: '10.0.0.1', port: 80, weight: 1, claims }
const absentee = { instance: 'web-2', address: '10.0.0.2:80', reason: 'in maintenance mode', claims }
const catalog: Catalog = { services: new Map([['web', { endpoints: [endpoint], absent: [absentee] }]]) }
const text = encodeSnapshot(catalog, 0)

test('claims come back as they were', () => {
  expect(claims).toHaveLength(2)
  const decoded = decodeSnapshot(text)
  expect(decoded).toEqual({ kind: 'read', catalog, confirmedAtMs: 0 })
  expect(decoded.kind === 'read' && sameCatalog(decoded.catalog, catalog)).toBe(true)
})

test.each([
  ['a path that leaves', '"/a"', '"/../a"'],
  ['a host that is a path', '"www.example"', '"www/example"'],
  ['a share of nothing', '"share":0.1', '"share":-0.1'],
  ['no list', '"claims":[', '"claims":1,"x":['],
])('a snapshot with %s is refused whole, and says where', (_, sound, unsound) => {
  expect(text).toContain(sound)
  expect(decodeSnapshot(text.replace(sound, unsound))).toEqual({
    kind: 'refused',
    why: expect.stringMatching(
      /^services\[0\]\.endpoints\[0\]\.claims is a? ?\S+, not what the tags of an instance can claim$/,
    ),
  })
})
