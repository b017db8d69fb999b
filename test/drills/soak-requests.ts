/** What do the clients of the soak ask for, and what may become of it? Every request knows the answer that is right. */

import type { Reply } from './soak-reply.ts'
import { type EvilWay, evilWays, idHeader, knownBody, mostBytes, poison, receipt } from './soak-words.ts'

/** `sick`: instances that behave, but that one of them is down every other second. */
export type ServiceName = 'good' | 'evil' | 'sick'

export interface Ask {
  /** For the counts. */
  readonly kind: string
  readonly service: ServiceName
  readonly head: string
  /** Sent behind the head, piece by piece. */
  readonly body: readonly Buffer[]
  readonly isHead: boolean
  /** The answer that is right; null: whatever comes, a whole 200 is not. */
  readonly right: { readonly status: number; readonly body: Buffer } | null
}

export type Random = () => number

const nothing = Buffer.alloc(0)
let lastId = 0

/** One of these, by weight. */
export function oneOf<T>(random: Random, choices: readonly (readonly [number, T])[]): T {
  let at = random() * choices.reduce((sum, [weight]) => sum + weight, 0)
  for (const [weight, choice] of choices) {
    at -= weight
    if (at < 0) return choice
  }
  throw new RangeError('nothing to choose from')
}

export function upTo(random: Random, most: number): number {
  return Math.floor(random() * (most + 1))
}

/** A GET or HEAD whose answer is known to the byte. */
export function download(random: Random, service: ServiceName, bytes = upTo(random, 4_000)): Ask {
  const seed = upTo(random, mostBytes)
  const way = oneOf(random, [
    [70, ''],
    [20, '/c'],
    [5, '/h'],
    [5, '/ch'],
  ])
  const isHead = way === '' && random() < 0.1
  const kind = isHead ? 'HEAD' : way.includes('c') ? 'GET chunked' : bytes > 100_000 ? 'GET large' : 'GET'
  return {
    kind,
    service,
    head: headOf(isHead ? 'HEAD' : 'GET', `/${service}/b/${seed}/${bytes}${way}`),
    body: [],
    isHead,
    right: { status: 200, body: isHead ? nothing : knownBody(seed, bytes) },
  }
}

/** An answer without a body. */
export function bare(random: Random, service: ServiceName): Ask {
  const status = random() < 0.5 ? 204 : 304
  const head = headOf('GET', `/${service}/status/${status}`)
  return { kind: `GET ${status}`, service, head, body: [], isHead: false, right: { status, body: nothing } }
}

/** A POST whose bytes the instance compares with those that it knows. */
export function upload(random: Random, service: ServiceName, bytes = upTo(random, 20_000)): Ask {
  const seed = upTo(random, mostBytes)
  const isChunked = random() < 0.4
  const pieces = split(random, knownBody(seed, bytes))
  const framing = isChunked ? 'Transfer-Encoding: chunked\r\n' : `Content-Length: ${bytes}\r\n`
  const expect = random() < 0.05 ? 'Expect: 100-continue\r\n' : ''
  return {
    kind: isChunked ? 'POST chunked' : 'POST',
    service,
    head: headOf('POST', `/${service}/d/${seed}/${bytes}`, framing + expect),
    body: isChunked ? [...pieces.map(chunk), Buffer.from('0\r\n\r\n')] : pieces,
    isHead: false,
    right: { status: 200, body: Buffer.from(receipt(seed, bytes)) },
  }
}

/** A request that an instance is told to answer badly. */
export function provocation(random: Random): Ask {
  const all = Object.keys(evilWays) as EvilWay[]
  const way = oneOf(
    random,
    all.map((each) => [each === 'hang' ? 0.05 : 1, each] as const),
  )
  const seed = upTo(random, mostBytes)
  const bytes = 1 + upTo(random, 5_000)
  const isEarly = way.startsWith('early-')
  const sent = isEarly ? split(random, knownBody(seed, 50_000)) : []
  return {
    kind: way,
    service: 'evil',
    head: headOf(
      isEarly ? 'POST' : 'GET',
      `/evil/e/${way}/${seed}/${bytes}`,
      isEarly ? 'Content-Length: 50000\r\n' : '',
    ),
    body: sent,
    isHead: false,
    right: evilWays[way] ? { status: 200, body: knownBody(seed, bytes) } : null,
  }
}

/**
 * What became of it: `good`, an honest `error` of the proxy, a `cut`; or a fault that must never be, in words.
 * A good service has no excuse; of the others anything may come, but nothing that looks whole and is not right.
 */
export function verdict(
  { service, kind, isHead, right }: Ask,
  reply: Reply,
): 'good' | 'error' | 'cut' | { fault: string } {
  const told = (what: string) => ({ fault: `${service} ${kind}: ${what}` })
  if (reply.kind === 'stuck') return told('no answer, and no end')
  if (reply.kind === 'malformed') return told(`malformed answer: ${reply.why}`)
  if (reply.kind === 'cut') return service === 'good' ? told(`cut (${reply.why}, status ${reply.status})`) : 'cut'
  const { status, head, body } = reply
  if (right !== null && status === right.status && body.equals(right.body)) return 'good'
  const isOwn = /^proxy-status:/im.test(head) || (isHead && status >= 500)
  if (service !== 'good' && isOwn && status >= 500) return 'error'
  const differs = right === null ? 0 : body.findIndex((byte, at) => byte !== right.body[at])
  const wanted = right === null ? 'none' : `${right.status}, ${right.body.length} bytes; they differ from ${differs}`
  const isPoison = poison.endsWith(body.toString('latin1')) && body.length > 0
  return told(
    `${isPoison ? "another's answer" : 'a wrong answer'}: ${status}, ${body.length} bytes (right: ${wanted}), ${JSON.stringify(head.slice(0, 300))}`,
  )
}

export function headOf(method: string, target: string, fields = ''): string {
  lastId++
  return `${method} ${target} HTTP/1.1\r\nHost: soak\r\n${idHeader}: ${lastId}\r\n${fields}\r\n`
}

export function chunk(piece: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from('\r\n')])
}

function split(random: Random, body: Buffer): Buffer[] {
  const at = upTo(random, body.length)
  return [body.subarray(0, at), body.subarray(at)].filter((piece) => piece.length > 0)
}
