/**
 * How is one connection to a server of ZooKeeper opened, used and given up? Requests are answered in their order, and many
 * may be under way. Whoever does not answer in time is taken for dead; a quiet connection is pinged, which keeps the session.
 */

import { connect } from 'node:net'
import { type FrameReader, frameReader } from './jute.ts'
import type { ZookeeperMishap } from './zookeeper-failure.ts'
import {
  codes,
  decodeAnswer,
  decodeEvent,
  decodeHeader,
  decodeHello,
  encodeHello,
  encodeRequest,
  type Ticket,
  xids,
  type ZookeeperAnswer,
  type ZookeeperRequest,
} from './zookeeper-messages.ts'

export interface Place {
  readonly address: string
  readonly port: number
}

export interface Opening {
  /** null: a new session is wanted. */
  readonly ticket: Ticket | null
  readonly timeoutMs: number
  /** See `encodeHello`. */
  readonly lastZxid: bigint
  /** `user:password`; null: nobody logs in. */
  readonly auth: string | null
  /** For the connect, and for the first answer after it. */
  readonly connectMs: number
}

export interface Hearer {
  /** What a watch was set for has happened to this node. Called in the order of the wire, between the answers. */
  onEvent(path: string): void
  /** The server knows of changes up to this one. */
  onZxid(zxid: bigint): void
  /** One of those that are called threw this. The connection has ended. */
  onBug(error: unknown): void
}

export type Opened =
  | { readonly kind: 'open'; readonly connection: ZookeeperConnection }
  /** There is no such session any more. */
  | { readonly kind: 'expired' }
  | { readonly kind: 'failed'; readonly mishap: ZookeeperMishap }

/** `lost`: the connection ended first, and nobody knows whether the request was carried out. */
export type Heard = ZookeeperAnswer | { readonly kind: 'lost' }

export interface ZookeeperConnection {
  readonly ticket: Ticket
  /** `then` is called once, in the order of the requests, and not before this returns. At most `MOST_UNDER_WAY` at once. */
  send(request: ZookeeperRequest, then: (heard: Heard) => void): void
  ask(request: ZookeeperRequest): Promise<Heard>
  /** Why it is not open any more; pending until then. */
  readonly ended: Promise<ZookeeperMishap>
  /** Ends it, and the session too if `sayGoodbye`; resolves once the socket is closed. */
  close(sayGoodbye: boolean): Promise<void>
}

export const MOST_UNDER_WAY = 1000
/** A list of 100,000 children is half of it. */
const MAX_MESSAGE_BYTES = 16 * 1024 * 1024
const GOODBYE_MS = 300
const SHORTEST_TIMEOUT_MS = 200
const LONGEST_TIMEOUT_MS = 600_000

interface UnderWay {
  readonly xid: number
  readonly kind: ZookeeperRequest['kind']
  readonly then: (heard: Heard) => void
}

