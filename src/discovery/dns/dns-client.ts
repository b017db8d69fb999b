/**
 * How is a resolver asked? A question over UDP, sent twice, from a port that nobody can guess; and over TCP when the answer
 * may not be all there is, on a connection that serves one question after another. Each has a deadline. When a resolver fails the next one is asked, and
 * stays the first to be asked.
 *
 * An answer of several records is always asked for over TCP: Consul, for one, leaves out over UDP what it finds too many,
 * and does not say so unless it is told to (`enable_truncate`). docs/decisions/033-dns.md
 */

import { randomInt } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { connect, type Socket } from 'node:net'
import { type Spare, spareConnections } from './dns-connections.ts'
import type { DnsMishap } from './dns-failure.ts'
import { type DnsMessage, decodeMessage, encodeQuery, type RecordType, typeCodes } from './dns-message.ts'
import type { Resolver } from './dns-resolvers.ts'

export interface Question {
  /** One that `isDnsName` holds for. */
  readonly name: string
  readonly type: RecordType
}

export interface DnsDeadlines {
  /** Until a resolver's answer, for UDP and TCP each. */
  readonly deadlineMs: number
  /** After which a question over UDP is sent once more. */
  readonly resendMs: number
}

export type DnsReply =
  /** `rcode` is 0, or 3: there is no such name. */
  | { readonly kind: 'answered'; readonly message: DnsMessage }
  /** Of each resolver that was asked, in this order. */
  | { readonly kind: 'failed'; readonly failures: readonly DnsRefusal[] }

export interface DnsRefusal {
  readonly resolver: string
  readonly mishap: DnsMishap
}

export interface DnsClient {
  /** Asks until one resolver answers. Never rejects; aborting `signal` closes the socket and fails. */
  ask(question: Question, signal: AbortSignal): Promise<DnsReply>
  /** Closes the connections that are kept for the next question. */
  close(): void
}

const MAX_REMEMBERED = 10_000

type Reply =
  | { readonly kind: 'heard'; readonly message: DnsMessage }
  | { readonly kind: 'failed'; readonly mishap: DnsMishap }

/** Asks these resolvers, the first one first. */
export function dnsClient(resolvers: readonly Resolver[], deadlines: DnsDeadlines): DnsClient {
  let first = 0
  /** Questions whose answer was long the last time. */
  const long = new Set<string>()
  const spare = spareConnections()

  async function askOne(resolver: Resolver, question: Question, signal: AbortSignal): Promise<Reply> {
    const key = `${question.type} ${question.name}`
    let overUdp: Reply | null = null
    if (!long.has(key)) {
      overUdp = await askUdp(resolver, question, deadlines, signal)
      if (overUdp.kind === 'failed' || !mayLack(overUdp.message)) return overUdp
    }
    const overTcp = await askTcp(resolver, question, deadlines.deadlineMs, signal, spare)
    if (overTcp.kind === 'heard') {
      if (!mayLack(overTcp.message)) long.delete(key)
      else if (long.size < MAX_REMEMBERED) long.add(key)
      return overTcp
    }
    long.delete(key)
    const { mishap } = overTcp
    if (signal.aborted || mishap.kind === 'rcode' || mishap.kind === 'malformed') return overTcp
    // Nobody listens there at all: what it says over UDP must be all then, unless it says itself that it is not.
    const hasNoTcp = mishap.kind === 'network' && mishap.code === 'ECONNREFUSED'
    const other = overUdp ?? (await askUdp(resolver, question, deadlines, signal))
    if (other.kind === 'failed' || !mayLack(other.message) || (hasNoTcp && !other.message.truncated)) return other
    const why = mishap.kind === 'network' ? mishap.message : 'it did not answer in time'
    return { kind: 'failed', mishap: { kind: 'cut-off', why } }
  }

  return {
    close: spare.close,
    async ask(question, signal) {
      const failures: DnsRefusal[] = []
      const from = first
      for (let step = 0; step < resolvers.length && !signal.aborted; step += 1) {
        const at = (from + step) % resolvers.length
        const resolver = resolvers[at] as Resolver
        const reply = judged(await askOne(resolver, question, signal), question)
        if (reply.kind === 'heard') {
          if (step > 0) first = at
          return { kind: 'answered', message: reply.message }
        }
        failures.push({ resolver: placeOf(resolver), mishap: reply.mishap })
      }
      if (failures.length === 0) failures.push({ resolver: '', mishap: { kind: 'no-resolver' } })
      return { kind: 'failed', failures }
    },
  }
}

function mayLack({ truncated, answers, additional }: DnsMessage): boolean {
  // What is missing among the additional records is never marked (RFC 2181 section 9).
  return truncated || answers.length > 1 || additional.length > 1
}

/** That there is no such name is an answer; every other refusal is a failure, and so is the advice to ask elsewhere. */
function judged(reply: Reply, { type }: Question): Reply {
  if (reply.kind === 'failed') return reply
  const { rcode, truncated, knows, answers } = reply.message
  if (rcode === 3) return reply
  if (rcode !== 0) return { kind: 'failed', mishap: { kind: 'rcode', rcode } }
  // Over TCP, that is: Consul cuts there, too, what is more than 64 KiB.
  if (truncated) return { kind: 'failed', mishap: { kind: 'cut-off', why: null } }
  if (knows || answers.some((record) => record.type === type)) return reply
  return { kind: 'failed', mishap: { kind: 'referral' } }
}

