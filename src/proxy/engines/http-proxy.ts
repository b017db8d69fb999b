/**
 * The http-proxy engine: Node's HTTP server downstream, the http-proxy package upstream.
 *
 * The conservative engine, and the reference for any other. The package sends the request and parses the answer; what
 * it leaves out or does wrong (docs/decisions/004-http-proxy-engine.md) is done in HttpExchange and HttpAttempt, or
 * switched off here. Requests to switch protocols go past it altogether.
 */

import { createServer, type IncomingMessage, ServerResponse, STATUS_CODES } from 'node:http'
import { Server as NetServer, type Socket } from 'node:net'
import httpProxy from 'http-proxy'
import type { DataListener, EngineOptions, Reply } from '../exchange.ts'
import { createClientConnections, lingeringClose } from './client-connections.ts'
import type { Forward } from './http-attempt.ts'
import { HttpExchange, type UpgradeRequest } from './http-exchange.ts'
import { listenOn } from './listening.ts'
import { createUpstreamSockets } from './upstream-sockets.ts'

type ForwardOptions = Parameters<Forward>[1]

/** How often Node looks for heads that are overdue; its default of 30 s makes a 1 s limit a 30 s one. */
const overdueCheckMs = 1_000

/** The request that the parser of a connection met last. */
interface Newest {
  readonly req: IncomingMessage
  /** Null until its turn comes. */
  exchange: HttpExchange | null
  /** Why its body turned out to be malformed. */
  malformed: string | null
}

