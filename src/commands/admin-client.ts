/** How does a command ask a running proxy's admin listener? One request with a deadline, answered in words when it fails. */

import { readFileSync } from 'node:fs'
import { request as httpRequest, type IncomingMessage } from 'node:http'

export interface AdminTarget {
  /** `http://host:port` */
  readonly url: string
  /** Null: none is sent. */
  readonly token: string | null
}

export type AdminReply =
  | { readonly kind: 'answered'; readonly status: number; readonly body: unknown }
  /** `message` says what failed and what to do. */
  | { readonly kind: 'failed'; readonly message: string }

const deadlineMs = 10_000
const maxAnswerBytes = 64 * 1024 * 1024

/**
 * Where the proxy is and what opens it.
 * @param flags as they were typed; null: not given
 * @returns a text when that cannot be told: what is wrong and what to do
 */
export function adminTarget(
  flags: { readonly admin: string | null; readonly tokenFile: string | null },
  env: Readonly<Record<string, string | undefined>>,
): AdminTarget | string {
  const given = flags.admin ?? `http://127.0.0.1:${env.EVENKEEL_ADMIN_PORT || 8081}`
  const text = /^[a-z]+:\/\//i.test(given) ? given : `http://${given}`
  const url = URL.canParse(text) ? new URL(text) : null
  if (url === null || url.protocol !== 'http:' || url.hostname === '' || url.pathname !== '/') {
    return `--admin must be http://host:port, not ${JSON.stringify(given)}`
  }
  if (flags.tokenFile === null) return { url: url.origin, token: env.EVENKEEL_ADMIN_TOKEN || null }
  try {
    return { url: url.origin, token: readFileSync(flags.tokenFile, 'utf8').trim() }
  } catch (error) {
    return `--token-file ${flags.tokenFile} cannot be read: ${(error as NodeJS.ErrnoException).code ?? String(error)}`
  }
}

/**
 * Sends one request and reads the JSON of its answer. Never rejects.
 * @param path from `/` on, encoded
 * @param body sent as JSON; undefined: none
 */
export function askAdmin(
  { url, token }: AdminTarget,
  method: 'GET' | 'POST',
  path: string,
  body?: unknown,
): Promise<AdminReply> {
  return new Promise((resolve) => {
    const signal = AbortSignal.timeout(deadlineMs)
    const failed = (what: string) => {
      const cure = 'is the proxy running there, and is that its admin port? --admin URL names another'
      resolve({ kind: 'failed', message: `no answer from ${url}: ${what}; ${cure}` })
    }
    const text = body === undefined ? null : JSON.stringify(body)
    const headers = {
      ...(token === null ? {} : { authorization: `Bearer ${token}` }),
      ...(text === null ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }),
    }
    try {
      const request = httpRequest(`${url}${path}`, { method, agent: false, signal, headers })
      request.on('error', (error: NodeJS.ErrnoException) =>
        failed(signal.aborted ? `nothing in ${deadlineMs / 1000} s` : (error.code ?? error.message)),
      )
      request.on('response', (response) => {
        read(response).then(
          (answer) => resolve({ kind: 'answered', status: response.statusCode ?? 0, body: answer }),
          (error: Error) => failed(error.message),
        )
      })
      request.end(text ?? undefined)
    } catch (error) {
      // A token that cannot stand in a header.
      failed((error as Error).message)
    }
  })
}

async function read(response: IncomingMessage): Promise<unknown> {
  const pieces: Buffer[] = []
  let bytes = 0
  for await (const piece of response as AsyncIterable<Buffer>) {
    bytes += piece.length
    if (bytes > maxAnswerBytes) throw new Error('the answer is too long')
    pieces.push(piece)
  }
  try {
    return JSON.parse(Buffer.concat(pieces).toString('utf8'))
  } catch {
    throw new Error('the answer is not JSON')
  }
}
