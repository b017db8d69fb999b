/** Small things about Node's HTTP objects: what they must be told, and what they do not tell by themselves. */

import type { Agent, IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { ExchangeRequest, RawHeaders } from '../exchange.ts'
import { headerValues, trailersOf } from '../headers.ts'

/** An agent for one request over one socket: nothing is queued, nothing is looked up. */
export function agentFor(socket: Socket): Agent {
  return {
    keepAlive: true,
    maxSockets: Number.POSITIVE_INFINITY,
    defaultPort: 80,
    protocol: 'http:',
    options: {},
    addRequest: (upstream: { onSocket(socket: Socket): void }) => upstream.onSocket(socket),
  } as unknown as Agent
}

/** What is wrong with the head of a final response that Node has let through; null when nothing is. */
export function faultOfHead(response: IncomingMessage): string | null {
  const { httpVersion, statusCode = 0 } = response
  if (httpVersion !== '1.1' && httpVersion !== '1.0') return `HTTP/${httpVersion}`
  if (statusCode < 200) return `a final status of ${statusCode}`
  const coding = oddCodingOf(response)
  return coding === null ? null : `Transfer-Encoding: ${coding}`
}

/**
 * The transfer coding of a response when it is one that it must not have; else null. Node decodes `chunked` alone, and
 * passes any other on as if the body were plain (RFC 9112 §6.1, §6.3).
 */
function oddCodingOf(response: IncomingMessage): string | null {
  const codings = headerValues(response.rawHeaders, 'transfer-encoding')
  if (codings.length === 0) return null
  const plain = codings.length === 1 && codings[0]?.toLowerCase() === 'chunked' && response.httpVersion !== '1.0'
  return plain ? null : codings.join(', ')
}

/** True when the answer to this request goes to its client in chunks, so that trailers can follow. */
export function hasTrailers({ headers, statusCode }: IncomingMessage, asked: ExchangeRequest): boolean {
  const isBodiless = statusCode === 204 || statusCode === 304 || asked.method === 'HEAD'
  return headers['transfer-encoding'] !== undefined && asked.httpVersion === '1.1' && !isBodiless
}

/** The trailers of a message that pass on, as name and value. */
export function trailerPairs(message: IncomingMessage): [string, string][] {
  const list: [string, string][] = []
  const raw = trailersOf(message.rawTrailers)
  for (let index = 0; index < raw.length; index += 2) list.push([raw[index] as string, raw[index + 1] as string])
  return list
}

/** Takes a header out of a raw list. `name` in lower case. */
export function removeField(fields: string[], name: string): void {
  for (let index = fields.length - 2; index >= 0; index -= 2) {
    if (fields[index]?.toLowerCase() === name) fields.splice(index, 2)
  }
}

/** The head of the answer that makes a connection a tunnel. */
export function switchingHead(version: string, fields: RawHeaders, protocol: string): string {
  let text = `HTTP/${version} 101 Switching Protocols\r\n`
  for (let index = 0; index < fields.length; index += 2) text += `${fields[index]}: ${fields[index + 1]}\r\n`
  return `${text}Connection: Upgrade\r\nUpgrade: ${protocol}\r\n\r\n`
}
