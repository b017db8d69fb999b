/** How does an instance misbehave? Node's server has read the request; what goes back goes past it, byte by byte. */

import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { type EvilWay, poison } from './soak-words.ts'

export interface EvilOptions {
  /** What a good answer would be. */
  readonly body: Buffer
  readonly random: () => number
}

const busy = new WeakMap<Socket, number>()

/** Notes that an instance works on this: only a connection without such work may be closed as idle. */
export function occupy({ socket }: IncomingMessage, res: ServerResponse): void {
  busy.set(socket, (busy.get(socket) ?? 0) + 1)
  res.once('close', () => busy.set(socket, (busy.get(socket) ?? 1) - 1))
}

/** Notes that a connection is no longer one of HTTP. */
export function occupyForGood(socket: Socket): void {
  busy.set(socket, Number.POSITIVE_INFINITY)
}

/**
 * A reset, half of the time with an ordinary end in front of it. Node's own sends that end always, and a socket that is
 * destroyed or reset before its end is out (EINVAL) is never closed, and never says `close`.
 */
export function reset(socket: Socket, random: () => number): void {
  const now = () => {
    if (socket.destroyed) return
    socket.destroySoon = () => socket.destroy()
    socket.resetAndDestroy()
  }
  if (socket.writableEnded) socket.destroy()
  else if (random() < 0.5) now()
  else socket.end(now)
}

export async function evil(
  way: EvilWay,
  req: IncomingMessage,
  res: ServerResponse,
  { body, random }: EvilOptions,
): Promise<void> {
  const { socket } = req
  const wantsClose = req.headers.connection === 'close'
  const raw = (text: string) => void socket.write(text, 'latin1')
  const head = (fields: string) => `HTTP/1.1 200 OK\r\n${fields}${wantsClose ? 'Connection: close\r\n' : ''}\r\n`
  const withLength = head(`Content-Length: ${body.length}\r\n`)
  const part = body.subarray(0, Math.floor(random() * body.length))
  const end = () => (random() < 0.5 ? socket.end() : socket.destroy())
  const cut = () => reset(socket, random)
  const soon = async (then: () => unknown) => {
    await sleep(Math.floor(random() * 5))
    then()
  }
  if (!way.startsWith('early-')) req.resume()

  switch (way) {
    case 'reset-before-head':
      return soon(cut)
    case 'end-before-head':
      return soon(end)
    case 'reset-in-head':
    case 'end-in-head':
      raw(withLength.slice(0, 1 + Math.floor(random() * (withLength.length - 2))))
      return soon(way === 'end-in-head' ? end : cut)
    case 'reset-in-body':
    case 'end-in-body':
      raw(withLength)
      socket.write(part)
      return soon(way === 'end-in-body' ? end : cut)
    case 'reset-in-chunk':
    case 'end-in-chunk':
      raw(`${head('Transfer-Encoding: chunked\r\n')}${(part.length + 1).toString(16)}\r\n`)
      socket.write(part)
      return soon(way === 'end-in-chunk' ? end : cut)
    case 'garbage':
      socket.write(body.subarray(0, 200))
      return soon(end)
    case 'two-lengths':
      raw(head(`Content-Length: ${body.length}\r\nContent-Length: ${body.length + 1}\r\n`))
      socket.write(body)
      return soon(end)
    case 'length-and-chunked':
      raw(`${head('Content-Length: 3\r\nTransfer-Encoding: chunked\r\n')}0\r\n\r\n`)
      return soon(end)
    case 'bad-chunk-size':
      raw(`${head('Transfer-Encoding: chunked\r\n')}-3\r\nabc\r\n0\r\n\r\n`)
      return soon(end)
    case 'endless-head':
      raw('HTTP/1.1 200 OK\r\n')
      for (let line = 0; line < 200 && !socket.destroyed; line++) raw(`X-Line-${line}: ${'x'.repeat(1_000)}\r\n`)
      return soon(end)
    case 'extra-answer':
      socket.write(Buffer.concat([Buffer.from(withLength), body, Buffer.from(poison)]))
      // Whoever keeps the connection for another request is waiting for nothing.
      return wantsClose ? void socket.end() : undefined
    case 'idle-end':
    case 'idle-reset':
      answer(res, body)
      await sleep(random() * 20)
      if ((busy.get(socket) ?? 0) === 0) way === 'idle-end' ? socket.end() : cut()
      return
    case 'many-hints':
      for (let hint = 0; hint < 10; hint++) sendHint(res, `</${hint}.css>; rel=preload`)
      return answer(res, body)
    case 'slow-head':
      await sleep(random() * 80)
      return answer(res, body)
    case 'slow-body':
      res.writeHead(200, { 'content-length': body.length })
      for (let at = 0; at < body.length; at += Math.ceil(body.length / 5)) {
        res.write(body.subarray(at, at + Math.ceil(body.length / 5)))
        await sleep(random() * 20)
      }
      return void res.end()
    case 'until-close':
      raw('HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n')
      socket.write(body)
      return void socket.end()
    case 'early-answer':
      // The body of the request is still coming, and is read later.
      answer(res, body)
      await sleep(random() * 10)
      req.resume()
      return
    case 'early-answer-reset':
      raw(withLength)
      socket.write(body)
      return soon(cut)
    case 'hang':
      return
    default:
      way satisfies never
  }
}

function answer(res: ServerResponse, body: Buffer): void {
  res.writeHead(200, { 'content-length': body.length })
  res.end(body)
}

/** While the answer before it is not done with the socket, Node would put a hint behind the head of its own answer. */
export function sendHint(res: ServerResponse, link: string): void {
  if (res.socket !== null) res.writeEarlyHints({ link })
}
