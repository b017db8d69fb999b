import { describe, expect, it } from 'vitest'
import type { Outcome } from '../../src/balancer/outcome.ts'
import { replyTo, type Situation } from '../../src/proxy/reply.ts'

const failed = (outcome: Outcome, attempts = 1): Situation => ({
  kind: 'failed',
  service: 's',
  endpoint: '10.0.0.5:80',
  attempts,
  outcome,
})

function headersOf(situation: Situation): Record<string, string> {
  const { headers } = replyTo(situation, 'id')
  return Object.fromEntries(
    headers.flatMap((name, index) => (index % 2 === 0 ? [[name, headers[index + 1] ?? '']] : [])),
  )
}

describe('the proxy’s own answers', () => {
  it('an unknown service, to the byte', () => {
    expect(replyTo({ kind: 'unknown-service', service: 'nöpe' }, 'id-1')).toEqual({
      status: 404,
      headers: [
        'Content-Type',
        'application/problem+json',
        'Content-Length',
        '150',
        'Cache-Control',
        'no-store',
        'Proxy-Status',
        'evenkeel; error=destination_not_found; details="The catalog has no service of this name."',
        'X-Request-Id',
        'id-1',
      ],
      body: '{"type":"about:blank","title":"Unknown Service","status":404,"detail":"The catalog has no service of this name.","service":"nöpe","requestId":"id-1"}',
      close: false,
    })
  })

  it('a refused connection, to the byte', () => {
    const reply = replyTo(failed({ kind: 'connect-failed', code: 'ECONNREFUSED' }, 3), 'id')
    expect(JSON.parse(reply.body)).toEqual({
      type: 'about:blank',
      title: 'Bad Gateway',
      status: 502,
      detail: 'No connection to 10.0.0.5:80 (ECONNREFUSED). It was the last of 3 attempts.',
      service: 's',
      requestId: 'id',
    })
    expect(headersOf(failed({ kind: 'connect-failed', code: 'ECONNREFUSED' }))['Proxy-Status']).toBe(
      'evenkeel; error=connection_refused; next-hop="10.0.0.5:80"; details="No connection to 10.0.0.5:80 (ECONNREFUSED)."',
    )
  })

  const rows: {
    name: string
    situation: Situation
    status: number
    error: string
    close?: boolean
    retryAfter?: string
  }[] = [
    {
      name: 'refused, closing',
      situation: { kind: 'refused', status: 400, detail: 'd', close: true },
      status: 400,
      error: 'http_request_error',
      close: true,
    },
    {
      name: 'refused, staying',
      situation: { kind: 'refused', status: 400, detail: 'd', close: false },
      status: 400,
      error: 'http_request_error',
    },
    {
      name: 'too many connections',
      situation: { kind: 'refused', status: 503, detail: 'd', close: true },
      status: 503,
      error: 'connection_limit_reached',
      close: true,
      retryAfter: '1',
    },
    {
      name: 'no endpoint, for a known time',
      situation: { kind: 'no-endpoints', service: 's', retryAfterMs: 1_001 },
      status: 503,
      error: 'destination_unavailable',
      retryAfter: '2',
    },
    {
      name: 'no endpoint, for no time at all',
      situation: { kind: 'no-endpoints', service: 's', retryAfterMs: 0 },
      status: 503,
      error: 'destination_unavailable',
      retryAfter: '1',
    },
    {
      name: 'no endpoint, for nobody knows how long',
      situation: { kind: 'no-endpoints', service: 's', retryAfterMs: null },
      status: 503,
      error: 'destination_unavailable',
      retryAfter: '5',
    },
    {
      name: 'unroutable',
      situation: failed({ kind: 'connect-failed', code: 'EHOSTUNREACH' }),
      status: 502,
      error: 'destination_ip_unroutable',
    },
    {
      name: 'a name that does not resolve',
      situation: failed({ kind: 'connect-failed', code: 'ENOTFOUND' }),
      status: 502,
      error: 'dns_error',
    },
    {
      name: 'a connect error that nobody has heard of',
      situation: failed({ kind: 'connect-failed', code: 'EWHATEVER' }),
      status: 502,
      error: 'destination_unavailable',
    },
    ...['EMFILE', 'ENFILE', 'EADDRNOTAVAIL', 'ENOBUFS'].map((code) => ({
      name: `${code} is a lack of the proxy’s own`,
      situation: failed({ kind: 'connect-failed', code }),
      status: 503,
      error: 'proxy_internal_error',
      retryAfter: '1',
    })),
    {
      name: 'no connection in time',
      situation: failed({ kind: 'timed-out', phase: 'connect' }),
      status: 504,
      error: 'connection_timeout',
    },
    {
      name: 'no answer in time',
      situation: failed({ kind: 'timed-out', phase: 'response' }),
      status: 504,
      error: 'http_response_timeout',
    },
    {
      name: 'a body not taken in time',
      situation: failed({ kind: 'timed-out', phase: 'idle' }),
      status: 504,
      error: 'http_response_timeout',
    },
    {
      name: 'broken off',
      situation: failed({ kind: 'broke-off', afterHeaders: false, code: 'ECONNRESET' }),
      status: 502,
      error: 'connection_terminated',
    },
    {
      name: 'not HTTP',
      situation: failed({ kind: 'bad-response', afterHeaders: false, detail: 'HPE_X' }),
      status: 502,
      error: 'http_protocol_error',
    },
    ...([400, 408, 413] as const).map((status) => ({
      name: `a body that is a ${status}: closed, for it is not over`,
      situation: failed({ kind: 'bad-request', status, detail: 'd' }),
      status,
      error: 'http_request_error',
      close: true,
    })),
  ]
  for (const { name, situation, status, error, close = false, retryAfter } of rows) {
    it(`${name}: ${status} ${error}`, () => {
      const reply = replyTo(situation, 'id')
      const headers = headersOf(situation)
      expect([reply.status, reply.close]).toEqual([status, close])
      expect(headers['Proxy-Status']).toMatch(new RegExp(`^evenkeel; error=${error};`))
      expect(headers['Content-Length']).toBe(String(Buffer.byteLength(reply.body)))
      expect(headers['Retry-After']).toBe(retryAfter)
      expect(JSON.parse(reply.body)).toMatchObject({ type: 'about:blank', status, requestId: 'id' })
    })
  }

  it('an endpoint cannot write headers with what it is called or what it says', () => {
    const outcome: Outcome = { kind: 'bad-response', afterHeaders: false, detail: 'a"b\\c\r\nSet-Cookie: x é' }
    const headers = headersOf({ kind: 'failed', service: 's', endpoint: 'evil"\r\n:1', attempts: 1, outcome })
    expect(headers['Proxy-Status']).toMatch(
      /^evenkeel; error=http_protocol_error; next-hop="evil\\"\?\?:1"; details="[ -~]+"$/,
    )
    expect(headers['Proxy-Status']).toContain('a\\"b\\\\c??Set-Cookie')
  })

  it('a request that was never understood has no id to return', () => {
    const { headers, body } = replyTo({ kind: 'refused', status: 400, detail: 'd', close: true }, '')
    expect(headers).not.toContain('X-Request-Id')
    expect(body).not.toContain('requestId')
  })

  it('405 says what is allowed', () => {
    expect(headersOf({ kind: 'refused', status: 405, detail: 'd', close: true }).Allow).toContain('GET')
  })
})
