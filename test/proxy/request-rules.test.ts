import { describe, expect, it } from 'vitest'
import type { ExchangeRequest, LimitOptions } from '../../src/proxy/exchange.ts'
import { violationOf } from '../../src/proxy/request-rules.ts'

const limits: LimitOptions = {
  headerBytes: 200,
  headerCount: 5,
  targetBytes: 20,
  bodyBytes: 100,
  clientHeaderTimeoutMs: 1,
  clientIdleTimeoutMs: 1,
  maxConnections: 1,
}

interface Row {
  name: string
  headers?: string[]
  rest?: Partial<ExchangeRequest>
  status: number | null
}

function judge({ headers = [], rest = {} }: Row): number | null {
  const rawHeaders = headers.flatMap((line) => {
    const colon = line.indexOf(':')
    return [line.slice(0, colon), line.slice(colon + 1)]
  })
  const request: ExchangeRequest = {
    method: 'GET',
    target: '/s/',
    httpVersion: '1.1',
    rawHeaders,
    hasBody: false,
    upgrade: null,
    clientAddress: '192.0.2.1',
    localPort: 80,
    secure: false,
    ...rest,
  }
  return violationOf(request, limits)?.status ?? null
}

describe('request heads that may be forwarded, and those that may not', () => {
  const rows: Row[] = [
    { name: 'a plain request', headers: ['Host:a'], status: null },
    { name: 'a target at its limit', headers: ['Host:a'], rest: { target: `/${'x'.repeat(19)}` }, status: null },
    { name: 'a target over its limit', headers: ['Host:a'], rest: { target: `/${'x'.repeat(20)}` }, status: 414 },
    { name: 'header fields at their limit', headers: ['Host:a', 'A:1', 'B:1', 'C:1', 'D:1'], status: null },
    { name: 'header fields over their limit', headers: ['Host:a', 'A:1', 'B:1', 'C:1', 'D:1', 'E:1'], status: 431 },
    { name: 'header bytes over their limit', headers: ['Host:a', `A:${'x'.repeat(200)}`], status: 431 },
    { name: 'CONNECT', headers: ['Host:a'], rest: { method: 'CONNECT' }, status: 405 },
    {
      name: 'a body of known length',
      headers: ['Host:a', 'Content-Length:100'],
      rest: { hasBody: true },
      status: null,
    },
    {
      name: 'a body that is too long',
      headers: ['Host:a', 'Content-Length:101'],
      rest: { hasBody: true },
      status: 413,
    },
    { name: 'a chunked body', headers: ['Host:a', 'Transfer-Encoding:chunked'], rest: { hasBody: true }, status: null },
    {
      name: 'a chunked body in capitals',
      headers: ['Host:a', 'transfer-encoding: CHUNKED '],
      rest: { hasBody: true },
      status: null,
    },
    { name: 'both framings', headers: ['Host:a', 'Transfer-Encoding:chunked', 'Content-Length:1'], status: 400 },
    {
      name: 'chunked in HTTP/1.0',
      headers: ['Host:a', 'Transfer-Encoding:chunked'],
      rest: { httpVersion: '1.0' },
      status: 400,
    },
    {
      name: 'two Transfer-Encodings',
      headers: ['Host:a', 'Transfer-Encoding:chunked', 'Transfer-Encoding:chunked'],
      status: 400,
    },
    ...['gzip', 'identity', 'gzip, chunked', 'chunked, chunked', 'xchunked', ''].map((value) => ({
      name: `Transfer-Encoding: ${value}`,
      headers: ['Host:a', `Transfer-Encoding:${value}`],
      status: 400,
    })),
    { name: 'two equal Content-Lengths', headers: ['Host:a', 'Content-Length:1', 'content-length:1'], status: 400 },
    ...['+1', '-1', '1, 1', ' 1', '1 ', '0x1', '1e3', '', '1.0', '1234567890123456'].map((value) => ({
      name: `Content-Length: "${value}"`,
      headers: ['Host:a', `Content-Length:${value}`],
      status: 400,
    })),
    {
      name: 'a body with a request to switch protocols',
      headers: ['Host:a', 'Content-Length:1'],
      rest: { hasBody: true, upgrade: 'websocket' },
      status: 400,
    },
    { name: 'no Host', status: 400 },
    { name: 'no Host in HTTP/1.0', rest: { httpVersion: '1.0' }, status: null },
    { name: 'two Hosts', headers: ['Host:a', 'HOST:a'], status: 400 },
    ...['', 'a', 'a.b:80', 'a:', '1.2.3.4:1', '[::1]', '[fd00::5]:8080', 'a_b', 'xn--a', '%41'].map((value) => ({
      name: `Host: "${value}"`,
      headers: [`Host:${value}`],
      status: null,
    })),
    ...['a b', 'a,b', 'u@a', 'a/b', 'a?b', 'a#b', 'a:b', 'a:123456', '[::1', '::1', 'a\\b', 'é'].map((value) => ({
      name: `Host: "${value}"`,
      headers: [`Host:${value}`],
      status: 400,
    })),
    { name: 'Host and target agree', headers: ['Host:A.b:1'], rest: { target: 'http://a.B:1/s' }, status: null },
    {
      name: 'Host and target contradict each other',
      headers: ['Host:a'],
      rest: { target: 'http://b/s/' },
      status: 400,
    },
    { name: 'neither Host nor target has a host', headers: ['Host:'], rest: { target: 'http:///s/' }, status: 400 },
    { name: 'a target with userinfo', headers: ['Host:a'], rest: { target: 'http://u@a/s/' }, status: 400 },
  ]
  for (const row of rows) {
    it(`${row.name}: ${row.status ?? 'passes'}`, () => expect(judge(row)).toBe(row.status))
  }
})
