/** Did an engine shield its client from a hostile origin? Pure: a transcript in, the first thing that is wrong out. */

import { responseHeaders, trailersOf } from '../../src/proxy/headers.ts'
import { header } from '../contract/messages.ts'
import { grouped, pairsOf } from './forwarded.ts'
import type { OriginCase } from './origin-cases.ts'
import type { OriginTranscript } from './play-origins.ts'
import type { Fields } from './reading.ts'
import { type ResponseReading, readAnswer } from './response-reading.ts'
import { type ClientReading, type FinalAnswer, readByClient } from './seen-by-client.ts'
import type { Item } from './world.ts'

/** What one engine did with one case; null when nothing is wrong. */
export function judgeOrigins(input: OriginCase, seen: OriginTranscript): string | null {
  if (seen.ambiguous !== null) return `what the origin got is ambiguous: ${seen.ambiguous}`
  if (seen.asked > 1 && !input.question.replayable) return 'a request that must not be repeated was sent twice'
  const reading = readingOf(input, seen.engine === 'http-proxy')
  let read: ClientReading
  try {
    read = readByClient(seen.client.bytes, seen.items, endedWell(seen))
  } catch (error) {
    return `what the client got is ambiguous (${messageOf(error)}): ${quote(seen.client.bytes)}`
  }
  if (seen.trouble !== null) return seen.trouble
  const sameClient = seen.secondSent && seen.secondClient === null
  if (read.finals.length > (sameClient ? 2 : 1)) return `${read.finals.length} answers for one request`
  return (
    firstFault(input, reading, read.finals[0], seen) ??
    restFault(reading, read) ??
    secondFault(input, seen, sameClient ? read.finals[1] : undefined) ??
    reuseFault(reading, seen, seen.engine === 'http-proxy')
  )
}

/** What is not alike in what two engines passed on; null when nothing is. */
export function compareOrigins(input: OriginCase, reference: OriginTranscript, other: OriginTranscript): string | null {
  const [expected, actual] = [relayedBy(reference), relayedBy(other)]
  if (expected === null || actual === null || input.ending.includes('reset')) return null
  return expected === actual ? null : `the answer is read in two ways:\n${expected}\n-- by ${other.engine}:\n${actual}`
}

export function readingOf({ question, pieces, late, ending }: OriginCase, lax: boolean): ResponseReading {
  return readAnswer([...pieces, ...late].join(''), {
    ...question,
    ended: ending === 'end' || ending === 'late end',
    lax,
  })
}

/**
 * libuv takes a reset that arrives together with the last bytes for an ordinary end: a proxy that resets at once cannot
 * help that. This one does.
 */
function endedWell({ engine, client, items }: OriginTranscript): boolean {
  return client.endedWell && (engine !== 'http-proxy' || items[0]?.outcome === 'responded')
}

function relayedBy(seen: OriginTranscript): string | null {
  const final = readByClient(seen.client.bytes, seen.items, endedWell(seen)).finals[0]
  if (final === undefined || final.own || isGood(final)) return null
  return [final.status, ...endToEnd(final.headers, false), '', final.body].join('\n')
}

function firstFault(
  input: OriginCase,
  reading: ResponseReading,
  first: FinalAnswer | undefined,
  seen: OriginTranscript,
): string | null {
  const wellMeant =
    reading.kind === 'complete' && reading.odd === null && input.trigger === 'request' && seen.asked === 1
  const mustPass = wellMeant && !input.ending.includes('reset') && input.ending !== 'client leaves'
  if (first === undefined) return mustPass ? 'a good answer was not passed on' : null
  if (first.own) {
    if (isOverdue(input, first)) return null
    if (mustPass) return `a good answer became a ${first.status}: ${first.body}`
    return first.status === 502 || first.status === 504 ? null : `the proxy answers ${first.status}`
  }
  if (isGood(first)) return seen.asked > 1 ? null : 'the answer to another request'
  if (reading.kind === 'malformed') return `a malformed answer was passed on (${reading.why})`
  if (reading.kind === 'incomplete') return 'an incomplete answer was passed on as if it were whole'
  return alterationOf(reading, first)
}

