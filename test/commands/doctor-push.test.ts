/** What the doctor makes of what a proxy says of itself: made-up answers, and a proxy that does run. */

import { createServer } from 'node:http'
import { pino } from 'pino'
import { afterEach, describe, expect, test } from 'vitest'
import { startApp } from '../../src/app.ts'
import { doctor } from '../../src/commands/doctor.ts'
import { readPushed } from '../../src/commands/doctor-push.ts'
import { configOf } from '../config/support.ts'
import { freePort } from '../support/consul.ts'
import { listenOnLoopback } from '../support/loopback.ts'

const cleanups: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

/** An admin listener that answers so, by path; 404 elsewhere. */
async function admin(answers: Readonly<Record<string, unknown>>) {
  const server = createServer((request, response) => {
    const body = answers[request.url ?? '']
    response.writeHead(body === undefined ? 404 : 200).end(JSON.stringify(body ?? {}))
  })
  return { host: '0.0.0.0', port: await listenOnLoopback(server, cleanups) }
}

const endpoint = (id: string, more: object = {}) => ({
  ...{ endpoint: id, instance: id, address: id.split(':')[0], port: Number(id.split(':')[1]), weight: 1, why: null },
  ...more,
})

describe('what was pushed', () => {
  const list = [
    { name: 'a b', inCatalog: true },
    { name: 'gone', inCatalog: false },
  ]

  test('is all that the proxy routes, where nothing else is a source; services that are only remembered do not count', async () => {
    const absent = [{ instance: 'y', address: '192.0.2.1:81', why: 'its weight is 0' }]
    const detail = { endpoints: [endpoint('192.0.2.1:80')], absent }
    const place = await admin({ '/api/services': list, '/api/services/a%20b': detail })
    const { catalog, unread, from } = await readPushed(place, true)
    expect([unread, from]).toEqual([[], `the proxy at http://127.0.0.1:${place.port}`])
    expect([...(catalog?.services ?? [])]).toEqual([
      [
        'a b',
        {
          endpoints: [{ id: '192.0.2.1:80', instance: '192.0.2.1:80', address: '192.0.2.1', port: 80, weight: 1 }],
          absent: [{ instance: 'y', address: '192.0.2.1:81', reason: 'its weight is 0' }],
        },
      ],
    ])
  })

  test('is what the proxy says to be from there, where there are other sources', async () => {
    const endpoints = [
      endpoint('192.0.2.1:80', { sources: ['consul', 'push'] }),
      endpoint('192.0.2.1:81', { sources: ['consul'] }),
    ]
    const place = await admin({ '/api/services': list, '/api/services/a%20b': { endpoints, absent: [] } })
    const { catalog } = await readPushed(place, false)
    expect(catalog?.services.get('a b')?.endpoints.map(({ id }) => id)).toEqual(['192.0.2.1:80'])
  })

  test.each<[string, Readonly<Record<string, unknown>>, boolean, string]>([
    [
      'the proxy does not tell',
      { '/api/services': list, '/api/services/a%20b': { endpoints: [endpoint('192.0.2.1:80')] } },
      false,
      'does not tell which endpoints were pushed',
    ],
    ['somebody else answers', {}, true, 'answered 404'],
    ['somebody else answers with JSON', { '/api/services': { hello: 1 } }, true, 'no list of services'],
  ])('cannot be judged where %s', async (_, answers, isAlone, message) => {
    const { catalog, unread } = await readPushed(await admin(answers), isAlone)
    expect([catalog, unread[0]?.failure.message]).toEqual([null, expect.stringContaining(message)])
  })

  test('cannot be judged where nobody answers, or the port is not known', async () => {
    for (const port of [await freePort(), 0]) {
      const { catalog, unread } = await readPushed({ host: '127.0.0.1', port }, true)
      expect([catalog, unread.map(({ what }) => what.kind)]).toEqual([null, ['proxy']])
      expect(unread[0]?.failure.message).not.toContain('--admin')
    }
  })
})

test('a proxy that runs is asked, and what it routes is judged', async () => {
  const closed = await freePort()
  const config = configOf(`
listen: { host: 127.0.0.1, port: 0 }
admin: { port: 0 }
discovery: { source: static, static: { services: { web: ['127.0.0.1:${closed}'] } } }
`)
  const app = await startApp({ config, log: pino({ level: 'silent' }), setLogLevel() {}, version: '0' })
  cleanups.push(() => app.close())
  await app.ready
  let text = ''
  const options = { kind: 'doctor', service: null, httpPath: null, watchMs: 0, json: true, file: null } as const
  const flags = { set: ['discovery.source=push', `admin.port=${app.adminPort}`] }
  const code = await doctor({ ...options, flags }, {}, (piece) => {
    text += piece
  })
  const { findings } = JSON.parse(text) as { findings: { kind: string; source: string; what: string }[] }
  expect([code, findings.map(({ kind, source }) => [kind, source])]).toEqual([1, [['refused', 'push']]])
  expect(findings[0]?.what).toContain('it was pushed all the same')
})
