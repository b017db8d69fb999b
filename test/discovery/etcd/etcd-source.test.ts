/** Does the source go on, whatever an etcd answers? Every server in here is a fake one, made to misbehave. */

import type { ServerResponse } from 'node:http'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createEtcdSource, type EtcdOptions } from '../../../src/discovery/etcd/etcd-source.ts'
import type { EtcdTiming } from '../../../src/discovery/etcd/etcd-watch.ts'
import { fullEndpoint } from '../../contract/full-endpoint.ts'
import { waitFor } from '../../support/wait.ts'
import type { Followed } from '../follow.ts'
import { type FakeEtcd, type FakeEtcdRequest, fakeEtcd } from './fake-etcd.ts'
import { etcdDefaults, followEtcd } from './follow-etcd.ts'

let etcd: FakeEtcd
let followed: Followed
const others: FakeEtcd[] = []

beforeEach(async () => {
  etcd = await fakeEtcd({ 'web/1': '10.0.0.1:80', 'api/1': '10.0.0.1:90' })
})
afterEach(async () => {
  await followed?.stop()
  for (const fake of [etcd, ...others.splice(0)]) await fake.close()
})

const quick = { confirmMs: 50, catchUpMs: 100 }
const web1 = ['10.0.0.1:80*1']
const both = ['10.0.0.1:80*1', '10.0.0.2:80*1']

function follow(
  timing: Partial<EtcdTiming> = quick,
  options: Partial<EtcdOptions> = {},
  urls: readonly string[] = [etcd.url],
): void {
  // Little jitter, for a test that fails often is not to wait long.
  followed = followEtcd(urls, options, { timing, random: () => 0.03 })
}

function told(words: RegExp): Promise<true> {
  return waitFor(
    `an error like ${words}`,
    () => followed.errors.some(({ message }) => words.test(message)) || undefined,
  )
}

const isWatch = ({ path }: FakeEtcdRequest) => path === '/v3/watch'
const isFullRead = ({ path, body }: FakeEtcdRequest) => path === '/v3/kv/range' && body.min_mod_revision === undefined
const isConfirming = ({ path, body }: FakeEtcdRequest) => path === '/v3/kv/range' && body.min_mod_revision !== undefined

describe('a fake etcd that behaves', () => {
  test('is followed, and what is written again without a change is not published but counts as fresh', async () => {
    follow()
    await followed.until('web', web1)
    etcd.set('web/2', '10.0.0.2:80')
    await followed.until('web', both)
    const { length } = followed.catalogs
    const { fresh } = followed
    etcd.set('web/2', '10.0.0.2:80')
    await waitFor('it is fresh', () => followed.fresh > fresh + 2)
    expect(followed.catalogs).toHaveLength(length)
    etcd.set('web/1', null)
    etcd.set('web/2', null)
    await followed.until('web', undefined)
    expect(followed.errors).toEqual([])
    expect(etcd.requests.filter(isFullRead)).toHaveLength(1)
  })

  test('that is left leaves no connection behind, whatever was under way', async () => {
    follow()
    await followed.until('web', web1)
    await waitFor('it is watched', () => etcd.requests.some(isWatch))
    etcd.misbehave = () => true
    const asked = etcd.requests.length
    await waitFor('a request without an answer', () => etcd.requests.length > asked)
    await followed.stop()
    await waitFor('all are closed', () => etcd.connections === 0)
    expect(followed.source.describe?.().watched).toBe(0)
    expect(await followed.source.reread?.(['web'], new AbortController().signal)).toBe(false)
  })

  test('is not even asked when the watch was given up before it began', async () => {
    const source = createEtcdSource({ ...etcdDefaults, endpoints: [etcd.url] }, { log: null as never, random: () => 0 })
    const never = () => expect.unreachable()
    await source.watch({ onCatalog: never, onFresh: never, onError: never }, AbortSignal.abort())
    expect(etcd.requests).toEqual([])
  })
})

