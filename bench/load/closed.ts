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
  let connection = 0
  return new Promise((resolve, reject) => {
    const run = autocannon(
      {
        url: `${origin}${paths[0] ?? '/'}`,
        // Each connection has a share of the paths: autocannon prepares every path for every connection before it begins.
        setupClient: (client) => {
          client.setRequests(shareOf(paths, connection, connections).map((path) => ({ path })))
          connection++
        },
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

/** Every n-th path from the index on; of fewer paths than connections, one. */
function shareOf(paths: readonly string[], index: number, connections: number): readonly string[] {
  const own = paths.filter((_, each) => each % connections === index)
  return own.length > 0 ? own : [paths[index % paths.length] ?? '/']
}
