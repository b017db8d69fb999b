/**
 * How do scrapers, probes and people reach what the proxy knows of itself?
 *
 * A second listener, apart from the data port because a service may be called "metrics". It is small on purpose: what it
 * is asked is short, and so are the times and sizes that it allows. Whoever reaches it may read; permission.ts says who
 * may change something.
 */

import { createServer, type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { readBody } from './body.ts'
import { isLocalHost, isLoopback } from './host.ts'
import { isPassedOn, mayChange } from './permission.ts'
import { type AdminSources, type Answer, answer, answerChange, bodyLimit, notAllowed, problem } from './routes.ts'

export interface AdminDeps extends AdminSources {
  /** `admin.token`, asked at each attempt to change something; null: none is set. */
  readonly token: () => string | null
  /** Told of whoever tried to change something and may not: from where, and why not. */
  readonly onRefused?: (from: string, why: string) => void
  /** Told of what went wrong inside: a source that threw, a connection that could not be accepted. */
  readonly onError?: (error: unknown) => void
}

export interface AdminServer {
  /** Binds; port 0 means any free one. Resolves with the port taken; rejects when it cannot be had. */
  listen(host: string, port: number): Promise<number>
  /** Stops accepting, lets answers under way finish for a moment, then closes every connection. Idempotent. */
  close(): Promise<void>
}

const closeGraceMs = 500
const strictPolicy = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

/** The admin listener; nothing listens before `listen`. */
export function createAdminServer(deps: AdminDeps): AdminServer {
  let onLoopback = false
  let closing: Promise<void> | null = null
  const onError = deps.onError ?? (() => {})

  const server = createServer(
    {
      maxHeaderSize: 8 * 1024,
      headersTimeout: 5_000,
      requestTimeout: 10_000,
      keepAliveTimeout: 5_000,
      connectionsCheckingInterval: 1_000,
    },
    (request, response) => {
      void respond(request, response)
    },
  )
  server.maxConnections = 256
  // A client that stops reading its answer would else hold a connection for ever.
  server.setTimeout(30_000)
  server.on('clientError', refuse)

  async function respond(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const given = await decide(request)
    // Asked only now: a request that was being answered when `close` came must not keep its connection either.
    if (closing !== null) response.setHeader('Connection', 'close')
    try {
      send(response, given, request.method === 'GET' && closing === null)
    } catch (error) {
      onError(error)
      response.destroy()
    }
  }

  async function decide(request: IncomingMessage): Promise<Answer> {
    if (onLoopback && !isLocalHost(request.headers.host)) {
      const why = 'This listener is bound to loopback and answers only to localhost or an IP address as its Host.'
      return problem(403, 'Forbidden', why)
    }
    const { method = '', url = '/' } = request
    const maxBytes = bodyLimit(method, url)
    try {
      if (maxBytes !== null) return await change(request, method, url, maxBytes)
      if (method !== 'GET' && method !== 'HEAD') return notAllowed(url)
      return await answer(deps, url, request.headers.accept)
    } catch (error) {
      onError(error)
      return problem(500, 'Internal Server Error', 'The answer could not be made; the log says why.')
    }
  }

  async function change(request: IncomingMessage, method: string, url: string, maxBytes: number): Promise<Answer> {
    const { headers } = request
    const caller = mayChange({ remoteAddress: request.socket.remoteAddress, headers }, deps.token())
    if (caller.kind === 'refused') {
      const { status, why, from } = caller
      deps.onRefused?.(from, why)
      // A fleet without the token would else fill the listener with idle connections, and lock those out who have it.
      const refusal = { ...problem(status, STATUS_CODES[status] ?? '', why), isLast: true } as const
      return status === 401 ? { ...refusal, authenticate: 'Bearer' } : refusal
    }
    const body = await readBody(request, maxBytes)
    if (body.kind === 'read') {
      return await answerChange(deps, { method, target: url, body: body.text, caller, isPassedOn: isPassedOn(headers) })
    }
    return problem(413, 'Content Too Large', `The body may have ${maxBytes} bytes. Nothing was changed.`)
  }

  function close(): Promise<void> {
    deps.live.close()
    closing ??= new Promise((resolve) => {
      const cut = setTimeout(() => server.closeAllConnections(), closeGraceMs)
      server.close(() => {
        clearTimeout(cut)
        resolve()
      })
      server.closeIdleConnections()
    })
    return closing
  }

  return {
    listen(host, port) {
      return new Promise((resolve, reject) => {
        server.once('error', reject)
        server.listen({ host, port }, () => {
          server.off('error', reject)
          server.on('error', onError)
          const bound = server.address() as AddressInfo
          onLoopback = isLoopback(bound.address)
          resolve(bound.port)
        })
      })
    },
    close,
  }
}

function send(response: ServerResponse, answer: Answer, mayStream: boolean): void {
  const {
    status,
    contentType,
    body,
    policy = strictPolicy,
    allow,
    authenticate,
    isImmutable,
    retryAfterS,
    isLast,
    stream,
  } = answer
  const streamed = mayStream ? stream : undefined
  response.writeHead(status, {
    // RFC 9110 section 8.6: what has no content has no length either.
    ...(status === 204 ? {} : { 'Content-Type': contentType }),
    ...(streamed === undefined && status !== 204 ? { 'Content-Length': Buffer.byteLength(body) } : {}),
    'Content-Security-Policy': policy,
    'X-Content-Type-Options': 'nosniff',
    'Referrer-Policy': 'no-referrer',
    'Cross-Origin-Resource-Policy': 'same-origin',
    'Cache-Control': isImmutable === true ? 'public, max-age=31536000, immutable' : 'no-store',
    ...(retryAfterS === undefined ? {} : { 'Retry-After': retryAfterS }),
    ...(authenticate === undefined ? {} : { 'WWW-Authenticate': authenticate }),
    ...(allow === undefined ? {} : { Allow: allow }),
    // What such a request still sends is not worth reading.
    ...(allow === undefined && status !== 413 && isLast !== true ? {} : { Connection: 'close' }),
  })
  if (streamed === undefined) response.end(body)
  else streamed(response)
}

/** Bytes that never became a request: one line for whoever tries by hand, and the connection ends. */
function refuse(error: NodeJS.ErrnoException, socket: Socket): void {
  if (!socket.writable || error.code === 'ECONNRESET') {
    socket.destroy()
    return
  }
  const status = refusalStatus(error.code)
  const head = `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`
  socket.end(head, () => socket.destroy())
}

function refusalStatus(code: string | undefined): number {
  if (code === 'HPE_HEADER_OVERFLOW') return 431
  return code === 'ERR_HTTP_REQUEST_TIMEOUT' ? 408 : 400
}
