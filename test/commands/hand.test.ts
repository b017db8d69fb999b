/** What does a person read who drains an endpoint from the command line? Against a listener that answers as told. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { type HandOptions, hand } from '../../src/commands/hand.ts'

const endings: (() => unknown)[] = []
afterEach(async () => {
  for (const end of endings.splice(0)) await end()
})

interface Seen {
  readonly line: string
  readonly authorization: string | undefined
  readonly body: unknown
}

/** A listener that gives every request this answer, and what it was asked. */
async function listening(status: number, answer: unknown) {
  const seen: Seen[] = []
  const server = createServer((request, response) => {
    void textOf(request).then((text) => {
      const { method, url, headers } = request
      seen.push({ line: `${method} ${url}`, authorization: headers.authorization, body: JSON.parse(text) })
      response.writeHead(status).end(typeof answer === 'string' ? answer : JSON.stringify(answer))
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  endings.push(() => new Promise((resolve) => server.close(resolve)))
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, seen }
}

async function textOf(request: IncomingMessage): Promise<string> {
  let text = ''
  for await (const piece of request.setEncoding('utf8')) text += piece
  return text
}

async function run(options: Partial<HandOptions>, env: NodeJS.ProcessEnv = {}) {
  let out = ''
  let err = ''
  const all: HandOptions = {
    ...{ kind: 'hand', action: 'drain', service: 'web', endpoint: '10.0.0.1:80', by: null },
    ...{ admin: null, tokenFile: null, json: false },
    ...options,
  }
  const code = await hand(
    all,
    env,
    (text) => {
      out += text
    },
    (text) => {
      err += text
    },
  )
  return { code, out, err }
}

const answer = (result: string, notes: readonly string[] = []) => ({ result, notes, state: 'drained', by: 'anna' })

describe('what is true now', () => {
  it.each<[HandOptions['action'], string, string]>([
    ['drain', 'done', 'is drained: no request goes to it until it is undrained'],
    ['drain', 'unchanged', 'is drained, as before'],
    ['undrain', 'done', 'is no longer drained'],
    ['undrain', 'unchanged', 'is not drained, as before'],
    ['eject', 'done', 'is ejected'],
    ['eject', 'unchanged', 'is ejected, as before'],
    ['restore', 'done', 'is restored, with a clean record'],
    ['restore', 'unchanged', 'is not ejected, as before'],
  ])('after %s, %s, is one sentence', async (action, result, sentence) => {
    const { url } = await listening(200, answer(result))
    expect(await run({ action, admin: url })).toEqual({ code: 0, out: `10.0.0.1:80 of web ${sentence}.\n`, err: '' })
  })

  it('has a line for each note', async () => {
    const { url } = await listening(200, answer('done', ['in flight: 2', 'nobody is left']))
    expect((await run({ admin: url })).out).toMatch(/\.\n {2}- in flight: 2\n {2}- nobody is left\n$/)
  })

  it('is the proxy’s own answer with --json', async () => {
    const body = answer('done', ['a note'])
    const { url } = await listening(200, body)
    const { code, out, err } = await run({ admin: url, json: true })
    expect([code, JSON.parse(out), err]).toEqual([0, body, ''])
  })

  it('moves no cursor, whatever names and notes are', async () => {
    const { url } = await listening(200, answer('done', ['\u001b[2Jgone\nevenkeel: all is well']))
    const { out } = await run({ admin: url, service: 'we\u001b[31mb', endpoint: 'a\r:80' })
    expect(out.split('\n')).toHaveLength(3)
    expect(out).not.toMatch(/[^\n\x20-\x7e]/)
  })
})

describe('what is sent', () => {
  it('names the endpoint, percent-encoded, and who says so', async () => {
    const { url, seen } = await listening(200, answer('done'))
    await run({ admin: url, service: 'a/b c', endpoint: '[fd00::5]:80', by: 'anna', action: 'eject' })
    expect(seen).toEqual([
      {
        line: 'POST /api/services/a%2Fb%20c/endpoints/%5Bfd00%3A%3A5%5D%3A80/eject',
        authorization: undefined,
        body: { by: 'anna' },
      },
    ])
  })

  it('is the user of this process when nobody is named', async () => {
    const { url, seen } = await listening(200, answer('done'))
    await run({ admin: url })
    expect(seen).toMatchObject([{ body: { by: userInfo().username } }])
  })

  it('has the token of the file, or of the environment', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'evenkeel-hand-'))
    endings.push(() => rmSync(folder, { recursive: true }))
    const tokenFile = join(folder, 'token')
    writeFileSync(tokenFile, 'secret-1\n')
    const { url, seen } = await listening(200, answer('done'))
    await run({ admin: url, tokenFile })
    await run({ admin: url }, { EVENKEEL_ADMIN_TOKEN: 'secret-2' })
    expect(seen.map(({ authorization }) => authorization)).toEqual(['Bearer secret-1', 'Bearer secret-2'])
  })
})

describe('what fails is one line on stderr, and exit 1', () => {
  it.each([
    ['why', 404, { detail: 'The service has no such endpoint.' }, 'The service has no such endpoint. (404)'],
    [
      'where the token comes from',
      403,
      { detail: 'Only on loopback.' },
      'Only on loopback. The token comes from --token-file FILE or EVENKEEL_ADMIN_TOKEN. (403)',
    ],
    [
      'what is wrong with one that knows no hands',
      405,
      { detail: 'Only GET.' },
      'Only GET. Is the proxy of an older version? (405)',
    ],
    [
      'the same of a wrong one',
      401,
      { detail: 'Wrong.' },
      'Wrong. The token comes from --token-file FILE or EVENKEEL_ADMIN_TOKEN. (401)',
    ],
    ['that it is no proxy’s answer', 200, { hello: 'there' }, 'the answer is none that this version understands (200)'],
    ['the same of JSON that is no object', 500, 'null', 'the answer is none that this version understands (500)'],
  ])('with %s', async (_name, status, body, why) => {
    const { url } = await listening(status, body)
    const err = `evenkeel: cannot drain 10.0.0.1:80 of web: ${why}\n`
    expect(await run({ admin: url })).toEqual({ code: 1, out: '', err })
  })

  it('also with --json, which shows the answer', async () => {
    const { url } = await listening(404, { detail: 'No.' })
    const { code, out, err } = await run({ admin: url, json: true })
    expect([code, JSON.parse(out)]).toEqual([1, { detail: 'No.' }])
    expect(err).toBe('evenkeel: cannot drain 10.0.0.1:80 of web: No. (404)\n')
  })

  it.each<[string, Partial<HandOptions>, RegExp]>([
    [
      'nobody listens',
      { admin: 'http://127.0.0.1:1' },
      /no answer from http:\/\/127\.0\.0\.1:1: ECONNREFUSED; is the proxy/,
    ],
    ['the URL is none', { admin: 'https://x' }, /--admin must be http:\/\/host:port/],
    ['there is no such file', { tokenFile: '/nowhere/token' }, /--token-file \/nowhere\/token cannot be read: ENOENT/],
  ])('when %s', async (_name, options, why) => {
    const { code, out, err } = await run(options)
    expect([code, out, err.split('\n')]).toEqual([1, '', [expect.stringMatching(why), '']])
  })
})
