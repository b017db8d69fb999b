/** Explaining is reading, which needs no token: is one that is in the environment for drain sent along all the same? */

import { createServer } from 'node:http'
import { afterEach, expect, test } from 'vitest'
import { explain } from '../../src/commands/explain.ts'
import { listenOnLoopback } from '../support/loopback.ts'

const cleanups: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup()
})

test('the token of the environment is not sent to be told something', async () => {
  const seen: (string | undefined)[] = []
  const server = createServer(({ headers }, response) => {
    seen.push(headers.authorization)
    response.end('{"requests": []}')
  })
  const admin = `127.0.0.1:${await listenOnLoopback(server, cleanups)}`
  const about = { kind: 'request', id: 'r-1' } as const
  const env = { EVENKEEL_ADMIN_TOKEN: 'secret' }
  const code = await explain({ kind: 'explain', about, admin, tokenFile: null, json: false }, env, () => {})
  expect([code, seen]).toEqual([0, [undefined]])
})
