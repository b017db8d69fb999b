/**
 * The http-proxy engine: Node's HTTP server downstream, the http-proxy package upstream.
 *
 * The conservative engine, and the reference for any other. The package sends the request and parses the answer; what
 * it leaves out or does wrong (docs/decisions/004-http-proxy-engine.md) is done in HttpExchange and HttpAttempt, or
 * switched off here. Requests to switch protocols go past it altogether.
 */

import { createServer, type IncomingMessage, ServerResponse } from 'node:http'
import { type AddressInfo, Server as NetServer, type Socket } from 'node:net'
import httpProxy from 'http-proxy'
import type { DataListener, EngineOptions, Reply } from '../exchange.ts'
import { createClientConnections, lingeringClose } from './client-connections.ts'
import type { Forward } from './http-attempt.ts'
import { HttpExchange, type UpgradeRequest } from './http-exchange.ts'
import { createUpstreamSockets } from './upstream-sockets.ts'

type ForwardOptions = Parameters<Forward>[1]

/** How often Node looks for heads that are overdue; its default of 30 s makes a 1 s limit a 30 s one. */
const overdueCheckMs = 1_000

export function httpProxyEngine(options: EngineOptions): DataListener {
  const { limits, onExchange, onRefusal } = options
  const now = (): number => performance.now()
  const sockets = createUpstreamSockets(now)
  const clients = createClientConnections(now)
  const current = new WeakMap<Socket, Set<HttpExchange>>()
  const refused = new WeakSet<Socket>()
  let closing: Promise<void> | null = null
  const surroundings = { sockets, forward: createForward(), now, isDraining: () => closing !== null }

  const server = createServer({
    // Node counts the request line too; the exact limits are judged later, with a status of their own.
    maxHeaderSize: limits.headerBytes + limits.targetBytes + 1_024,
    headersTimeout: limits.clientHeaderTimeoutMs,
    keepAliveTimeout: limits.clientIdleTimeoutMs,
    // A long upload is not an attack: what stalls is cut by the idle deadline.
    requestTimeout: 0,
    connectionsCheckingInterval: Math.min(overdueCheckMs, limits.clientHeaderTimeoutMs),
    requireHostHeader: false,
    noDelay: true,
  })
  server.maxHeadersCount = 0
  server.timeout = 0

  function begin(req: IncomingMessage, res: ServerResponse, expectsContinue: boolean, upgrade: UpgradeRequest | null) {
    const { socket } = req
    if (refused.has(socket)) return
    const exchange = new HttpExchange(req, res, surroundings, { expectsContinue, upgrade })
    const ofSocket = current.get(socket) ?? new Set()
    current.set(socket, ofSocket.add(exchange))
    clients.busy(socket)
    res.on('close', () => {
      ofSocket.delete(exchange)
      clients.idle(socket)
    })
    onExchange(exchange)
  }

  /** Answers bytes that no exchange stands for, and closes. */
  function refuse(socket: Socket, status: number, detail: string): void {
    if (refused.has(socket)) return
    refused.add(socket)
    const reply = onRefusal({ status, detail, clientAddress: socket.remoteAddress ?? '' })
    if (socket.writable) socket.write(replyBytes(reply))
    lingeringClose(socket)
  }

  server.on('connection', (socket: Socket) => {
    clients.add(socket)
    if (clients.count() > limits.maxConnections) refuse(socket, 503, 'The proxy has as many connections as it may.')
  })
  server.on('request', (req, res) => begin(req, res, false, null))
  server.on('checkContinue', (req, res) => begin(req, res, true, null))
  server.on('checkExpectation', (req: IncomingMessage) => {
    refuse(req.socket, 417, 'The only expectation understood is "100-continue".')
  })
  server.on('connect', (_req: IncomingMessage, socket: Socket) => {
    refuse(socket, 405, 'This is a reverse proxy: it opens no CONNECT tunnel.')
  })
  server.on('upgrade', (req: IncomingMessage, socket: Socket, head: Buffer) => {
    socket.on('error', () => socket.destroy())
    const res = new ServerResponse(req)
    res.shouldKeepAlive = false
    res.assignSocket(socket)
    const protocol = (req.headers.upgrade ?? '').toLowerCase()
    // An HTTP/2 tunnel would carry requests past every rule of this proxy: such a request is served as it is instead.
    const ordinary = protocol.includes('h2c')
    begin(req, res, false, ordinary ? null : { protocol: req.headers.upgrade ?? '', socket, early: head })
    if (ordinary) res.once('finish', () => lingeringClose(socket))
  })
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => {
    const { status, detail } = refusalOf(error)
    if (status === null || socket.destroyed) return void socket.destroy()
    // Bytes behind a head that was accepted: they are that request's body, or come after it.
    const open = [...(current.get(socket) ?? [])]
    const reading = open.find((exchange) => !exchange.req.complete)
    if (reading !== undefined) return reading.bodyIsMalformed(detail)
    const last = open.at(-1)
    if (last === undefined) return refuse(socket, status, detail)
    refused.add(socket)
    last.res.once('close', () => lingeringClose(socket))
  })

  return {
    listen: (host, port) =>
      new Promise((resolve, reject) => {
        server.once('error', reject)
        server.listen({ host, port, backlog: 1_024 }, () => {
          server.removeListener('error', reject)
          resolve((server.address() as AddressInfo).port)
        })
      }),
    clientConnections: () => clients.count(),
    upstreamConnections: () => sockets.count(),
    dropPooled: (isGone) => sockets.dropIdle(isGone),
    close: (deadlineMs) => {
      closing ??= (async () => {
        // The HTTP server's own close cuts idle connections at once, and with them requests that are just arriving.
        if (server.listening) NetServer.prototype.close.call(server)
        await clients.drain(deadlineMs)
        server.close(() => {})
        sockets.close()
      })()
      return closing
    },
  }
}

