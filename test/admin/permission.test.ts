/** Who may change something? By their address, what they send, and what a browser or a proxy says of them. */

import { describe, expect, it } from 'vitest'
import { mayChange } from '../../src/admin/permission.ts'

const token = 'correct-horse-battery-staple'
const bearer = (text: string) => ({ authorization: `Bearer ${text}` })

type Row = readonly [who: string, address: string | undefined, headers: Record<string, string>]

describe('without a token', () => {
  it.each<Row>([
    ['a program on this machine', '127.0.0.1', { host: '127.0.0.1:8081' }],
    ['one that says localhost', '127.0.0.1', { host: 'localhost:8081' }],
    ['one on another loopback address', '127.8.9.10', { host: '127.8.9.10:8081' }],
    ['one over IPv6', '::1', { host: '[::1]:8081' }],
    ['one over IPv4 on a socket for both', '::ffff:127.0.0.1', {}],
    ['a page of this listener', '127.0.0.1', { host: 'localhost:8081', origin: 'http://localhost:8081' }],
    ['the same, by what the browser says of it', '127.0.0.1', { host: 'localhost', 'sec-fetch-site': 'same-origin' }],
    ['who typed it into a browser', '127.0.0.1', { host: 'localhost', 'sec-fetch-site': 'none' }],
  ])('%s may, whether one is set or not', (_who, remoteAddress, headers) => {
    for (const set of [null, token]) {
      expect(mayChange({ remoteAddress, headers }, set)).toMatchObject({ kind: 'granted', how: 'loopback' })
    }
  })

  it.each<Row>([
    ['a program on another machine', '10.0.0.7', { host: '10.0.0.1:8081' }],
    ['one over IPv6', 'fd00::7', { host: '[fd00::1]:8081' }],
    ['one over IPv4 on a socket for both', '::ffff:10.0.0.7', { host: '10.0.0.1' }],
    ['one whose address only looks like it', '128.127.0.1', { host: '127.0.0.1' }],
    ['one whose connection is gone already', undefined, { host: '127.0.0.1' }],
    ['a page whose name was rebound to this machine', '127.0.0.1', { host: 'evil.example' }],
    ['a page of another site, by its Origin', '127.0.0.1', { host: 'localhost', origin: 'http://evil.example' }],
    ['a page of another port', '127.0.0.1', { host: 'localhost:8081', origin: 'http://localhost:3000' }],
    ['a page that has no origin to tell', '127.0.0.1', { host: 'localhost', origin: 'null' }],
    ['a page of another site, by what is said of it', '127.0.0.1', { 'sec-fetch-site': 'cross-site' }],
    ['a page of a sibling site', '127.0.0.1', { 'sec-fetch-site': 'same-site' }],
    ['whoever a proxy here passes on', '127.0.0.1', { 'x-forwarded-for': '203.0.113.9' }],
    ['the same, by no more than where it was', '127.0.0.1', { 'x-forwarded-host': 'proxy.example' }],
    ['the same, in the standard’s words', '127.0.0.1', { forwarded: 'for=203.0.113.9' }],
    ['the same, in nginx’s', '127.0.0.1', { 'x-real-ip': '203.0.113.9' }],
    ['the same, by its trace', '127.0.0.1', { via: '1.1 evenkeel' }],
  ])('%s may not: 403, which says both ways', (_who, remoteAddress, headers) => {
    for (const set of [null, token]) {
      const answer = mayChange({ remoteAddress, headers }, set)
      expect(answer).toMatchObject({ kind: 'refused', status: 403 })
      if (answer.kind === 'refused') expect(answer.why).toMatch(/^[A-Z].*\. Elsewhere, send admin\.token/)
    }
  })

  it('who is refused elsewhere is told that loopback would do, and whether a token is set', () => {
    const why = (set: string | null) => {
      const answer = mayChange({ remoteAddress: '10.0.0.7', headers: { host: '10.0.0.1' } }, set)
      return answer.kind === 'refused' ? answer.why : ''
    }
    expect(why(token)).toBe(
      'Without a token only callers on the loopback address may change something. Elsewhere, send admin.token as `Authorization: Bearer …`.',
    )
    expect(why(null)).toContain('admin.token, once one is set, as')
  })
})

describe('with the right token', () => {
  it.each<Row>([
    ['from another machine', '10.0.0.7', { host: 'proxy.example:8081' }],
    ['from this one', '127.0.0.1', { host: 'localhost' }],
    ['passed on by a proxy', '127.0.0.1', { 'x-forwarded-for': '203.0.113.9', via: '1.1 nginx' }],
  ])('anybody may: %s', (_who, remoteAddress, headers) => {
    const caller = { remoteAddress, headers: { ...headers, ...bearer(token) } }
    expect(mayChange(caller, token)).toEqual({ kind: 'granted', how: 'token', from: remoteAddress })
  })

  it('the word Bearer is in any case, and blanks around the token are none of it', () => {
    for (const authorization of [`bearer ${token}`, `BEARER   ${token} `]) {
      expect(mayChange({ remoteAddress: '10.0.0.7', headers: { authorization } }, token).kind).toBe('granted')
    }
  })
})

describe('with a wrong token', () => {
  it.each([
    ['another one', `Bearer ${token.toUpperCase()}`],
    ['the beginning of it', `Bearer ${token.slice(0, -1)}`],
    ['more than it', `Bearer ${token}x`],
    ['two of them', `Bearer ${token} ${token}`],
    ['none', 'Bearer '],
    ['only the token', token],
    ['another scheme', `Basic ${Buffer.from(`anna:${token}`).toString('base64')}`],
    ['nothing', ''],
    ['a very long one', `Bearer ${'x'.repeat(8_000)}`],
    ['the text null', 'Bearer null'],
  ])('nobody may, not even on this machine: %s', (_what, authorization) => {
    for (const set of [token, null]) {
      for (const remoteAddress of ['127.0.0.1', '10.0.0.7']) {
        const answer = mayChange({ remoteAddress, headers: { host: 'localhost', authorization } }, set)
        expect(answer).toMatchObject({ kind: 'refused', status: 401, from: remoteAddress })
        expect(JSON.stringify(answer)).not.toContain(token)
      }
    }
  })

  it('who sends one where none is set hears that', () => {
    const answer = mayChange({ remoteAddress: '127.0.0.1', headers: bearer(token) }, null)
    expect(answer).toMatchObject({ status: 401, why: expect.stringContaining('has no admin.token') })
  })
})

describe('where a caller comes from', () => {
  it.each([
    ['10.0.0.7', '10.0.0.7'],
    ['::ffff:10.0.0.7', '10.0.0.7'],
    ['fd00::7', 'fd00::7'],
    [undefined, 'unknown'],
  ])('%s is told as %s', (remoteAddress, from) => {
    expect(mayChange({ remoteAddress, headers: {} }, null).from).toBe(from)
    expect(mayChange({ remoteAddress, headers: bearer(token) }, token).from).toBe(from)
  })
})
