/** Is the running proxy asked, and nobody else? What a person reads who named another place, or a token that is none. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { adminTarget, adminUrl, askAdmin } from '../../src/commands/admin-client.ts'
import { listenOnLoopback } from '../support/loopback.ts'

const cleanups: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup()
})

const flags = { admin: null, tokenFile: null }

test.each([
  ['127.0.0.1:8081', 'http://127.0.0.1:8081'],
  ['http://proxy:8081', 'http://proxy:8081'],
  ['http://proxy:8081/', 'http://proxy:8081'],
  ['[::1]:8081', 'http://[::1]:8081'],
  ['proxy', 'http://proxy'],
  ['8081', null],
  ['http://8081', null],
  [':8081', null],
  ['', null],
  ['127.0.0.1:0', null],
  ['https://proxy:8081', null],
  ['proxy:8081/api', null],
  ['proxy:8081?a', null],
])('--admin %s is %s', (given, url) => {
  expect(adminUrl(given)).toBe(url)
})

describe('what cannot be used is named by where it comes from', () => {
  test('the environment', () => {
    expect(adminTarget(flags, { EVENKEEL_ADMIN_PORT: '9000' })).toEqual({ url: 'http://127.0.0.1:9000', token: null })
    expect(adminTarget(flags, { EVENKEEL_ADMIN_PORT: 'abc' })).toBe(
      'EVENKEEL_ADMIN_PORT names no port to ask: found "abc"; --admin URL says where the proxy is',
    )
  })

  test('a token of the environment', () => {
    expect(adminTarget(flags, { EVENKEEL_ADMIN_TOKEN: 'a-b' })).toMatchObject({ token: 'a-b' })
    expect(adminTarget(flags, { EVENKEEL_ADMIN_TOKEN: 'bäd' })).toMatch(/^EVENKEEL_ADMIN_TOKEN holds no token/)
  })

  test.each([
    ['an empty token file', '\n', 'it is empty'],
    ['a token file of two lines', 'one\ntwo\n', 'it must be one word of ASCII'],
  ])('%s', (_, text, why) => {
    const folder = mkdtempSync(join(tmpdir(), 'evenkeel-token-'))
    const tokenFile = join(folder, 'token')
    writeFileSync(tokenFile, text)
    try {
      expect(adminTarget({ ...flags, tokenFile }, {})).toBe(`--token-file ${tokenFile} holds no token: ${why}`)
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
})

test.each([
  ['an answer of its own', 404, { 'proxy-status': 'evenkeel; error=destination_not_found' }],
  ['an answer that it passes on', 200, { via: '1.1 other, 1.1 evenkeel' }],
])('the data port is not taken for the admin listener: %s', async (_, status, headers) => {
  const server = createServer((_request, response) => {
    response.writeHead(status, headers).end('{"detail": "The catalog has no service of this name."}')
  })
  const url = `http://127.0.0.1:${await listenOnLoopback(server, cleanups)}`
  expect(await askAdmin({ url, token: null }, 'GET', '/api/services/web')).toEqual({
    kind: 'failed',
    message: `${url} is where clients of the proxy connect: --admin URL names its admin port, which is 8081 unless admin.port says otherwise`,
  })
})