function createForward(): Forward {
  const proxy = httpProxy.createProxyServer({ selfHandleResponse: true, ignorePath: true, prependPath: false })
  // The passes before it add headers of their own and turn a chunked DELETE into a smuggled request.
  const { webPasses } = proxy as unknown as { webPasses: { readonly name: string }[] }
  const stream = webPasses.findIndex((pass) => pass.name === 'stream')
  webPasses.splice(0, stream)

  proxy.on('proxyReq', (upstream, _req, _res, passed) => {
    const { onRequest } = passed as unknown as ForwardOptions
    onRequest(upstream)
  })
  return ({ req, res }, { to, agent, headers, onRequest, onError }) => {
    req.headers = headers as IncomingMessage['headers']
    const options = {
      target: { protocol: 'http:', host: to.address, port: to.port },
      agent,
      toProxy: true,
      // In place of the package's own piping, which starts at once and knows neither limit nor deadline.
      buffer: { pipe: () => {} },
      onRequest,
    }
    proxy.web(req, res, options as unknown as httpProxy.ServerOptions, onError)
  }
}

function refusalOf(error: NodeJS.ErrnoException): { status: number | null; detail: string } {
  switch (error.code) {
    case 'HPE_HEADER_OVERFLOW':
      return { status: 431, detail: 'The request head is too large.' }
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return { status: 408, detail: 'The request head did not arrive in time.' }
    case 'HPE_INVALID_VERSION':
      return { status: 505, detail: 'The only protocol spoken here is HTTP/1.1.' }
    default:
      if (error.code?.startsWith('HPE_')) return { status: 400, detail: `The request is malformed (${error.code}).` }
      return { status: null, detail: '' }
  }
}

function replyBytes({ status, headers, body }: Reply): string {
  let head = `HTTP/1.1 ${status} ${status === 503 ? 'Service Unavailable' : 'Refused'}\r\nDate: ${new Date().toUTCString()}\r\n`
  for (let index = 0; index < headers.length; index += 2) head += `${headers[index]}: ${headers[index + 1]}\r\n`
  return `${head}Connection: close\r\n\r\n${body}`
}
