/** What may stand where Consul's answer should? Raw bytes, for a fault proxy to give in its place. */

import type { ProxiedRequest } from './fault-proxy.ts'

type Answer = (request: ProxiedRequest) => Buffer

const index = { 'X-Consul-Index': '900' } as const

function answer(status: string, headers: Readonly<Record<string, string>>, body: string | Buffer): Buffer {
  const bytes = Buffer.from(body)
  const fields = Object.entries({ 'Content-Length': `${bytes.length}`, ...headers })
  const head = [`HTTP/1.1 ${status}`, ...fields.map(([name, value]) => `${name}: ${value}`), '', ''].join('\r\n')
  return Buffer.concat([Buffer.from(head), bytes])
}

const text = { 'Content-Type': 'text/plain; charset=utf-8' } as const
const json = { 'Content-Type': 'application/json' } as const

/** As a server says it that has lost its leader. */
export const noLeader: Answer = () => answer('500 Internal Server Error', text, 'No cluster leader')

/** As an agent says it to a token that has been revoked. */
export const aclNotFound: Answer = () => answer('403 Forbidden', text, 'ACL not found')

/** As an agent says it beyond its limit of requests. */
export const tooManyRequests: Answer = () =>
  answer('429 Too Many Requests', text, 'Your IP is issuing too many concurrent connections, please rate limit')

/** As a login page or a captive portal says it. */
export const htmlPage: Answer = () =>
  answer('200 OK', { 'Content-Type': 'text/html' }, '<!doctype html><title>Sign in</title><h1>Sign in to go on</h1>')

/** Whole as HTTP, cut off as JSON. */
export const truncatedJson: Answer = ({ target }) => {
  const whole = isNames(target)
    ? '{"consul":[],"web":["v1"]}'
    : '[{"Node":{"Node":"n1","Address":"127.0.0.1"},"Service":'
  return answer('200 OK', { ...json, ...index }, whole.slice(0, Math.ceil(whole.length * 0.7)))
}

/** A chunked body that never ends, on a connection that stays open. */
export const endlessChunks: Answer = ({ target }) => {
  const begun = isNames(target) ? '{"consul":[]' : '[{"Node":{'
  const head = [
    'HTTP/1.1 200 OK',
    'Content-Type: application/json',
    'X-Consul-Index: 900',
    'Transfer-Encoding: chunked',
  ]
  return Buffer.from(`${[...head, '', ''].join('\r\n')}${begun.length.toString(16)}\r\n${begun}\r\n`)
}

/** Said to be compressed, but is not. */
export const gzipGarbage: Answer = () =>
  answer(
    '200 OK',
    { ...json, ...index, 'Content-Encoding': 'gzip' },
    Buffer.from('1f8b0800deadbeefdeadbeef00ff', 'hex'),
  )

/** Not even HTTP. */
export const notHttp: Answer = () =>
  Buffer.from('\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03SSH-2.0-OpenSSH_8.4\r\n\r\n', 'latin1')

/**
 * An empty catalog, with success.
 * @param kind how its index relates to the one that was asked with
 */
export function emptyCatalog(kind: 'lower index' | 'higher index' | 'no index'): Answer {
  return ({ target }) => {
    const asked = Number(new URL(target, 'http://agent').searchParams.get('index') ?? 0)
    const indices = {
      'lower index': '1',
      'higher index': `${Math.max(asked, 1_000_000) + 1}`,
      'no index': null,
    } as const
    const value = indices[kind]
    const headers = { ...json, ...(value === null ? {} : { 'X-Consul-Index': value }) }
    return answer('200 OK', headers, isNames(target) ? '{}' : '[]')
  }
}

/** True: the list of services is asked for, and not something that is a JSON list. */
function isNames(target: string): boolean {
  return target.startsWith('/v1/catalog/services')
}
