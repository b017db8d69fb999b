/**
 * How is etcd asked? Single requests to the JSON gateway of one of its members over node:http, each with a deadline, a
 * bound on its answer and a connection of its own, for one that is kept would only be reset by the member's restarts;
 * and a watch, whose answer does not end. The token that a user's requests carry is fetched, and fetched anew when the
 * server knows it no more.
 */

import { type ClientRequest, request as httpRequest, type IncomingMessage, type RequestOptions } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { withoutSecrets } from '../hidden.ts'
import { type EtcdMishap, isAuthOff, wantsNewToken } from './etcd-failure.ts'
import { decodeRefusal, decodeToken } from './etcd-messages.ts'

export interface EtcdAccess {
  /** null: no user; requests carry no token. */
  readonly user: string | null
  readonly password: string | null
  /** PEM texts, already read from their files; null: none. */
  readonly tls: { readonly ca: string | null; readonly cert: string | null; readonly key: string | null }
}

export type EtcdPath =
  | '/v3/kv/range'
  | '/v3/kv/txn'
  | '/v3/lease/grant'
  | '/v3/lease/keepalive'
  | '/v3/lease/revoke'
  | '/v3/watch'
  | '/v3/auth/authenticate'

export type EtcdReply =
  | { readonly kind: 'answered'; readonly body: unknown; readonly bytes: number }
  | { readonly kind: 'failed'; readonly path: EtcdPath; readonly mishap: EtcdMishap }

export interface EtcdRequest {
  readonly path: EtcdPath
  /** Sent as JSON. */
  readonly body: unknown
  /** The answer, or each message of a watch, may not be larger. */
  readonly maxBytes: number
}

/** Asks the members of one cluster. Nothing rejects; no mishap has the password or a token in it. */
export interface EtcdClient {
  /** The text without the password and the token: whatever a server says may quote what it was asked with. */
  hide(text: string): string
  /** One request; aborting `signal` cuts the connection and counts as a failure of the network. */
  ask(member: URL, request: EtcdRequest, signal: AbortSignal): Promise<EtcdReply>
  /**
   * A request whose answer is one message after another, a line each, until something fails or `signal` is aborted.
   * Only the first message has a deadline: how long the others may be away is the caller's matter.
   */
  follow(
    member: URL,
    request: EtcdRequest,
    onMessage: (message: unknown) => void,
    signal: AbortSignal,
  ): Promise<EtcdReply & { kind: 'failed' }>
}

/** Silence after which the kernel asks whether the other end of a watch is still there. */
const KEEP_ALIVE_MS = 15_000
/** Of an answer that is a refusal. */
const MAX_REFUSAL_BYTES = 64 * 1024

export interface EtcdDeadlines {
  /** Until there is a TCP connection. Short, for the next member may be there. */
  readonly connectMs: number
  /** From the connecting to the end of an answer. More than the 7 s after which etcd itself says that it has no leader. */
  readonly deadlineMs: number
}

