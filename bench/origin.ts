/**
 * The instances behind every proxy: as little HTTP server as Node has, which counts what reaches it.
 *
 * One process listens once for each instance. A share is what was counted here, not what a client or a proxy believes.
 * `/…/bytes/N` answers with N bytes, anything else with a few. Run by the bench; not for use by hand.
 */

import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { answer } from './ipc.ts'

export type OriginQuestion =
  /** One instance for each host; answers their ports. */
  | { readonly kind: 'listen'; readonly hosts: readonly string[] }
  /** Answers how many requests each instance has had since it started. */
  | { readonly kind: 'counts' }

const body = Buffer.from('{"id":"10000","name":"Person_0"}\n')
const piece = Buffer.alloc(64 * 1024, 'x')
const counts: number[] = []

function instance(host: string): Promise<number> {
  const index = counts.push(0) - 1
  const server = createServer((req, res) => {
    counts[index] = (counts[index] ?? 0) + 1
    req.resume()
    const bytes = /\/bytes\/(\d+)$/.exec(req.url ?? '')?.[1]
    if (bytes !== undefined) return sendBytes(res, Number(bytes))
    res.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length })
    res.end(body)
  })
  // A pooled connection outlives the pause between two rounds, so no proxy meets one that is just closing.
  server.keepAliveTimeout = 600_000
  server.requestTimeout = 0
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host, port: 0, backlog: 1024 }, () => resolve((server.address() as AddressInfo).port))
  })
}

function sendBytes(res: ServerResponse, total: number): void {
  res.writeHead(200, { 'content-type': 'application/octet-stream', 'content-length': total })
  let left = total
  const more = (): void => {
    while (left > 0) {
      const next = left < piece.length ? piece.subarray(0, left) : piece
      left -= next.length
      if (!res.write(next)) return void res.once('drain', more)
    }
    res.end()
  }
  more()
}

answer(async (question: OriginQuestion) => {
  if (question.kind === 'counts') return counts
  return Promise.all(question.hosts.map(instance))
})
