/** Did an engine do right by its origin and by its client? Pure: a transcript in, the first thing that is wrong out. */

import { trailersOf } from '../../src/proxy/headers.ts'
import { routeOf } from '../../src/proxy/request-path.ts'
import { header } from '../contract/messages.ts'
import { type Forwarded, grouped, meaningOf, pairsOf } from './forwarded.ts'
import type { RequestTranscript } from './play-requests.ts'
import { type RequestReading, readRequests, values } from './reading.ts'
import type { RequestCase } from './request-cases.ts'
import { readByClient } from './seen-by-client.ts'

/** What one engine did with one case; null when nothing is wrong. */
export function judgeRequests(input: RequestCase, seen: RequestTranscript): string | null {
  return seen.trouble ?? upstreamFault(input, seen) ?? clientFault(input, seen)
}

/** What is not alike in two engines' readings of the same bytes; null when nothing is. */
export function compareRequests(reference: RequestTranscript, other: RequestTranscript): string | null {
  for (const [index, request] of other.forwarded.entries()) {
    const same = reference.forwarded[index] ?? null
    if (same !== null && request !== null && meaningOf(same) !== meaningOf(request)) {
      return `request ${index} is read in two ways:\n${meaningOf(same)}\n-- by ${other.engine}:\n${meaningOf(request)}`
    }
  }
  return null
}

function upstreamFault(input: RequestCase, seen: RequestTranscript): string | null {
  for (const { requests, ambiguous, rest, switched, bytes } of seen.upstream) {
    if (ambiguous !== null)
      return `what the origin got is ambiguous (${ambiguous}): ${JSON.stringify(bytes.slice(0, 600))}`
    if (!input.upstream.keepAlive && requests.length > 1) return 'two requests on a connection for one'
    if (!input.upstream.keepAlive && requests.length === 1 && rest !== '' && !switched) {
      return `bytes behind the only request: ${JSON.stringify(rest.slice(0, 200))}`
    }
  }
  const sent = input.pieces.join('')
  const readings = readRequests(sent, seen.engine === 'http-proxy')
  const attempted = seen.items.flatMap(({ attempts }, index) => (attempts > 0 ? [index] : []))
  const { forwarded } = seen
  if (forwarded.length > attempted.length)
    return `${forwarded.length} requests at the origin for ${attempted.length} of the client's`
  for (const [index, request] of forwarded.entries()) {
    const place = attempted[index] as number
    if (request === null) continue
    const fault = alterationOf(readings[place], request)
    if (fault !== null) return `request ${place} was forwarded, but ${fault}`
  }
  return tunnelFault(seen, readings, sent)
}

/** What is different about a forwarded request; null when it is as it was sent. */
function alterationOf(reading: RequestReading | undefined, request: Forwarded): string | null {
  if (reading === undefined) return 'nobody sent it'
  if (reading.kind === 'ambiguous') return `it is ambiguous: ${reading.why}`
  if (reading.kind === 'incomplete') return 'it is not whole'
  const { head, body, trailers } = reading
  if (request.method !== head.method) return `its method was ${head.method}`
  const route = routeOf(head.target, '', () => true)
  if (route.kind === 'invalid') return `its target leads nowhere: ${head.target}`
  if (request.target !== route.target) return `its target was ${head.target}`
  if (request.switching && !head.switching) return 'it did not ask to switch protocols'
  const [host] = values(head.headers, 'host')
  if (host !== undefined && values(request.headers, 'host')[0] !== host) return `its Host was ${host}`
  if (request.body !== body)
    return `its body was ${JSON.stringify(body.slice(0, 200))}, not ${JSON.stringify(request.body.slice(0, 200))}`
  const sent = new Map(grouped(head.headers).map((line) => [line, true]))
  const extra = grouped(request.headers).filter((line) => !sent.has(line) && !addedByProxy.test(line))
  if (extra.length > 0) return `it had no such fields: ${extra.join(' | ')}`
  const arrived = grouped(request.headers)
  const named = new Set(
    values(head.headers, 'connection')
      .join(',')
      .toLowerCase()
      .split(/[ \t]*,[ \t]*/),
  )
  const lost = grouped(head.headers).filter((line) => {
    // To a CGI-like endpoint `Content_Length` is Content-Length: such names may go as well.
    const name = line.slice(0, line.indexOf(':'))
    return !named.has(name) && !mayBeRemoved.test(name.replaceAll('_', '-')) && !arrived.includes(line)
  })
  if (lost.length > 0) return `it lost ${lost.join(' | ')}`
  const [expected, actual] = [grouped(pairsOf(trailersOf(trailers.flat()))), grouped(request.trailers)]
  return expected.join('\n') === actual.join('\n')
    ? null
    : `its trailers were ${expected.join(' | ')}, not ${actual.join(' | ')}`
}

const addedByProxy =
  /^(?:connection|content-length|transfer-encoding|trailer|via|host|upgrade|expect|x-request-id|x-forwarded-(?:for|proto|host|port|prefix)):/
const mayBeRemoved =
  /^(?:connection|keep-alive|proxy-(?:connection|auth.*)|te|transfer-encoding|content-length|upgrade|expect|via|trailer|x-forwarded-.*|x-request-id|x-real-ip|forwarded)$/

/** Behind a switch of protocols, the origin must get what the client sent, and nothing else. */
function tunnelFault(seen: RequestTranscript, readings: readonly RequestReading[], sent: string): string | null {
  const tunnel = seen.upstream.find(({ switched }) => switched)
  if (tunnel === undefined) return null
  const request = readings.find((reading) => reading.kind === 'request' && reading.head.switching)
  if (request?.kind !== 'request') return 'a switch of protocols that nobody asked for'
  if (sent.slice(request.end).startsWith(tunnel.rest)) return null
  return `in the tunnel went ${JSON.stringify(tunnel.rest.slice(0, 200))}`
}

function clientFault(input: RequestCase, seen: RequestTranscript): string | null {
  const { bytes, endedWell } = seen.client
  let read: ReturnType<typeof readByClient>
  try {
    read = readByClient(bytes, seen.items, endedWell)
  } catch (error) {
    return `what the client got is ambiguous (${error instanceof Error ? error.message : error}): ${JSON.stringify(bytes.slice(0, 600))}`
  }
  if (read.finals.length > seen.items.length) return 'more answers than requests'
  let number = 0
  for (const [index, { status, interims, headers }] of read.finals.entries()) {
    const item = seen.items[index]
    if (item === undefined) return 'an answer to nothing'
    if (item.reply !== null && item.reply !== status)
      return `answer ${index} is ${status}, ${item.reply} is what was given`
    const odd = interims.find((interim) => interim !== 100 && interim !== 102)
    if (odd !== undefined) return `an interim ${odd} that nobody sent`
    if (interims.length > 0 && item.request?.httpVersion === '1.0') return 'an interim answer to HTTP/1.0'
    if (item.reply !== null || status === 101) continue
    if (header({ headers }, 'x-number') !== String(number++)) return `answer ${index} is the answer to another request`
  }
  if (
    input.origin === 'answers whole requests' &&
    !read.switched &&
    read.rest !== '' &&
    !input.ending.endsWith('reset')
  ) {
    if (!/^HTTP\/1\.1 1\d\d /.test(read.rest))
      return `bytes behind the last answer: ${JSON.stringify(read.rest.slice(0, 200))}`
  }
  return null
}