function placeOf({ address, port }: Resolver): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`
}

/** null: not an answer to this question, whoever sent it. */
function heard(bytes: Buffer, id: number, { name, type }: Question): Reply | null {
  if (bytes.length < 2 || bytes.readUInt16BE(0) !== id) return null
  const decoded = decodeMessage(bytes)
  if (decoded.kind === 'malformed') return { kind: 'failed', mishap: decoded }
  const { question } = decoded.message
  const isOurs = question?.name === name.toLowerCase().replace(/\.$/, '') && question.type === typeCodes[type]
  // A server that could not read the question may leave it out.
  if (!isOurs && !(question === null && decoded.message.rcode !== 0)) return null
  return { kind: 'heard', message: decoded.message }
}

const givenUp: Reply = { kind: 'failed', mishap: { kind: 'network', code: 'ABORT_ERR', message: 'given up' } }

function broken({ code = '', message }: NodeJS.ErrnoException): Reply {
  return { kind: 'failed', mishap: { kind: 'network', code, message } }
}

/** Runs `begin`, whose `settle` counts once, until it settles, the time is over or `signal` is aborted; then ends it. */
function within(
  deadlineMs: number,
  signal: AbortSignal,
  begin: (settle: (reply: Reply) => void) => () => void,
): Promise<Reply> {
  return new Promise((resolve) => {
    let end = () => {}
    let isOver = false
    const settle = (reply: Reply) => {
      if (isOver) return
      isOver = true
      clearTimeout(deadline)
      signal.removeEventListener('abort', abort)
      end()
      resolve(reply)
    }
    const abort = () => settle(givenUp)
    const deadline = setTimeout(
      () => settle({ kind: 'failed', mishap: { kind: 'deadline', afterMs: deadlineMs } }),
      deadlineMs,
    )
    signal.addEventListener('abort', abort, { once: true })
    if (signal.aborted) return abort()
    end = begin(settle)
    if (isOver) end()
  })
}

function askUdp(resolver: Resolver, question: Question, deadlines: DnsDeadlines, signal: AbortSignal): Promise<Reply> {
  const id = randomInt(0x10000)
  const query = encodeQuery(id, question.name, question.type)
  return within(deadlines.deadlineMs, signal, (settle) => {
    const socket = createSocket(resolver.address.includes(':') ? 'udp6' : 'udp4')
    let resend: NodeJS.Timeout | null = null
    const send = () => socket.send(query, (error) => error !== null && settle(broken(error)))
    socket.on('error', (error) => settle(broken(error)))
    socket.on('message', (bytes) => {
      const reply = heard(bytes, id, question)
      if (reply !== null) settle(reply)
    })
    // Connected, it takes datagrams of the resolver only, and hears when nobody listens there.
    socket.connect(resolver.port, resolver.address, (error?: Error) => {
      if (error != null) return settle(broken(error))
      send()
      resend = setTimeout(send, deadlines.resendMs)
    })
    return () => {
      if (resend !== null) clearTimeout(resend)
      socket.close()
    }
  })
}

async function askTcp(
  resolver: Resolver,
  question: Question,
  deadlineMs: number,
  signal: AbortSignal,
  spare: Spare,
): Promise<Reply> {
  const kept = spare.take(placeOf(resolver))
  if (kept !== null) {
    const reply = await askOn(kept, resolver, question, deadlineMs, signal, spare)
    // The resolver may have closed it in the very moment.
    if (reply.kind === 'heard' || reply.mishap.kind !== 'network' || signal.aborted) return reply
  }
  return askOn(connect(resolver.port, resolver.address), resolver, question, deadlineMs, signal, spare)
}

function askOn(
  socket: Socket,
  resolver: Resolver,
  question: Question,
  deadlineMs: number,
  signal: AbortSignal,
  spare: Spare,
): Promise<Reply> {
  const id = randomInt(0x10000)
  const query = encodeQuery(id, question.name, question.type)
  // An error that nobody listens for would end the process, also where nothing is begun any more.
  socket.on('error', () => {})
  if (signal.aborted) socket.destroy()
  return within(deadlineMs, signal, (settle) => {
    // RFC 1035 section 4.2.2: two bytes of length before each message, so that no answer is larger than 64 KiB.
    let received = Buffer.alloc(0)
    let isReusable = false
    socket.on('error', (error) => settle(broken(error)))
    socket.on('close', () =>
      settle(broken(Object.assign(new Error('the connection was closed'), { code: 'ECONNRESET' }))),
    )
    socket.on('data', (piece: Buffer) => {
      received = Buffer.concat([received, piece])
      while (received.length >= 2 && received.length >= 2 + received.readUInt16BE(0)) {
        const end = 2 + received.readUInt16BE(0)
        const reply = heard(received.subarray(2, end), id, question)
        received = received.subarray(end)
        if (reply === null) continue
        isReusable = reply.kind === 'heard' && received.length === 0
        settle(reply)
        return
      }
    })
    socket.write(Buffer.concat([Buffer.from([query.length >> 8, query.length & 0xff]), query]))
    return () => (isReusable ? spare.keep(placeOf(resolver), socket) : void socket.destroy())
  })
}