export function httpProxyEngine(options: EngineOptions): DataListener {
  const { limits, onExchange, onRefusal, onFailure } = options
  const now = (): number => performance.now()
  const sockets = createUpstreamSockets(now)
  const clients = createClientConnections(now, limits.clientIdleTimeoutMs + limits.clientHeaderTimeoutMs)
  const newest = new WeakMap<Socket, Newest>()
  let closing: Promise<void> | null = null
  const surroundings = {
    sockets,
    forward: createForward(),
    now,
    isLastOn: (socket: Socket) => closing !== null && !clients.hasWaiting(socket),
  }

  const server = createServer({
    // Node counts the request line too; the exact limits are judged later, with a status of their own.
    maxHeaderSize: limits.headerBytes + limits.targetBytes + 1_024,
    headersTimeout: limits.clientHeaderTimeoutMs,
    keepAliveTimeout: limits.clientIdleTimeoutMs,
    // A long upload is not an attack: what stalls is cut by the idle deadline.
    requestTimeout: 0,
    connectionsCheckingInterval: Math.min(overdueCheckMs, limits.clientHeaderTimeoutMs),
    requireHostHeader: false,
    insecureHTTPParser: false,
    noDelay: true,
  })
  server.maxHeadersCount = 0
  server.timeout = 0

  function begin(req: IncomingMessage, res: ServerResponse, expectsContinue: boolean): void {
    const { socket } = req
    const entry: Newest = { req, exchange: null, malformed: null }
    newest.set(socket, entry)
    clients.queue(socket, (done) => {
      if (entry.malformed !== null) return refuse(socket, 400, entry.malformed)
      if (!isSpoken(req)) return refuse(socket, 505, unspoken)
      const exchange = new HttpExchange(req, res, surroundings, { expectsContinue, upgrade: null })
      entry.exchange = exchange
      res.once('close', done)
      onExchange(exchange)
    })
  }

  /** The connection has left Node's HTTP server: the exchange is the last on it, whatever its answer. */
  function beginUpgrade(req: IncomingMessage, upgrade: UpgradeRequest): void {
    const { socket } = upgrade
    const res = new ServerResponse(req)
    res.shouldKeepAlive = false
    res.assignSocket(socket)
    onExchange(new HttpExchange(req, res, surroundings, { expectsContinue: false, upgrade }))
  }

  /** Gives a connection that the server let go of back to it, as if its request had never asked for a switch. */
  function beginAgain(req: IncomingMessage, socket: Socket, behindHead: Buffer): void {
    let head = `${req.method} ${req.url} HTTP/${req.httpVersion}\r\n`
    for (let index = 0; index < req.rawHeaders.length; index += 2) {
      const name = req.rawHeaders[index] as string
      if (name.toLowerCase() !== 'upgrade') head += `${name}: ${req.rawHeaders[index + 1]}\r\n`
    }
    socket.setTimeout(0)
    socket.unshift(Buffer.concat([Buffer.from(`${head}\r\n`, 'latin1'), behindHead]))
    server.emit('connection', socket)
  }

  /** Answers bytes that no exchange stands for, and closes. To be called when it is the connection's turn. */
  function refuse(socket: Socket, status: number, detail: string): void {
    const reply = onRefusal({ status, detail, clientAddress: socket.remoteAddress ?? '' })
    if (socket.writable) socket.write(replyBytes(reply))
    lingeringClose(socket)
  }

  function refuseInTurn(socket: Socket, status: number, detail: string): void {
    clients.queue(socket, () => refuse(socket, status, detail))
  }

  server.on('connection', (socket: Socket) => {
    if (clients.has(socket)) return
    clients.add(socket)
    if (clients.count() > limits.maxConnections) refuse(socket, 503, 'The proxy has as many connections as it may.')
  })
  server.on('request', (req, res) => begin(req, res, false))
  server.on('checkContinue', (req, res) => begin(req, res, true))
  server.on('checkExpectation', (req: IncomingMessage) => {
    refuseInTurn(req.socket, 417, 'The only expectation understood is "100-continue".')
  })
  server.on('connect', (_req: IncomingMessage, socket: Socket) => {
    socket.on('error', () => socket.destroy())
    refuseInTurn(socket, 405, 'This is a reverse proxy: it opens no CONNECT tunnel.')
  })
  server.on('upgrade', (req: IncomingMessage, socket: Socket, head: Buffer) => {
    socket.on('error', () => socket.destroy())
    clients.queue(socket, (done) => {
      if (!isSpoken(req)) return refuse(socket, 505, unspoken)
      if (!isOrdinary(req)) return beginUpgrade(req, { protocol: req.headers.upgrade ?? '', socket, early: head })
      beginAgain(req, socket, head)
      done()
    })
  })
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => {
    const { status, detail } = refusalOf(error)
    if (status === null || socket.destroyed) return void socket.destroy()
    const last = newest.get(socket)
    if (last === undefined || last.req.complete) return refuseInTurn(socket, status, detail)
    // Bytes behind a head that was accepted: they are that request's body. Told once, for the parser goes on.
    if (last.malformed !== null) return
    last.malformed = detail
    last.exchange?.bodyIsMalformed(detail)
  })

  return {
    listen: (host, port) => listenOn(server, host, port, onFailure),
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
  return ({ req, res }, { to, agent, onRequest, onError }) => {
    // The package would copy these through an object, which loses some and joins others: `onRequest` sets them.
    req.headers = {}
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

const unspoken = 'The only protocol spoken here is HTTP/1.1.'

/**
 * A request to switch protocols that is served as the ordinary one that it also is: an HTTP/2 tunnel would carry
 * requests past every rule of this proxy, and HTTP/1.0 knows no switch (RFC 9110 §7.8).
 */
function isOrdinary(req: IncomingMessage): boolean {
  return req.httpVersion === '1.0' || (req.headers.upgrade ?? '').toLowerCase().includes('h2c')
}

/** Node's parser lets other version numbers through, and HTTP/0.9, which has none. */
function isSpoken(req: IncomingMessage): boolean {
  return req.httpVersion === '1.1' || req.httpVersion === '1.0'
}

function refusalOf(error: NodeJS.ErrnoException & { reason?: string }): { status: number | null; detail: string } {
  switch (error.code) {
    case 'HPE_HEADER_OVERFLOW':
      return { status: 431, detail: 'The request head is too large.' }
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return { status: 408, detail: 'The request head did not arrive in time.' }
    case 'HPE_PAUSED_H2_UPGRADE':
      return { status: 505, detail: unspoken }
    case 'HPE_INVALID_VERSION':
      // The same code stands for a line that does not end where it should.
      if (error.reason?.includes('CRLF') !== true) return { status: 505, detail: unspoken }
      return { status: 400, detail: 'The request line is malformed.' }
    case 'HPE_INVALID_EOF_STATE':
      // The client went away in mid-request: there is nobody to tell.
      return { status: null, detail: '' }
    default:
      if (error.code?.startsWith('HPE_')) return { status: 400, detail: `The request is malformed (${error.code}).` }
      return { status: null, detail: '' }
  }
}

function replyBytes({ status, headers, body }: Reply): string {
  let head = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'Refused'}\r\nDate: ${new Date().toUTCString()}\r\n`
  for (let index = 0; index < headers.length; index += 2) head += `${headers[index]}: ${headers[index + 1]}\r\n`
  return `${head}Connection: close\r\n\r\n${body}`
}
