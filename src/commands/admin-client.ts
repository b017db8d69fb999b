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

/** What was typed for `--admin`, as `http://host:port`; null: it names no place to ask. */
export function adminUrl(given: string): string | null {
  const text = /^[a-z]+:\/\//i.test(given) ? given : `http://${given}`
  // To a URL a bare number is an IPv4 address: 8081 is 0.0.31.145.
  if (/^(http:\/\/)?\d+\/?$/i.test(given) || !URL.canParse(text)) return null
  const { protocol, hostname, pathname, search, port, origin } = new URL(text)
  if (protocol !== 'http:' || hostname === '' || pathname !== '/' || search !== '' || port === '0') return null
  return origin
}

/**
 * Where the proxy is and what opens it.
 * @param flags as they were typed, `admin` one that `adminUrl` takes; null: not given
 * @returns a text when that cannot be told: what is wrong and what to do
 */
export function adminTarget(
  flags: { readonly admin: string | null; readonly tokenFile: string | null },
  env: Readonly<Record<string, string | undefined>>,
): AdminTarget | string {
  const port = env.EVENKEEL_ADMIN_PORT || '8081'
  const url = adminUrl(flags.admin ?? `127.0.0.1:${port}`)
  if (url === null) {
    return flags.admin !== null
      ? `--admin must be http://host:port, not ${JSON.stringify(flags.admin)}`
      : `EVENKEEL_ADMIN_PORT names no port to ask: found ${JSON.stringify(port)}; --admin URL says where the proxy is`
  }
  const { tokenFile } = flags
  if (tokenFile === null) {
    const token = env.EVENKEEL_ADMIN_TOKEN || null
    return token === null || isToken(token)
      ? { url, token }
      : 'EVENKEEL_ADMIN_TOKEN holds no token: it must be one word of ASCII'
  }
  try {
    const token = readFileSync(tokenFile, 'utf8').trim()
    if (isToken(token)) return { url, token }
    return `--token-file ${tokenFile} holds no token: ${token === '' ? 'it is empty' : 'it must be one word of ASCII'}`
  } catch (error) {
    return `--token-file ${tokenFile} cannot be read: ${(error as NodeJS.ErrnoException).code ?? String(error)}`
  }
}

/** As `admin.token` may be: what can stand in a header, without blanks. */
function isToken(text: string): boolean {
  return /^[!-~]+$/.test(text)
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
        if (isForClients(response)) {
          request.destroy()
          const cure = '--admin URL names its admin port, which is 8081 unless admin.port says otherwise'
          resolve({ kind: 'failed', message: `${url} is where clients of the proxy connect: ${cure}` })
          return
        }
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

/** The data port says who it is, in its own answers and in those that it passes on; the admin listener does not. */
function isForClients({ headers }: IncomingMessage): boolean {
  const said = `${headers['proxy-status'] ?? ''}, ${headers.via ?? ''}`
  return /(^|, *)(1\.\d )?evenkeel\b/.test(said)
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
