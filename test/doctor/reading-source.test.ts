/** Made-up sources: what matters is when a reading ends, and with what. */

import { expect, test } from 'vitest'
import type { Catalog } from '../../src/balancer/endpoint.ts'
import type { CatalogSource, SourceError, SourceListeners } from '../../src/discovery/source.ts'
import { readSource, warningsOf } from '../../src/doctor/reading-source.ts'

const catalog: Catalog = { services: new Map() }
const error = (message: string): SourceError => ({ where: 'GET /x', message, cure: `mend ${message}` })
/** It would be waited for these times only if it were waited for in vain. */
const long = { deadlineMs: 600_000, graceMs: 600_000 }

/** Does this, and then nothing until it is told to end. `ended` is how often it was. */
function source(act: (listeners: SourceListeners) => void) {
  const made = {
    ended: 0,
    watch: (listeners: SourceListeners, signal: AbortSignal) =>
      new Promise<void>((resolve) => {
        signal.addEventListener('abort', () => {
          made.ended += 1
          resolve()
        })
        act(listeners)
      }),
  }
  return made
}

test('the first catalog ends it, and the watch', async () => {
  const it = source(({ onCatalog }) => onCatalog(catalog, { rewound: false }))
  expect(await readSource(() => it, 1, long)).toEqual({ catalog, failures: [] })
  expect(it.ended).toBe(1)
})

test('an error of the only server ends it; the error says where', async () => {
  const it = source(({ onError }) => onError(error('away')))
  const failures = [{ message: 'GET /x: away', cure: 'mend away' }]
  expect(await readSource(() => it, 1, long)).toEqual({ catalog: null, failures })
  expect(it.ended).toBe(1)
})

test('of several servers one may fail: the next may have the catalog', async () => {
  const it = source(({ onError, onCatalog }) => {
    onError(error('first is away'))
    onError(error('first is away'))
    setImmediate(() => onCatalog(catalog, { rewound: false }))
  })
  const { catalog: read, failures } = await readSource(() => it, 2, long)
  expect([read, failures.map(({ message }) => message)]).toEqual([catalog, ['GET /x: first is away']])
})

test('when all of several have failed nobody is left; and the others are not waited for without end', async () => {
  const both = source(({ onError }) => ['one', 'two'].forEach((each) => void onError(error(each))))
  expect((await readSource(() => both, 2, long)).failures).toHaveLength(2)
  const one = source(({ onError }) => onError(error('one')))
  expect((await readSource(() => one, 2, { ...long, graceMs: 1 })).failures).toHaveLength(1)
})

test('one that says nothing is given up, and that is said', async () => {
  const silent = source(() => {})
  const { catalog: read, failures } = await readSource(() => silent, 1, { ...long, deadlineMs: 1 })
  expect([read, failures[0]?.message]).toEqual([null, expect.stringContaining('nothing was heard')])
  expect(silent.ended).toBe(1)
})

test.each<[string, () => CatalogSource]>([
  [
    'cannot be made',
    () => {
      throw new TypeError('no such thing')
    },
  ],
  ['rejects', () => ({ watch: () => Promise.reject(new TypeError('no such thing')) })],
])('one that %s is one that cannot be read', async (_, make) => {
  const { catalog: read, failures } = await readSource(make, 3, long)
  expect([read, failures.map(({ message }) => message)]).toEqual([null, ['TypeError: no such thing']])
})

test('of what it logs, what is odd about entries is told apart, by service', () => {
  const log = (fields: object) => JSON.stringify({ level: 'warn', ...fields })
  const { oddities, others } = warningsOf([
    log({ service: 'web', instance: 'a', oddity: 'bad-port', msg: 'odd entry in etcd: its port is "x:y"' }),
    log({ service: '', instance: '/k', oddity: 'malformed-entry', msg: 'odd entry in etcd: the key "/k" was skipped' }),
    log({ service: 'web', instance: 'b', msg: 'something\u202e else' }),
    log({ why: 'no events', cure: 'mend it', msg: 'changes are seen late' }),
    log({ err: { message: 'it broke' }, msg: 'the source failed' }),
    log({ err: { message: 'it broke' }, msg: 'the source failed' }),
  ])
  expect([...oddities]).toEqual([
    ['web', [{ kind: 'bad-port', subject: 'a', text: 'its port is "x:y"' }]],
    ['', [{ kind: 'malformed-entry', subject: '/k', text: 'the key "/k" was skipped' }]],
  ])
  expect(others).toEqual([
    'web: something? else',
    'changes are seen late: no events: mend it',
    'the source failed: it broke',
  ])
})
