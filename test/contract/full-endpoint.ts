/** An endpoint that listens and never accepts: once its backlog is full, connecting to it goes on for ever. */

import { connect } from 'node:net'
import { Worker } from 'node:worker_threads'
import type { Endpoint } from '../../src/balancer/endpoint.ts'
import { waitFor } from '../support/wait.ts'
import { closeAfterTest } from './cleanup.ts'

/** Its thread listens, tells the port, and blocks, so that nobody ever accepts. */
const script = `
  const { parentPort } = require('node:worker_threads')
  const server = require('node:net').createServer()
  server.listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => {
    parentPort.postMessage(server.address().port)
    setImmediate(() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0))
  })
`

export async function fullEndpoint(): Promise<Endpoint> {
  const worker = new Worker(script, { eval: true })
  const port = await new Promise<number>((resolve, reject) => {
    worker.once('message', resolve)
    worker.once('error', reject)
  })
  const fillers = Array.from({ length: 8 }, () => connect({ host: '127.0.0.1', port }).on('error', () => {}))
  closeAfterTest('origin', async () => {
    for (const filler of fillers) filler.destroy()
    await worker.terminate()
  })
  let standing = -1
  let since = performance.now()
  await waitFor('the backlog to be full', () => {
    const now = fillers.filter((filler) => !filler.connecting).length
    if (now !== standing) since = performance.now()
    standing = now
    return performance.now() - since > 100 && standing < fillers.length
  })
  return { id: `127.0.0.1:${port}`, instance: 'full', address: '127.0.0.1', port, weight: 1 }
}
