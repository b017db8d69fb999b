/** How is one server reached? Over TLS, and at a bound address; what else happens to a request is in eureka-source.test.ts. */

import { createServer as createTlsServer } from 'node:https'
import { afterEach, expect, test } from 'vitest'
import { eurekaServer } from '../../../src/discovery/eureka/eureka-client.ts'
import { makeConsulTls } from '../../support/consul-tls.ts'
import { listenOnLoopback } from '../../support/loopback.ts'

const noTls = { ca: null, cert: null, key: null }
const deadlines = { deadlineMs: 10_000, silenceMs: 10_000 }
const never = new AbortController().signal
const cleanups: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup()
})

test('over TLS, with a certificate of its own: without either the failure is one of TLS', async () => {
  const { ca, cert, key, remove } = await makeConsulTls()
  cleanups.push(remove)
  const server = createTlsServer({ ca, cert, key, requestCert: true }, (request, answer) => answer.end(request.url))
  const port = await listenOnLoopback(server, cleanups)
  const url = `https://127.0.0.1:${port}/eureka/`
  const access = { user: null, password: null }
  const trusted = eurekaServer(url, { ...access, tls: { ca, cert, key } }, deadlines)
  expect(trusted.where).toBe(`https://127.0.0.1:${port}/eureka`)
  expect(await trusted.get('/apps', never)).toMatchObject({ kind: 'answered', text: '/eureka/apps' })
  for (const tls of [noTls, { ca, cert: null, key: null }]) {
    const reply = await eurekaServer(url, { ...access, tls }, deadlines).get('/apps', never)
    expect(reply).toMatchObject({
      kind: 'failed',
      mishap: { kind: 'network', code: expect.stringMatching(/CERT|SSL/) },
    })
  }
  const broken = await eurekaServer(url, { ...access, tls: { ...noTls, ca: 'no PEM' } }, deadlines).get('/apps', never)
  expect(broken).toMatchObject({ kind: 'failed', mishap: { kind: 'network' } })
})

test('what is shown of a URL has neither credentials nor a query', () => {
  const server = eurekaServer(
    'http://a:b@127.0.0.1:1/eureka/v2/?token=c#d',
    { user: null, password: null, tls: noTls },
    deadlines,
  )
  expect(server.where).toBe('http://127.0.0.1:1/eureka/v2')
})
