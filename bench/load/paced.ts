/**
 * How long does a request take when they come at a given rate?
 *
 * autocannon's `overallRate` cannot tell: each of its connections sends what it has for a second in one go and then
 * waits for the next, so that 1,000 requests/s are 50 in flight at a time, and the latency is that of a burst. Here each
 * request has a time of its own, evenly apart, and starts then, whether or not others have been answered.
 */

import { Agent, request } from 'node:http'
import type { LoadJob, LoadResult } from './protocol.ts'
import { Tally } from './tally.ts'

export function paced(job: LoadJob): Promise<LoadResult> {
  const { origin, paths, connections, amount, rate } = job
  const agent = new Agent({ keepAlive: true, maxSockets: connections, maxFreeSockets: connections, scheduling: 'fifo' })
  const { hostname, port } = new URL(origin)
  const tally = new Tally(amount)
  const beginMs = performance.now()
  const gapMs = 1000 / rate
  let started = 0
  let latestStartMs = 0

  return new Promise((resolve) => {
    const ended = (): void => {
      if (tally.ended < amount) return
      agent.destroy()
      resolve(tally.result(latestStartMs))
    }
    const start = (): void => {
      const path = paths[started % paths.length] ?? '/'
      const startMs = performance.now()
      latestStartMs = Math.max(latestStartMs, startMs - (beginMs + started * gapMs))
      started++
      const fail = (error: NodeJS.ErrnoException): void => {
        tally.failed(error.code ?? error.message)
        ended()
      }
      request({ agent, hostname, port, path }, (res) => {
        res.resume()
        res.on('error', fail)
        res.on('end', () => {
          tally.responded(res.statusCode ?? 0, performance.now() - startMs, 0)
          ended()
        })
      })
        .on('error', fail)
        .end()
    }
    const tick = (): void => {
      const due = Math.min(amount, Math.floor((performance.now() - beginMs) / gapMs) + 1)
      while (started < due) start()
      if (started < amount) setTimeout(tick, 1)
    }
    tick()
  })
}
