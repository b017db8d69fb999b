/**
 * How is a Consul agent told something, or asked once? Single requests over node:http, for what consul-source.ts does not
 * do: that one follows catalogs through the `consul` package. Each request has a deadline, a bound on its answer and a
 * connection of its own, for one that is kept would only be reset by the agent's restarts.
 */

import {
  type ClientRequest,
  request as httpRequest,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type RequestOptions,
} from 'node:http'
import { request as httpsRequest } from 'node:https'
import { withoutSecrets } from '../hidden.ts'
import type { Mishap } from './consul-failure.ts'
import type { ConsulOptions } from './consul-source.ts'

/** How an agent is reached; what else a source's options say does not matter here. */
export type AgentAddress = Pick<ConsulOptions, 'address' | 'token' | 'namespace' | 'tls'>

export type AgentReply = AgentAnswer | AgentFailure

export interface AgentAnswer {
  readonly kind: 'answered'
  /** Any. */
  readonly status: number
  /** Never with the token in it. */
  readonly text: string
  /** Those that were wanted and are there, by their names in lower case; absent when none were wanted. */
  readonly headers?: Readonly<Record<string, string>>
}

export interface AgentFailure {
  readonly kind: 'failed'
  readonly mishap: Extract<Mishap, { kind: 'network' | 'deadline' }>
}

export interface AgentRequest {
  readonly method: 'GET' | 'PUT'
  /** From `/v1/` on, encoded. */
  readonly path: string
  /** Sent as JSON; absent: no body. */
  readonly body?: unknown
  /** More than 0: from the connecting to the end of the answer. */
  readonly deadlineMs: number
  /** Headers of the answer to hand over, in lower case; absent: none. */
  readonly wantedHeaders?: readonly string[]
  /** More than 0: a longer answer is a failure. Absent: 1 MiB. */
  readonly maxAnswerBytes?: number
}

export interface AgentClient {
  /** The agent's address as it may be shown: without credentials. */
  readonly where: string
  /** One request; never rejects. Aborting `signal` cuts the connection and counts as a failure of the network. */
  send(request: AgentRequest, signal: AbortSignal): Promise<AgentReply>
}

/** Far above any real answer about one service: that and its checks are a few KB. */
const MAX_ANSWER_BYTES = 1024 * 1024

/** @throws TypeError when `agent.address` is no http or https URL */
export function agentClient(agent: AgentAddress): AgentClient {
  const base = new URL(agent.address)
  if (!/^https?:$/.test(base.protocol)) {
    throw new TypeError('the address of Consul must be http://host:port or https://host:port')
  }
  const headers = {
    ...(agent.token === null ? {} : { 'x-consul-token': agent.token }),
    ...(agent.namespace === null ? {} : { 'x-consul-namespace': agent.namespace }),
  }
  const pem = Object.fromEntries(Object.entries(agent.tls).filter(([, text]) => text !== null))
  const prefix = base.href.replace(/\/+$/, '')

  /** An answer may quote what it was asked with. */
  const hide = (text: string) => withoutSecrets(text, { '<token>': agent.token })

  function open(path: string, options: RequestOptions): ClientRequest {
    const url = new URL(`${prefix}${path}`)
    return base.protocol === 'https:' ? httpsRequest(url, { ...options, ...pem }) : httpRequest(url, options)
  }

  return {
    where: base.origin,
    send({ method, path, body, deadlineMs, wantedHeaders, maxAnswerBytes = MAX_ANSWER_BYTES }, signal) {
      const text = body === undefined ? null : JSON.stringify(body)
      const content =
        text === null ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }
      return new Promise((resolve) => {
        let request: ClientRequest
        try {
          request = open(path, { method, agent: false, headers: { ...headers, ...content } })
        } catch (error) {
          // Node refuses what cannot stand in a header or a certificate before it connects.
          const { code = '', message } = error as NodeJS.ErrnoException
          resolve({ kind: 'failed', mishap: { kind: 'network', code, message: hide(message) } })
          return
        }
        const settle = (reply: AgentReply) => {
          clearTimeout(deadline)
          signal.removeEventListener('abort', abort)
          resolve(reply)
          request.destroy()
        }
        const broken = (code: string, message: string) =>
          settle({ kind: 'failed', mishap: { kind: 'network', code, message: hide(message) } })
        const abort = () => broken('ABORT_ERR', 'given up')
        const deadline = setTimeout(
          () => settle({ kind: 'failed', mishap: { kind: 'deadline', afterMs: deadlineMs } }),
          deadlineMs,
        )
        signal.addEventListener('abort', abort, { once: true })
        // Also after it has settled: an error that nobody listens for would end the process.
        request.on('error', (error: NodeJS.ErrnoException) => broken(error.code ?? '', error.message))
        request.on('response', (response) => {
          const { statusCode: status = 0 } = response
          const told = wantedHeaders === undefined ? {} : { headers: picked(response.headers, wantedHeaders, hide) }
          read(response, maxAnswerBytes).then(
            (answer) => settle({ kind: 'answered', status, text: hide(answer), ...told }),
            (error: NodeJS.ErrnoException) => broken(error.code ?? '', error.message),
          )
        })
        request.end(text ?? undefined)
        if (signal.aborted) abort()
      })
    },
  }
}

/** Rejects when the answer is cut off or too large. */
async function read(response: IncomingMessage, maxBytes: number): Promise<string> {
  const pieces: Buffer[] = []
  let bytes = 0
  for await (const piece of response as AsyncIterable<Buffer>) {
    bytes += piece.length
    if (bytes > maxBytes) throw new Error(`the answer is larger than ${maxBytes} bytes`)
    pieces.push(piece)
  }
  return Buffer.concat(pieces).toString('utf8')
}

function picked(
  headers: IncomingHttpHeaders,
  names: readonly string[],
  hide: (text: string) => string,
): Record<string, string> {
  const found = names.flatMap((name) => {
    const value = headers[name]
    return typeof value === 'string' ? [[name, hide(value)] as const] : []
  })
  return Object.fromEntries(found)
}
