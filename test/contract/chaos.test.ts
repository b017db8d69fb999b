import { expect, it } from 'vitest'
import { describeEngines } from './engines.ts'
import { request, startProxy } from './harness.ts'
import { chunked, header } from './messages.ts'
import { type RawClient, startOrigin } from './sockets.ts'

/** Numbers from 0 to 1 that look random and are the same in every run. */
function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}

const requestsPerRun = 400
const clientsAtOnce = 12

describeEngines('with peers that come, go and die at any moment', (engine) => {
  for (const keepAlive of [false, true]) {
    it(`nobody ever gets the answer to another request, and nothing is left, keep-alive ${keepAlive ? 'on' : 'off'}`, async () => {
      const random = seeded(keepAlive ? 7 : 11)
      const origins = await Promise.all(
        [0, 1, 2].map(() =>
          startOrigin(async (connection) => {
            for (;;) {
              if (random() < 0.03) return connection.reset()
              const seen = await connection.request()
              const id = header(seen, 'x-id') ?? 'none'
              const body = `${id}:${seen.body}:${'x'.repeat(random() < 0.2 ? 300_000 : 50)}:${id}`
              const answer =
                random() < 0.5
                  ? `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`
                  : `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${chunked([body.slice(0, 9), body.slice(9)])}`
              const fate = random()
              if (fate < 0.05) connection.send(answer.slice(0, Math.floor(answer.length * random())))
              if (fate < 0.03) return connection.reset()
              if (fate < 0.05) return connection.end()
              connection.send(answer)
              if (header(seen, 'connection') === 'close' || random() < 0.1) return connection.end()
            }
          }),
        ),
      )
      const proxy = await startProxy(engine, {
        services: { s: origins },
        upstream: { keepAlive, responseTimeoutMs: 1_000, idleTimeoutMs: 1_000 },
      })
      let next = 0
      let whole = 0
      const run = async (): Promise<void> => {
        let client: RawClient | null = null
        while (next < requestsPerRun) {
          const id = `id-${next++}`
          client ??= await proxy.client()
          const upload = random() < 0.4
          const head = ['X-Id: ', id].join('')
          const bytes = upload
            ? request('/s/', [head, 'Transfer-Encoding: chunked'], chunked([id, 'body']), 'POST')
            : request('/s/', [head])
          if (random() < 0.15) {
            // Leaves in the middle of its request, or right behind it.
            client.socket.write(bytes.slice(0, Math.ceil(bytes.length * random() * 1.3)))
            if (random() < 0.5) client.reset()
            else client.socket.destroy()
            client = null
            continue
          }
          client.send(bytes)
          if (random() < 0.1) {
            // Leaves as soon as the answer has begun.
            await Promise.race([client.until('HTTP/1.1'), client.untilOver()])
            client.reset()
            client = null
            continue
          }
          try {
            const response = await client.response()
            if (response.status === 200) {
              whole++
              expect([response.body.split(':')[0], response.body.split(':')[3]]).toEqual([id, id])
              expect(response.body.split(':')[1]).toBe(upload ? `${id}body` : '')
            } else {
              expect(response.status).toBe(502)
            }
          } catch (error) {
            // A cut is all that may happen instead of a whole answer.
            if (!String(error).includes('ended in mid-message')) throw error
            client = null
          }
        }
        client?.socket.destroy()
      }
      await Promise.all(Array.from({ length: clientsAtOnce }, run))
      expect(whole).toBeGreaterThan(requestsPerRun / 2)
    })
  }
})