/** What is different about an answer that was passed on; null when it is as it was sent. */
function alterationOf(
  reading: Extract<ResponseReading, { kind: 'complete' | 'switched' }>,
  first: FinalAnswer,
): string | null {
  if (first.status !== reading.status) return `its status was ${reading.status}, not ${first.status}`
  if (first.body !== reading.body) return `its body was ${quote(reading.body)}, not ${quote(first.body)}`
  if (first.interims.length > reading.interims) return 'interim answers that nobody sent'
  const pairs = pairsOf(responseHeaders(reading.headers.flat(), 'made'))
  const hasDate = header(reading, 'date') !== undefined
  const [expected, actual] = [endToEnd(pairs, hasDate), endToEnd(first.headers, hasDate)]
  if (expected.join('\n') !== actual.join('\n')) {
    return `its headers were\n${expected.join('\n')}\n-- not\n${actual.join('\n')}`
  }
  const length = header(first, 'content-length')
  if (first.body === '' && length !== undefined && length !== '0' && length !== header(reading, 'content-length')) {
    return `its Content-Length became ${length}`
  }
  const passing = header(first, 'transfer-encoding') === 'chunked' ? trailersOf(reading.trailers.flat()) : []
  const [sent, arrived] = [grouped(pairsOf(passing)), grouped(first.trailers)]
  return sent.join('\n') === arrived.join('\n')
    ? null
    : `its trailers were ${sent.join(' | ')}, not ${arrived.join(' | ')}`
}

const ofThisHop = new Set(['connection', 'keep-alive', 'transfer-encoding', 'content-length', 'upgrade', 'trailer'])

function endToEnd(fields: Fields, withDate: boolean): string[] {
  return grouped(
    fields.filter(([name]) => !ofThisHop.has(name.toLowerCase()) && (withDate || name.toLowerCase() !== 'date')),
  )
}

/** Bytes behind the answers: none, but for those of another protocol. */
function restFault(reading: ResponseReading, { finals, rest, switched }: ClientReading): string | null {
  if (switched) {
    if (reading.kind === 'switched' && reading.extra.startsWith(rest)) return null
    return `in the tunnel came ${quote(rest)}`
  }
  return finals.length > 0 && rest !== '' ? `bytes behind the answer: ${quote(rest)}` : null
}

/** Whatever the answer before was, this one belongs to its request. */
function secondFault(
  input: OriginCase,
  seen: OriginTranscript,
  sameClientSecond: FinalAnswer | undefined,
): string | null {
  const { secondClient } = seen
  if (secondClient === null) {
    return sameClientSecond === undefined || isGood(sameClientSecond) || isOverdue(input, sameClientSecond)
      ? null
      : `the second answer is ${told(sameClientSecond)}`
  }
  const asked = [{ request: { method: 'GET' } }] as unknown as readonly Item[]
  try {
    const { finals, rest } = readByClient(secondClient.bytes, asked, secondClient.endedWell)
    const [final] = finals
    if (final !== undefined && finals.length === 1 && (isGood(final) || isOverdue(input, final)) && rest === '')
      return null
  } catch (error) {
    return `the second answer is ambiguous (${messageOf(error)}): ${quote(secondClient.bytes)}`
  }
  return `the second client got ${quote(secondClient.bytes)}`
}

/** @param lax empty lines between two answers mean nothing */
function reuseFault(reading: ResponseReading, { reused }: OriginTranscript, lax: boolean): string | null {
  if (!reused) return null
  if (reading.kind !== 'complete') return `a connection is used again after an answer that is ${reading.kind}`
  if (lax ? /[^\r\n]/.test(reading.extra) : reading.extra !== '')
    return `a connection is used again with bytes left over: ${quote(reading.extra)}`
  const options = reading.headers.filter(([name]) => name.toLowerCase() === 'connection').map(([, value]) => value)
  const last = options
    .join(',')
    .toLowerCase()
    .split(/[ \t]*,[ \t]*/)
    .includes('close')
  return last || reading.untilClose ? 'a connection is used again that its endpoint wants closed' : null
}

/** Where a stall is played, deadlines are short, and a busy machine may miss them. */
function isOverdue({ ending }: OriginCase, { own, status }: FinalAnswer): boolean {
  return ending === 'stall' && own && status === 504
}

function isGood(final: FinalAnswer): boolean {
  return final.status === 200 && header(final, 'x-good') === 'yes'
}

function told({ start, body }: FinalAnswer): string {
  return `${start} ${quote(body)}`
}

function quote(text: string): string {
  return JSON.stringify(text.slice(0, 300))
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
