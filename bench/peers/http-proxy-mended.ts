/**
 * What does the http-proxy package cost by itself? Its shortest sensible program, and the baseline of most ratios: round
 * robin over the instances, one connection a request, and the one mend without which nothing can be compared: the
 * endpoint's `Connection: close` must not reach the client, whose connection would die with every answer.
 */

import { Agent, createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import httpProxy from 'http-proxy'
import { answer } from '../ipc.ts'

export interface MendedQuestion {
  /** `http://host:port` of each instance. */
  readonly instances: readonly string[]
  readonly keepAlive: boolean
}

/** @returns the port taken */
function start({ instances, keepAlive }: MendedQuestion): Promise<number> {
  const proxy = httpProxy.createProxyServer({ agent: keepAlive ? new Agent({ keepAlive: true }) : false })
  proxy.on('proxyRes', (proxyRes) => {
    delete proxyRes.headers.connection
  })
  proxy.on('error', (_error, _req, res) => {
    if (!('writeHead' in res) || res.headersSent) return void res.destroy()
    res.writeHead(502)
    res.end()
  })
  let next = 0
  const server = createServer((req, res) => {
    const target = instances[next % instances.length]
    next++
    if (target !== undefined) proxy.web(req, res, { target })
  })
  server.keepAliveTimeout = 600_000
  server.requestTimeout = 0
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port))
  })
}

answer(start)
