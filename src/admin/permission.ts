/**
 * Who may change something?
 *
 * Whoever sends the admin token, from wherever; and, without one, whoever is on the proxy's own machine and is not
 * passed on from elsewhere, by a proxy or by a page in a browser. docs/decisions/024-by-hand.md has the reasons.
 */

import { createHash, timingSafeEqual } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import { isLocalHost, isLoopback } from './host.ts'

export interface Caller {
  readonly remoteAddress: string | undefined
  readonly headers: IncomingHttpHeaders
}

export interface Granted {
  readonly kind: 'granted'
  /** What made it so. */
  readonly how: 'loopback' | 'token'
  /** The caller's address, for the log and for other people to read. */
  readonly from: string
}

export type Permission =
  | Granted
  | {
      readonly kind: 'refused'
      /** 401: what was sent to prove it is wrong. 403: nothing was. */
      readonly status: 401 | 403
      readonly why: string
      readonly from: string
    }

/** @param token `admin.token`; null: none is set */
export function mayChange({ remoteAddress, headers }: Caller, token: string | null): Permission {
  const from = (remoteAddress ?? 'unknown').replace(/^::ffff:/i, '')
  const { authorization } = headers
  if (authorization !== undefined) {
    // A token cannot come from a page of another site, and whoever passes on a request with it means to.
    if (token !== null && hasToken(authorization, token)) return { kind: 'granted', how: 'token', from }
    return { kind: 'refused', status: 401, why: wrongToken(token), from }
  }
  const why = notOnItsOwn(remoteAddress ?? '', headers)
  if (why === null) return { kind: 'granted', how: 'loopback', from }
  const cure = token === null ? ', once one is set,' : ''
  const both = `Elsewhere, send admin.token${cure} as \`Authorization: Bearer …\`.`
  return { kind: 'refused', status: 403, why: `${why} ${both}`, from }
}

/** True when somebody else than the connection's other end asks: a proxy says that it passes this on. */
export function isPassedOn(headers: IncomingHttpHeaders): boolean {
  return Object.keys(headers).some((name) => /^(forwarded|x-forwarded-.*|x-real-ip|via)$/.test(name))
}

/** Digests are equally long whatever was sent, so neither the time nor an error tells anything of the token. */
function hasToken(authorization: string, token: string): boolean {
  const [, sent] = /^bearer +(\S+) *$/i.exec(authorization) ?? []
  return sent !== undefined && timingSafeEqual(digest(sent), digest(token))
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}

function wrongToken(token: string | null): string {
  return token === null
    ? 'This proxy has no admin.token, so no Authorization is right. Without any, callers on its own machine may change something.'
    : 'This is not `Authorization: Bearer` with the admin.token of this proxy. Without any, callers on its own machine may change something.'
}

/** Why a caller without a token may change nothing; null when it is a program of the proxy's own machine. */
function notOnItsOwn(remoteAddress: string, headers: IncomingHttpHeaders): string | null {
  if (!isLocalHost(headers.host)) return 'Only localhost or an IP address may be the Host of what changes something.'
  if (!isLoopback(remoteAddress)) return 'Without a token only callers on the loopback address may change something.'
  // Then the caller is another program on this machine, and the one who asks may be anybody.
  if (isPassedOn(headers)) {
    return 'What changes something is not for requests that somebody passes on.'
  }
  // A page of another site can make a browser send a POST, but not without one of these telling.
  const site = headers['sec-fetch-site']
  const isForeign = site !== undefined && site !== 'same-origin' && site !== 'none'
  const { origin } = headers
  const isOwn = origin === undefined || origin === `http://${headers.host}`
  return isForeign || !isOwn ? 'A page of another site may change nothing here.' : null
}
