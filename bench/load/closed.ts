/**
 * How many requests per second get through? autocannon, with an exact number of requests, so that no request is cut
 * off at the end and every share can be told to the last one.
 */

import autocannon from 'autocannon'
import type { LoadJob, LoadResult } from './protocol.ts'
import { Tally } from './tally.ts'

/** autocannon looks only this often whether it is done; its default is a second. */
const sampleMs = 50

export function closedLoop(job: LoadJob): Promise<LoadResult> {
  const { origin, paths, connections, amount } = job
  const tally = new Tally(amount)
  return new Promise((resolve, reject) => {
    const run = autocannon(
      {
        url: `${origin}${paths[0] ?? '/'}`,
        requests: paths.map((path) => ({ path })),
        connections,
        amount,
        sampleInt: sampleMs,
        timeout: 30,
      },
      (error: unknown) => {
        if (error) reject(error)
        else resolve(tally.result(null))
      },
    )
    // autocannon's own histogram knows whole milliseconds only.
    run.on('response', (_client, status, _bytes, latencyMs) => tally.responded(status, latencyMs, 0))
    run.on('reqError', (error: unknown) => tally.failed(error instanceof Error ? error.message : String(error)))
  })
}
