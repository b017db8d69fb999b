/** How fast do large bodies flow? A few connections, each of which reads and forgets one body after another. */

import { Agent, request } from 'node:http'
import type { LoadJob, LoadResult } from './protocol.ts'
import { Tally } from './tally.ts'

export async function bulk(job: LoadJob): Promise<LoadResult> {
  const { origin, paths, connections, amount } = job
  const agent = new Agent({ keepAlive: true, maxSockets: connections })
  const tally = new Tally(amount)
  let started = 0

  const fetchOne = (path: string): Promise<void> =>
    new Promise((resolve) => {
      const startMs = performance.now()
      const fail = (error: NodeJS.ErrnoException): void => {
        tally.failed(error.code ?? error.message)
        resolve()
      }
      request(`${origin}${path}`, { agent }, (res) => {
        let bytes = 0
        res.on('data', (chunk: Buffer) => {
          bytes += chunk.length
        })
        res.on('error', fail)
        res.on('end', () => {
          tally.responded(res.statusCode ?? 0, performance.now() - startMs, bytes)
          resolve()
        })
      })
        .on('error', fail)
        .end()
    })

  const connection = async (): Promise<void> => {
    while (started < amount) {
      const path = paths[started % paths.length] ?? '/'
      started++
      await fetchOne(path)
    }
  }
  await Promise.all(Array.from({ length: connections }, connection))
  agent.destroy()
  return tally.result(null)
}