describe('before the first catalog', () => {
  const refusal = (answer: ServerResponse, status: number, words: string) =>
    answer.writeHead(status).end(JSON.stringify({ error: words, message: words, code: 1 }))

  test.each<[string, (answer: ServerResponse) => unknown, RegExp, RegExp]>([
    ['a page for people', (answer) => answer.end('<html>\u001b[31mhello'), /not JSON: <html>\?\[31mhello/, /gateway/],
    ['another JSON', (answer) => answer.end('{"a":1}'), /no header with a revision/, /gateway/],
    ['404', (answer) => refusal(answer, 404, ''), /answered 404/, /3\.4 or newer/],
    [
      'no leader',
      (answer) => refusal(answer, 503, 'etcdserver: no leader'),
      /503: etcdserver: no leader/,
      /members run/,
    ],
    ['too many requests', (answer) => refusal(answer, 429, 'etcdserver: too many requests'), /429/, /overloaded/],
    ['no permission', (answer) => refusal(answer, 403, 'etcdserver: permission denied'), /403/, /must allow reading/],
    ['more keys without an end', (answer) => answer.end(endless(1)), /more than 100000 keys/, /prefix/],
    ['more keys but none', (answer) => answer.end(endless(0)), /says there are more/, /gateway/],
    [
      'half an answer',
      (answer) => answer.writeHead(200, { 'content-length': '99' }).write('{', () => answer.destroy()),
      /aborted/,
      /etcd/,
    ],
    ['an answer without an end', (answer) => flood(answer), /larger than \d+ bytes/, /etcd/],
    ['nothing', () => {}, /no answer of http.* within/, /overloaded/],
  ])('%s is told with its cure, and nothing is published', async (_, answering, message, cure) => {
    etcd.misbehave = (_request, answer) => answering(answer) ?? true
    follow({ ...quick, deadlineMs: 2000 })
    await told(message)
    expect(followed.errors[0]?.cure).toMatch(cure)
    expect(followed.catalogs).toEqual([])
    etcd.misbehave = null
    await followed.until('web', web1)
  })

  function endless(keys: number): string {
    const header = { cluster_id: '77', revision: '101', raft_term: '2' }
    const kvs = Array.from({ length: keys * 30_000 }, () => ({ key: 'YQ==', mod_revision: '2' }))
    return JSON.stringify({ header, kvs, more: true, count: '9' })
  }

  function flood(answer: ServerResponse): void {
    const piece = Buffer.alloc(1024 * 1024, 0x20)
    const more = () => {
      while (!answer.destroyed && answer.write(piece));
    }
    answer.on('drain', more)
    more()
  }
})

describe('a watch', () => {
  test('that is silent about a change is found out, and all is read anew', async () => {
    follow()
    await followed.until('web', web1)
    etcd.deaf = true
    etcd.set('web/2', '10.0.0.2:80')
    await followed.until('web', both)
    expect(followed.errors[0]).toMatchObject({
      where: 'POST /v3/watch',
      message: expect.stringContaining('had not told'),
    })
    etcd.set('web/1', null)
    await followed.until('web', ['10.0.0.2:80*1'])
    expect(followed.rewound).not.toContain(true)
  })

  test('is read whether its messages come in pieces or several at a time', async () => {
    let watch: ServerResponse | null = null
    etcd.misbehave = (request, answer) => {
      if (!isWatch(request)) return false
      watch = answer
      return true
    }
    follow({ confirmMs: 60_000 })
    const begun = await waitFor('it is watched', () => watch ?? undefined)
    const line = (id: number, revision: number) => {
      const key = Buffer.from(`/services/web/${id}`).toString('base64')
      const value = Buffer.from(`10.0.0.${id}:80`).toString('base64')
      const events = [{ kv: { key, value, mod_revision: `${revision}` } }]
      return `${JSON.stringify({ result: { header: { cluster_id: '77', revision: `${revision}` }, events } })}\n`
    }
    const [second, third, fourth] = [line(2, 103), line(3, 104), line(4, 105)]
    begun.write(`${second}${third}${fourth.slice(0, 40)}`)
    await followed.until('web', [...both, '10.0.0.3:80*1'])
    begun.write(fourth.slice(40, 50))
    begun.write(fourth.slice(50))
    await followed.until('web', [...both, '10.0.0.3:80*1', '10.0.0.4:80*1'])
    begun.write(line(5, 106))
    await waitFor('one more', () => followed.endpoints('web')?.length === 5)
    expect(followed.errors).toEqual([])
  })

  test('that tells a change late, but before its time is up, is left as it is', async () => {
    follow({ confirmMs: 50, catchUpMs: 10_000 })
    await followed.until('web', web1)
    etcd.deaf = true
    etcd.set('web/2', '10.0.0.2:80')
    const asked = etcd.requests.filter(isConfirming).length
    await waitFor('it is asked whether it is so', () => etcd.requests.filter(isConfirming).length > asked)
    etcd.deaf = false
    etcd.set('web/2', '10.0.0.2:80')
    await followed.until('web', both)
    expect(followed.errors).toEqual([])
    expect(etcd.requests.filter(isWatch)).toHaveLength(1)
  })

  test('that has nothing to tell is left as it is for longer than a request may take', async () => {
    follow({ ...quick, deadlineMs: 1000 })
    await followed.until('web', web1)
    await waitFor('many confirmations', () => followed.fresh >= 30)
    expect(followed.errors).toEqual([])
    expect(etcd.requests.filter(isWatch)).toHaveLength(1)
  })

  test('whose member stops answering is given up within the deadline of a request', async () => {
    follow({ ...quick, deadlineMs: 200 })
    await followed.until('web', web1)
    etcd.misbehave = (request) => isConfirming(request)
    await told(/no answer of .* within/)
    etcd.misbehave = null
    const { fresh } = followed
    await waitFor('it is fresh', () => followed.fresh > fresh)
    expect(followed.catalogs).toHaveLength(1)
  })

  test('that is never begun is given up within the deadline', async () => {
    etcd.misbehave = (request, answer) => isWatch(request) && answer.writeHead(200).flushHeaders() === undefined
    follow({ confirmMs: 60_000, deadlineMs: 200 })
    await told(/no answer of .* within/)
    expect(followed.endpoints('web')).toEqual(web1)
  })

  test('that was compacted leads to a new reading, without an error', async () => {
    follow()
    await followed.until('web', web1)
    const reads = etcd.requests.filter(isFullRead).length
    etcd.deaf = true
    etcd.set('web/2', '10.0.0.2:80')
    etcd.tell({ result: { header: { cluster_id: '77' }, canceled: true, compact_revision: '101' } })
    await followed.until('web', both)
    expect(followed.errors).toEqual([])
    expect(etcd.requests.filter(isFullRead).length).toBe(reads + 1)
  })

  test.each<[string, object | string, RegExp]>([
    ['is no JSON', 'hello', /is not JSON: hello/],
    ['cannot be read', { result: { header: { cluster_id: '77', revision: '9' }, events: [7] } }, /cannot be read/],
    [
      'is an error',
      { error: { grpc_code: 14, message: 'etcdserver: shutting\ndown' } },
      /ended the watch: etcdserver: shutting\?down/,
    ],
    ['is of another cluster', { result: { header: { cluster_id: '78', revision: '999' } } }, /another cluster/],
  ])('whose message %s is told, and all is read anew', async (_, message, words) => {
    follow()
    await followed.until('web', web1)
    await waitFor('it is watched', () => etcd.requests.some(isWatch))
    etcd.tell(message)
    await told(words)
    etcd.set('web/2', '10.0.0.2:80')
    await followed.until('web', both)
    expect(followed.catalogs).toHaveLength(2)
  })

  test('that is ended each time at once is not begun without a pause', async () => {
    etcd.misbehave = (request, answer) => isWatch(request) && answer.end() !== undefined
    follow()
    await waitFor('some readings', () => etcd.requests.filter(isFullRead).length >= 6)
    const times = etcd.requests.filter(isFullRead).map(({ atMs }) => atMs)
    // Three at once, and then one each half second: half of that is what is asserted.
    expect((times[5] ?? 0) - (times[0] ?? 0)).toBeGreaterThan(750)
    expect(followed.errors[0]?.message).toMatch(/ended the watch$/)
    expect(followed.catalogs).toHaveLength(1)
  })
})

describe('an etcd that knows less than before', () => {
  test.each<[string, () => void]>([
    ['with a lower revision', () => etcd.wipe()],
    [
      'of another cluster',
      () => {
        etcd.set('web/1', null)
        etcd.set('api/1', null)
        etcd.clusterId = '78'
      },
    ],
    [
      'with a lower term, though its revision is higher',
      () => {
        etcd.set('web/1', null)
        etcd.set('api/1', null)
        etcd.revision += 1000
        etcd.raftTerm = '1'
      },
    ],
  ])('%s is told as such', async (_, lose) => {
    follow()
    await followed.until('web', web1)
    etcd.deaf = true
    etcd.misbehave = (request) => isConfirming(request)
    lose()
    etcd.endWatches()
    await followed.until('web', undefined)
    expect(followed.rewound).toEqual([false, true])
  })

  test('is not believed by a second reading alone', async () => {
    follow({ confirmMs: 60_000 })
    await followed.until('web', web1)
    etcd.deaf = true
    etcd.wipe()
    expect(await followed.source.reread?.(['web'], new AbortController().signal)).toBe(false)
    expect(followed.endpoints('web')).toEqual(web1)
  })
})

describe('of several endpoints', () => {
  test('the next one is followed when one fails, and then the one after that', async () => {
    const second = await fakeEtcd({ 'web/1': '10.0.0.1:80' })
    others.push(second)
    second.revision = 500
    follow(quick, {}, [etcd.url, second.url])
    await followed.until('web', web1)
    expect(second.requests).toEqual([])
    second.set('web/2', '10.0.0.2:80')
    etcd.misbehave = (_, __, socket) => socket.destroy()
    await followed.until('web', both)
    expect(followed.endpoints('api')).toBe(undefined)
    expect(followed.rewound).toEqual([false, false])
    etcd.misbehave = null
    etcd.revision = 900
    second.misbehave = (_, __, socket) => socket.destroy()
    second.endWatches()
    await followed.until('web', web1)
  })

  test('one that never accepts a connection does not keep the next one waiting', async () => {
    const { id } = await fullEndpoint()
    follow({ ...quick, connectMs: 100, deadlineMs: 60_000 }, {}, [`http://${id}`, etcd.url])
    await followed.until('web', web1)
    expect(followed.errors).toMatchObject([
      { message: expect.stringContaining(`no answer of http://${id}`), away: true },
    ])
  })

  test.each([
    ['none', []],
    ['a wrong scheme', ['http://127.0.0.1:1', 'tcp://127.0.0.1:2']],
    ['no URL', ['127.0.0.1:2379']],
    ['a user in it', ['http://me:secret@127.0.0.1:2379']],
  ])('%s is refused at once, without a word of what it was', (_, endpoints) => {
    const make = () => createEtcdSource({ ...etcdDefaults, endpoints }, { log: null as never, random: () => 0 })
    expect(make).toThrow(TypeError)
    expect(make).toThrow(/^[^@]*http:\/\/host:port[^@]*$/)
  })
})

describe('a user', () => {
  test('is told neither by what is refused nor by what a server quotes', async () => {
    etcd.misbehave = ({ path }, answer) => {
      if (path === '/v3/kv/range') return answer.writeHead(418).end('pass-w0rd and token.1')
      return false
    }
    follow(quick, { user: 'me', password: 'pass-w0rd' })
    await told(/<password> and <token>/)
    etcd.misbehave = ({ path }, answer) => path.endsWith('authenticate') && answer.writeHead(401).end('pass-w0rd')
    await followed.until('web', web1)
    await waitFor('it is watched', () => etcd.requests.some(isWatch))
    etcd.tell('pass-w0rd token.1')
    await told(/not JSON: <password> <token>/)
    await waitFor('it is watched again', () => etcd.requests.filter(isWatch).length > 1)
    etcd.tell({ error: { message: 'pass-w0rd token.1' } })
    await told(/ended the watch/)
    expect(JSON.stringify([followed.errors, followed.logged])).not.toMatch(/pass-w0rd|token\.1/)
  })

  test('is not told either by a server that quotes in JSON the JSON that it was sent', async () => {
    etcd.misbehave = ({ path, body }, answer) =>
      path.endsWith('authenticate') && answer.writeHead(401).end(JSON.stringify({ message: JSON.stringify(body) }))
    follow(quick, { user: 'me', password: 'pass"w0rd' })
    await told(/"password":"<password>"/)
    expect(JSON.stringify([followed.errors, followed.logged])).not.toMatch(/w0rd/)
  })
})