/** Connects, and begins a session or goes on with one. Never rejects. @param signal gives up; no word once it is open */
export function openConnection(to: Place, opening: Opening, hearer: Hearer, signal: AbortSignal): Promise<Opened> {
  const socket = connect({ host: to.address, port: to.port, noDelay: true })
  const frames: FrameReader = frameReader(MAX_MESSAGE_BYTES)
  const underWay: UnderWay[] = []
  let xid = 0
  let mishap: ZookeeperMishap | null = null
  let isConnected = false
  /** How long an answer may take. */
  let answerMs = opening.connectMs
  let deadline: NodeJS.Timeout | null = null
  let ping: NodeJS.Timeout | null = null
  /** Tells whoever waits for the session; null: they have been told. */
  let settle: ((opened: Opened) => void) | null = null
  let tellEnd: (mishap: ZookeeperMishap) => void = () => {}
  const ended = new Promise<ZookeeperMishap>((resolve) => {
    tellEnd = resolve
  })
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()))

  function end(why: ZookeeperMishap): void {
    if (mishap !== null) return
    mishap = why
    for (const timer of [deadline, ping]) if (timer !== null) clearTimeout(timer)
    signal.removeEventListener('abort', abort)
    socket.destroy()
    settle?.({ kind: 'failed', mishap })
    settle = null
    for (const { then } of underWay.splice(0)) call(() => then({ kind: 'lost' }))
    tellEnd(mishap)
  }

  function call(listener: () => void): void {
    try {
      listener()
    } catch (error) {
      hearer.onBug(error)
      end({ kind: 'ended' })
    }
  }

  const abort = () => end({ kind: 'network', code: 'ABORT_ERR', message: 'given up' })

  /** Whoever has something to answer has so long from now on. */
  function expectAnswer(): void {
    if (deadline !== null) clearTimeout(deadline)
    deadline = null
    if (underWay.length > 0 || settle !== null) {
      deadline = setTimeout(() => end({ kind: 'deadline', afterMs: answerMs }), answerMs)
    }
  }

  function send(request: ZookeeperRequest, then: (heard: Heard) => void): void {
    if (mishap !== null) return queueMicrotask(() => then({ kind: 'lost' }))
    if (underWay.length >= MOST_UNDER_WAY) throw new Error('too many requests to ZooKeeper at once')
    const { kind } = request
    // 31 bits: below 0 they mean something else.
    if (kind !== 'ping' && kind !== 'auth') xid = (xid % 0x7fff_ffff) + 1
    const own = kind === 'ping' ? xids.ping : kind === 'auth' ? xids.auth : xid
    underWay.push({ xid: own, kind, then })
    socket.write(encodeRequest(own, request))
    if (underWay.length === 1) expectAnswer()
    ping?.refresh()
  }

  function hearHello(message: Buffer): void {
    const hello = decodeHello(message)
    if (hello.kind === 'expired') {
      settle?.(hello)
      settle = null
      return end({ kind: 'refused', code: codes.sessionExpired })
    }
    if (hello.isReadOnly) return end({ kind: 'read-only' })
    const timeoutMs = Math.min(LONGEST_TIMEOUT_MS, Math.max(SHORTEST_TIMEOUT_MS, hello.timeoutMs))
    answerMs = (timeoutMs * 2) / 3
    ping = setTimeout(() => {
      // A request that is waited for asks the same.
      if (underWay.length === 0) send({ kind: 'ping' }, () => {})
      else ping?.refresh()
    }, timeoutMs / 3)
    const connection: ZookeeperConnection = { ticket: hello.ticket, send, ask, ended, close }
    const open = (): void => {
      settle?.({ kind: 'open', connection })
      settle = null
      signal.removeEventListener('abort', abort)
      expectAnswer()
    }
    if (opening.auth === null) return open()
    send({ kind: 'auth', digest: opening.auth }, (heard) => {
      if (heard.kind === 'refused') end({ kind: 'refused', code: heard.code })
      else open()
    })
    expectAnswer()
  }

  const ask = (request: ZookeeperRequest) => new Promise<Heard>((resolve) => send(request, resolve))

  async function close(sayGoodbye: boolean): Promise<void> {
    if (sayGoodbye && mishap === null && underWay.length < MOST_UNDER_WAY) {
      const late = setTimeout(abort, GOODBYE_MS)
      await ask({ kind: 'close' })
      clearTimeout(late)
    }
    end({ kind: 'ended' })
    await closed
  }

  function hear(message: Buffer): void {
    const header = decodeHeader(message)
    if (header.zxid > 0n) call(() => hearer.onZxid(header.zxid))
    if (header.xid === xids.event) {
      const path = decodeEvent(header)
      if (path !== null) call(() => hearer.onEvent(path))
      return
    }
    const next = underWay[0]
    if (next === undefined || next.xid !== header.xid) throw new RangeError('it answers what was not asked')
    const answer = decodeAnswer(next.kind, header)
    underWay.shift()
    expectAnswer()
    call(() => next.then(answer))
  }

  return new Promise((resolve) => {
    let isBegun = false
    settle = resolve
    expectAnswer()
    if (signal.aborted) abort()
    else signal.addEventListener('abort', abort, { once: true })
    socket.on('connect', () => {
      isConnected = true
      socket.write(encodeHello(opening.ticket, opening.timeoutMs, opening.lastZxid))
      expectAnswer()
    })
    socket.on('data', (piece: Buffer) => {
      if (mishap !== null) return
      try {
        for (const message of frames.take(piece)) {
          if (mishap !== null) return
          if (isBegun) hear(message)
          else {
            isBegun = true
            hearHello(message)
          }
        }
      } catch (error) {
        if (!(error instanceof RangeError)) throw error
        end({ kind: 'shape', message: error.message })
      }
    })
    socket.on('error', ({ code = '', message }: NodeJS.ErrnoException) => {
      // Servers that refuse a session may reset the connection as well as end it.
      if (isConnected && !isBegun && code === 'ECONNRESET') end({ kind: 'turned-away' })
      else end({ kind: 'network', code, message })
    })
    socket.on('close', () => end(isConnected && !isBegun ? { kind: 'turned-away' } : { kind: 'ended' }))
  })
}