/** A client of one cluster's members, for as long as it is used: it remembers the token. Both deadlines are more than 0. */
export function etcdClient(access: EtcdAccess, { connectMs, deadlineMs }: EtcdDeadlines): EtcdClient {
  const { user, password } = access
  const pem = Object.fromEntries(Object.entries(access.tls).filter(([, text]) => text !== null))
  /** null: none is needed, as far as is known. */
  let token: string | null = null
  let isKnown = user === null

  function hide(text: string): string {
    return withoutSecrets(text, { '<password>': password, '<token>': token })
  }

  /** Its words are looked at once they are decoded: escaped, they may quote what was escaped already. */
  function hidden(refusal: string): string {
    const words = decodeRefusal(refusal)
    return words === '' ? hide(refusal) : JSON.stringify({ message: hide(words) })
  }

  function open(member: URL, path: EtcdPath, options: RequestOptions): ClientRequest {
    const url = new URL(`${member.origin}${member.pathname.replace(/\/+$/, '')}${path}`)
    return member.protocol === 'https:' ? httpsRequest(url, { ...options, ...pem }) : httpRequest(url, options)
  }

  /**
   * Sends a request, and resolves with what `take` makes of the answer; an answer that is none, too late or of a status
   * other than 200 does not get there.
   */
  function send(
    member: URL,
    { path, body }: EtcdRequest,
    take: (answer: IncomingMessage, punctual: () => void) => Promise<EtcdReply>,
    signal: AbortSignal,
  ): Promise<EtcdReply> {
    const text = JSON.stringify(body)
    const headers = {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(text),
      ...(token === null || path === '/v3/auth/authenticate' ? {} : { authorization: token }),
    }
    return new Promise((resolve) => {
      const failed = (mishap: EtcdMishap): EtcdReply => ({ kind: 'failed', path, mishap })
      const broken = ({ code = '', message }: NodeJS.ErrnoException): EtcdReply =>
        failed({ kind: 'network', code, message: hide(message) })
      let request: ClientRequest
      try {
        request = open(member, path, { method: 'POST', agent: false, headers })
      } catch (error) {
        // Node refuses what cannot stand in a certificate before it connects.
        resolve(broken(error as NodeJS.ErrnoException))
        return
      }
      const punctual = () => clearTimeout(deadline)
      const settle = (reply: EtcdReply) => {
        punctual()
        clearTimeout(connecting)
        signal.removeEventListener('abort', abort)
        resolve(reply)
        request.destroy()
      }
      const abort = () => settle(broken({ name: 'AbortError', code: 'ABORT_ERR', message: 'given up' }))
      const late = (afterMs: number) => settle(failed({ kind: 'deadline', afterMs }))
      const connecting = setTimeout(late, connectMs, connectMs)
      const deadline = setTimeout(late, deadlineMs, deadlineMs)
      signal.addEventListener('abort', abort, { once: true })
      // Also after it has settled: an error that nobody listens for would end the process.
      request.on('error', (error: NodeJS.ErrnoException) => settle(broken(error)))
      request.on('socket', (socket) => {
        socket.setKeepAlive(true, KEEP_ALIVE_MS)
        socket.once('connect', () => clearTimeout(connecting))
      })
      request.on('response', (answer) => {
        const { statusCode: status = 0 } = answer
        const taken =
          status === 200
            ? take(answer, punctual)
            : readAll(answer, MAX_REFUSAL_BYTES).then((refusal) =>
                failed({ kind: 'status', status, body: hidden(refusal) }),
              )
        taken.then(settle, (error: NodeJS.ErrnoException) => settle(broken(error)))
      })
      request.end(text)
      if (signal.aborted) abort()
    })
  }

  function notJson(path: EtcdPath, answer: IncomingMessage, text: string): EtcdReply {
    const contentType = hide(answer.headers['content-type'] ?? '')
    return { kind: 'failed', path, mishap: { kind: 'not-json', contentType, body: hide(text.slice(0, 1000)) } }
  }

  function askOnce(member: URL, request: EtcdRequest, signal: AbortSignal): Promise<EtcdReply> {
    const take = async (answer: IncomingMessage): Promise<EtcdReply> => {
      const text = await readAll(answer, request.maxBytes)
      try {
        return { kind: 'answered', body: JSON.parse(text), bytes: text.length }
      } catch {
        return notJson(request.path, answer, text)
      }
    }
    return send(member, request, take, signal)
  }

  /** null: the token is as it should be. */
  async function authenticate(member: URL, signal: AbortSignal): Promise<EtcdReply | null> {
    const path = '/v3/auth/authenticate'
    const body = { name: user, password: password ?? '' }
    const reply = await askOnce(member, { path, body, maxBytes: MAX_REFUSAL_BYTES }, signal)
    if (reply.kind === 'failed' && !isAuthOff(reply.mishap)) return reply
    const fetched = reply.kind === 'failed' ? null : decodeToken(reply.body)
    if (fetched === null && reply.kind === 'answered') {
      return {
        kind: 'failed',
        path,
        mishap: { kind: 'shape', message: 'the answer to user and password has no token' },
      }
    }
    token = fetched
    isKnown = true
    return null
  }

  /** Runs `work` with a valid token; once more, with a new one, when it was refused for that. */
  async function authorized(member: URL, work: () => Promise<EtcdReply>, signal: AbortSignal): Promise<EtcdReply> {
    for (let isSecond = false; ; isSecond = true) {
      const refused = isKnown ? null : await authenticate(member, signal)
      if (refused !== null) return refused
      const used = token
      const reply = await work()
      if (reply.kind === 'answered' || user === null || !wantsNewToken(reply.mishap)) return reply
      // Somebody else may have fetched a new one meanwhile.
      if (token === used) isKnown = false
      if (isSecond) return reply
    }
  }

  return {
    hide,
    ask: (member, request, signal) => authorized(member, () => askOnce(member, request, signal), signal),
    async follow(member, request, onMessage, signal) {
      const { path, maxBytes } = request
      const take = async (answer: IncomingMessage, punctual: () => void): Promise<EtcdReply> => {
        for await (const line of lines(answer, maxBytes)) {
          let message: unknown
          try {
            message = JSON.parse(line)
          } catch {
            return notJson(path, answer, line)
          }
          punctual()
          onMessage(message)
        }
        return { kind: 'failed', path, mishap: { kind: 'ended' } }
      }
      const reply = await authorized(member, () => send(member, request, take, signal), signal)
      return reply.kind === 'failed' ? reply : { kind: 'failed', path, mishap: { kind: 'ended' } }
    },
  }
}

/** Rejects when the answer is cut off or too large. */
async function readAll(answer: IncomingMessage, maxBytes: number): Promise<string> {
  const pieces: Buffer[] = []
  let bytes = 0
  for await (const piece of answer as AsyncIterable<Buffer>) {
    bytes += piece.length
    if (bytes > maxBytes) throw new Error(`the answer is larger than ${maxBytes} bytes`)
    pieces.push(piece)
  }
  return Buffer.concat(pieces).toString('utf8')
}

/** The lines of an answer that are not empty. Rejects when it is cut off, or a line is too long. */
async function* lines(answer: IncomingMessage, maxBytes: number): AsyncGenerator<string> {
  let pieces: Buffer[] = []
  let bytes = 0
  for await (const piece of answer as AsyncIterable<Buffer>) {
    let rest = piece
    for (let end = rest.indexOf(0x0a); end >= 0; end = rest.indexOf(0x0a)) {
      const line = Buffer.concat([...pieces, rest.subarray(0, end)]).toString('utf8')
      pieces = []
      bytes = 0
      rest = rest.subarray(end + 1)
      if (line.trim() !== '') yield line
    }
    bytes += rest.length
    if (bytes > maxBytes) throw new Error(`a message of the watch is larger than ${maxBytes} bytes`)
    pieces.push(rest)
  }
}
