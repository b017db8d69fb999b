/** What does the gateway's JSON say? The good rows are as etcd 3.4 sent them. */

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decodeRange, decodeRefusal, decodeToken, decodeWatch } from '../../../src/discovery/etcd/etcd-messages.ts'

const header = { cluster_id: '12101053776118486841', member_id: '15985099378392235387', revision: '7', raft_term: '2' }
const read = { clusterId: '12101053776118486841', revision: 7n, raftTerm: 2n }
const kv = { key: 'YQ==', create_revision: '2', mod_revision: '2', version: '1', value: 'aDox' }

describe('an answer to a range request', () => {
  test.each([
    ['without any key', { header }, { keys: [], more: false, count: 0 }],
    [
      'with one',
      { header, kvs: [kv], count: '1' },
      { keys: [{ key: 'YQ==', value: 'h:1', modRevision: 2n }], count: 1 },
    ],
    ['with more to come', { header, kvs: [kv], more: true, count: '5' }, { more: true, count: 5 }],
    ['with a key without a value', { header, kvs: [{ ...kv, value: undefined }] }, { keys: [{ value: '' }] }],
    [
      'with a value beyond reason',
      { header, kvs: [{ ...kv, value: 'A'.repeat(30_000) }] },
      { keys: [{ value: null }] },
    ],
    ['with what newer servers may add', { header, kvs: [{ ...kv, lease: '9' }], extra: [] }, { keys: [{}] }],
  ])('%s is understood', (_, body, expected) => {
    expect(decodeRange(body)).toMatchObject({ kind: 'range', header: read, ...expected })
  })

  test.each([
    ['that is no object', 'hello', 'header'],
    ['without a header', { kvs: [] }, 'header'],
    ['without a revision', { header: { ...header, revision: undefined } }, 'header'],
    ['of revision 0', { header: { ...header, revision: '0' } }, 'header'],
    ['of a revision beyond 64 bits', { header: { ...header, revision: '99999999999999999999' } }, 'header'],
    ['of half a revision', { header: { ...header, revision: 1.5 } }, 'header'],
    ['whose keys are no list', { header, kvs: {} }, 'range'],
    ['whose count is a word', { header, count: 'many' }, 'range'],
    ['with an entry that is null', { header, kvs: [null] }, 'entry'],
    ['with a key that is not base64', { header, kvs: [{ ...kv, key: 'a b' }] }, 'entry'],
    ['with a key without a revision', { header, kvs: [{ ...kv, mod_revision: undefined }] }, 'entry'],
    ['with a value that is a number', { header, kvs: [{ ...kv, value: 7 }] }, 'entry'],
  ])('%s is unreadable', (_, body, words) => {
    expect(decodeRange(body)).toMatchObject({ kind: 'unreadable', message: expect.stringContaining(words) })
  })
})

describe('a message of a watch', () => {
  const { revision: _, ...headerOfCompacted } = header
  test.each([
    ['that it has begun', { result: { header, created: true } }, { kind: 'created' }],
    ['that nothing has happened', { result: { header } }, { kind: 'progress', clusterId: read.clusterId }],
    [
      'of a put and a delete',
      { result: { header, events: [{ kv }, { type: 'DELETE', kv: { key: 'YQ==', mod_revision: '8' } }] } },
      {
        kind: 'events',
        clusterId: read.clusterId,
        events: [
          { kind: 'put', of: { key: 'YQ==', value: 'h:1', modRevision: 2n } },
          { kind: 'delete', key: 'YQ==', modRevision: 8n },
        ],
      },
    ],
    [
      'that its beginning is not kept any more',
      { result: { header: headerOfCompacted, canceled: true, compact_revision: '5' } },
      { kind: 'compacted' },
    ],
    [
      'that it may not be',
      { result: { header, watch_id: '-1', created: true, canceled: true, cancel_reason: 'permission denied' } },
      { kind: 'canceled', reason: 'permission denied' },
    ],
    ['that something went wrong', { error: { grpc_code: 14, message: 'oh' } }, { kind: 'canceled', reason: 'oh' }],
  ])('%s is understood', (_, body, expected) => {
    expect(decodeWatch(body)).toEqual(expected)
  })

  test.each([
    ['that is a list', []],
    ['without a result', {}],
    ['without a header', { result: { created: true } }],
    ['without a revision', { result: { header: headerOfCompacted, events: [{ kv }] } }],
    ['whose events are no list', { result: { header, events: 'none' } }],
    ['with an event of an unknown type', { result: { header, events: [{ type: 'MOVE', kv }] } }],
    ['with an event without a key', { result: { header, events: [{ type: 'PUT' }] } }],
  ])('%s is unreadable', (_, body) => {
    expect(decodeWatch(body)).toMatchObject({ kind: 'unreadable' })
  })
})

test.each([
  ['as it comes', { header, token: 'YFRuHshVoMJhMKyb.25' }, 'YFRuHshVoMJhMKyb.25'],
  ['that would end a header field', { token: 'a\r\nb: c' }, null],
  ['that is empty', { token: '' }, null],
  ['that is none', { header }, null],
])('a token %s', (_, body, expected) => {
  expect(decodeToken(body)).toBe(expected)
})

test.each([
  ['{"error":"e","message":"etcdserver: permission denied","code":7}', 'etcdserver: permission denied'],
  ['{"error":"etcdserver: oh"}', 'etcdserver: oh'],
  ['<html>', ''],
  ['[]', ''],
])('of a refusal %s the words are %j', (body, words) => {
  expect(decodeRefusal(body)).toBe(words)
})

test('nothing that could come makes decoding throw', () => {
  const json = fc.jsonValue({ maxDepth: 4 })
  const close = fc.record({ header: fc.constant(header), kvs: json, events: json, canceled: json, created: json })
  fc.assert(
    fc.property(
      fc.oneof(
        json,
        close,
        close.map((result) => ({ result })),
      ),
      (body) => {
        decodeRange(body)
        decodeWatch(body)
        decodeToken(body)
      },
    ),
    { numRuns: 1000 },
  )
})
