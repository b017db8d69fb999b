/** What must be refused whole: answered, closed, nothing forwarded, and nothing behind it served. */

import { expect, it } from 'vitest'
import type { EngineUnderTest, Limitation } from './engines.ts'
import { type Proxy as StartedProxy, startProxy } from './harness.ts'
import { answering, type Origin, ok } from './sockets.ts'

/** What an attacker wants somebody to take for a request of its own. */
export const hidden = 'GET /s/hidden HTTP/1.1\r\nHost: example.test\r\n\r\n'

export const host = 'Host: example.test'

/** A message of these lines, whole or broken. */
export function raw(lines: readonly string[], body = '', start = 'POST /s/ HTTP/1.1'): string {
  return `${[start, ...lines].join('\r\n')}\r\n\r\n${body}`
}

/** One case of a table. */
export interface RefusedCase {
  readonly name: string
  readonly bytes: string
  /** What it is answered with; 400 unless told, any of these where the standard leaves a choice. */
  readonly status?: number | readonly number[]
  /** What an engine lacks that lets it through: it must then read it in one way only. */
  readonly needs?: Limitation
}

/** The cases of a table, each as a test of its own. */
export function itRefuses(engine: EngineUnderTest, cases: readonly RefusedCase[]): void {
  for (const { name, bytes, status = 400, needs } of cases) {
    const reason = needs === undefined ? undefined : engine.cannot[needs]
    if (reason !== undefined) {
      it(`${name}: read in one way only, although it is not refused (${reason})`, async () => {
        const { origin, proxy } = await refusingProxy(engine)
        const { status } = await proxy.ask(bytes)
        expect([200, 400]).toContain(status)
        expect(origin.completeRequests()).toHaveLength(status === 200 ? 1 : 0)
      })
      continue
    }
    it(`${name}: ${[status].flat().join(' or ')}, closed, nothing forwarded, nothing behind it served`, async () => {
      const { origin, proxy } = await refusingProxy(engine)
      await expectRefused(proxy, bytes, status)
      expect(origin.connections).toHaveLength(0)
      expect(proxy.records.map(({ outcome }) => outcome)).toEqual(['refused'])
    })
  }
}

/** Cases that an engine may refuse or read, as long as it reads them as this body and what follows as the next request. */
export function itRefusesOrReads(
  engine: EngineUnderTest,
  cases: readonly { readonly name: string; readonly bytes: string; readonly body: string }[],
): void {
  for (const { name, bytes, body } of cases) {
    it(`${name}: 400 and closed, or read in one way only`, async () => {
      const { origin, proxy } = await refusingProxy(engine)
      const client = await proxy.client()
      client.send(bytes + hidden)
      const { status } = await client.response()
      expect([200, 400]).toContain(status)
      if (status === 200) expect((await client.response()).status).toBe(200)
      else await client.untilOver()
      expect(origin.requests().map((message) => message.body)).toEqual(status === 200 ? [body, ''] : [])
    })
  }
}

export async function refusingProxy(engine: EngineUnderTest): Promise<{ origin: Origin; proxy: StartedProxy }> {
  const origin = await answering(ok())
  const proxy = await startProxy(engine, { services: { s: [origin] } })
  return { origin, proxy }
}

/** Sends these bytes and a good request behind them: the first is answered so, the second never. */
export async function expectRefused(
  proxy: StartedProxy,
  bytes: string,
  status: number | readonly number[],
): Promise<void> {
  const client = await proxy.client()
  client.send(bytes + hidden)
  const response = await client.response()
  expect([status].flat(), shown(bytes)).toContain(response.status)
  await client.untilOver()
  client.send(hidden)
  expect([client.received, client.error], shown(bytes)).toEqual(['', null])
  client.socket.destroy()
}

/** Every way to put `byte` into `text`: before its first character, and so on to before its last. */
export function insertions(text: string, byte: string): string[] {
  return Array.from(text, (_, at) => text.slice(0, at) + byte + text.slice(at))
}

/** Every way to leave out one occurrence of `byte`. */
export function omissions(text: string, byte: string): string[] {
  return Array.from(text, (character, at) => (character === byte ? text.slice(0, at) + text.slice(at + 1) : '')).filter(
    (without) => without !== '',
  )
}

/** These bytes, for the message of a failure. */
export function shown(bytes: string): string {
  return JSON.stringify(bytes.slice(0, 200))
}
