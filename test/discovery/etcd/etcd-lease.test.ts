import { expect, test } from 'vitest'
import {
  decodeGrant,
  decodeKeepAlive,
  decodeTransaction,
  entryTransaction,
} from '../../../src/discovery/etcd/etcd-lease.ts'

const base64 = (text: string) => Buffer.from(text, 'utf8').toString('base64')

test('the entry is written unless it is there, with its value and by its lease', () => {
  const key = base64('/services/wéb/id')
  const value = base64('{}')
  expect(entryTransaction({ prefix: '/services/', service: 'wéb', id: 'id', value: '{}' }, '7')).toEqual({
    compare: [
      { key, result: 'EQUAL', target: 'LEASE', lease: '7' },
      { key, result: 'EQUAL', target: 'VALUE', value },
    ],
    failure: [{ request_put: { key, value, lease: '7' } }],
  })
})

test.each([
  [{ header: {}, ID: '7734547641000551174', TTL: '15' }, '7734547641000551174'],
  [{ ID: 77 }, null],
  [{ ID: '0' }, null],
  [{ ID: '-5' }, null],
  [{ ID: '1'.repeat(20) }, null],
  [{}, null],
  [null, null],
  ['7', null],
])('the lease in %j is %j', (body, id) => {
  expect(decodeGrant(body)).toBe(id)
})

test.each([
  [{ result: { ID: '7', TTL: '15' } }, 15],
  [{ result: { ID: '7', TTL: '-1' } }, 0],
  [{ result: { ID: '7' } }, 0],
  [{ result: { TTL: 15 } }, null],
  [{ result: { TTL: 'soon' } }, null],
  [{ error: { message: 'no leader' } }, null],
  [[], null],
  [undefined, null],
])('a lease of which %j is said has %j seconds', (body, seconds) => {
  expect(decodeKeepAlive(body)).toBe(seconds)
})

test.each([
  [{ header: {}, succeeded: true }, true],
  [{ header: {}, responses: [{}] }, false],
  [{ header: {}, succeeded: 'yes' }, null],
  [{ succeeded: true }, null],
  [null, null],
])('a transaction answered %j was without need: %j', (body, wasThere) => {
  expect(decodeTransaction(body)).toBe(wasThere)
})
