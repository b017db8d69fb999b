/**
 * How is one Eureka server asked? Single requests over node:http, each with deadlines, a bound on its answer and a connection
 * of its own: one that is kept from one poll to the next would only be found closed by the server.
 */

import { type ClientRequest, request as httpRequest, type IncomingMessage, type RequestOptions } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { withoutSecrets } from '../hidden.ts'
import type { EurekaMishap } from './eureka-failure.ts'

export type EurekaReply =
  /** With status 200; to a `send` with any from 200 to 299. */
  { readonly kind: 'answered'; readonly contentType: string; readonly text: string } | EurekaRefusal

export interface EurekaRefusal {
  readonly kind: 'failed'
  /** Never with the credentials in its texts. */
  readonly mishap: Extract<EurekaMishap, { kind: 'status' | 'network' | 'deadline' }>
}

/** What changes the registry. */
export interface EurekaOrder {
  readonly method: 'POST' | 'PUT' | 'DELETE'
  /** From `/apps/` on, encoded. */
  readonly path: string
  /** Sent as JSON; absent: no body. */
  readonly body?: unknown
}

export interface EurekaServer {
  /** The server's URL as it may be shown: without credentials. */
  readonly where: string
  /** One request; never rejects. Aborting `signal` cuts the connection and counts as a failure of the network. */
  get(path: '/apps' | '/apps/delta', signal: AbortSignal): Promise<EurekaReply>
  /** Likewise. One that is cut off or late may have been obeyed all the same. */
  send(order: EurekaOrder, signal: AbortSignal): Promise<EurekaReply>
  /** A text for people without the credentials: an answer may quote what it was asked with. */
  hide(text: string): string
}

export interface EurekaAccess {
  /** For basic auth; null: none. A URL that has credentials of its own uses those. */
  readonly user: string | null
  readonly password: string | null
  /** PEM texts, already read from their files; null: none. */
  readonly tls: { readonly ca: string | null; readonly cert: string | null; readonly key: string | null }
}

export interface EurekaDeadlines {
  /** From the connecting to the end of the answer. */
  readonly deadlineMs: number
  /** How long a connection may be silent, while it is made too. */
  readonly silenceMs: number
}

/** 25,000 instances: far above any real registry, and only keeps a runaway answer from eating the memory. */
const MAX_ANSWER_BYTES = 32 * 1024 * 1024

/**
 * @param url of the server, with its path: `http://host:8761/eureka`
 * @throws TypeError when it is no http or https URL, or its credentials cannot be decoded
 */
export function eurekaServer(url: string, access: EurekaAccess, deadlines: EurekaDeadlines): EurekaServer {
  const base = parseUrl(url)
  const where = `${base.origin}${base.pathname.replace(/\/+$/, '')}`
  const [user, password] = credentialsOf(base, access)
  const basic = Buffer.from(`${user}:${password}`).toString('base64')
  const headers = {
    // Eureka looks for the word json in it, and answers in XML without.
    accept: 'application/json, application/xml;q=0.5',
    ...(user === '' && password === '' ? {} : { authorization: `Basic ${basic}` }),
  }
  const pem = Object.fromEntries(Object.entries(access.tls).filter(([, text]) => text !== null))

  // Not of a whole answer: a password may be a word that is in every one.
  const hide = (text: string) =>
    password === '' ? text : withoutSecrets(text, { '<credentials>': basic, '<password>': password })

  function open(path: string, options: RequestOptions): ClientRequest {
    const target = `${where}${path}`
    return base.protocol === 'https:' ? httpsRequest(target, { ...options, ...pem }) : httpRequest(target, options)
  }

  function exchange(
    method: EurekaOrder['method'] | 'GET',
    path: string,
    body: string | null,
    isGood: (status: number) => boolean,
    signal: AbortSignal,
  ): Promise<EurekaReply> {
    const content =
      body === null ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }
    const options = { method, agent: false, headers: { ...headers, ...content }, timeout: deadlines.silenceMs }
    return new Promise((resolve) => {
      let request: ClientRequest
      try {
        request = open(path, options)
      } catch (error) {
        // Node refuses what cannot stand in a header or a certificate before it connects.
        const { code = '', message } = error as NodeJS.ErrnoException
        resolve({ kind: 'failed', mishap: { kind: 'network', code, message: hide(message) } })
        return
      }
      const settle = (reply: EurekaReply) => {
        clearTimeout(deadline)
        signal.removeEventListener('abort', abort)
        resolve(reply)
        request.destroy()
      }
      const broken = ({ code = '', message }: NodeJS.ErrnoException) =>
        settle({ kind: 'failed', mishap: { kind: 'network', code, message: hide(message) } })
      const abort = () => broken(Object.assign(new Error('given up'), { code: 'ABORT_ERR' }))
      const late = (afterMs: number) => settle({ kind: 'failed', mishap: { kind: 'deadline', afterMs } })
      const deadline = setTimeout(() => late(deadlines.deadlineMs), deadlines.deadlineMs)
      signal.addEventListener('abort', abort, { once: true })
      request.on('timeout', () => late(deadlines.silenceMs))
      // Also after it has settled: an error that nobody listens for would end the process.
      request.on('error', broken)
      request.on('response', (response) => {
        read(response).then((text) => {
          const status = response.statusCode ?? 0
          if (!isGood(status)) return settle({ kind: 'failed', mishap: { kind: 'status', status, body: hide(text) } })
          settle({ kind: 'answered', contentType: response.headers['content-type'] ?? '', text })
        }, broken)
      })
      request.end(body ?? undefined)
      if (signal.aborted) abort()
    })
  }

  return {
    where,
    hide,
    get: (path, signal) => exchange('GET', path, null, (status) => status === 200, signal),
    send({ method, path, body }, signal) {
      const text = body === undefined ? null : JSON.stringify(body)
      return exchange(method, path, text, (status) => status >= 200 && status < 300, signal)
    },
  }
}

function parseUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : null
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw new TypeError('the URL of a Eureka server must be http://host:port/eureka or https://host:port/eureka')
  }
  return url
}

function credentialsOf(url: URL, access: EurekaAccess): readonly [user: string, password: string] {
  if (url.username === '' && url.password === '') return [access.user ?? '', access.password ?? '']
  try {
    return [decodeURIComponent(url.username), decodeURIComponent(url.password)]
  } catch {
    // Its own message would show them.
    throw new TypeError('the user or password in the URL of a Eureka server is not well encoded')
  }
}

/** Rejects when the answer is cut off or too large. */
async function read(response: IncomingMessage): Promise<string> {
  const pieces: Buffer[] = []
  let bytes = 0
  for await (const piece of response as AsyncIterable<Buffer>) {
    bytes += piece.length
    if (bytes > MAX_ANSWER_BYTES) throw new Error(`the answer is larger than ${MAX_ANSWER_BYTES} bytes`)
    pieces.push(piece)
  }
  return Buffer.concat(pieces).toString('utf8')
}
