/**
 * The instances of the soak, in one process: some that behave, and some that end, reset, lie and dawdle as the path
 * tells them. All of them note what no client has sent. Ends with its parent.
 */

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { asked, followConnections, happened, openConnections } from './soak-connections.ts'
import { evil, occupy, occupyForGood, reset, sendHint } from './soak-evil.ts'
import {
  type EvilWay,
  evilWays,
  idHeader,
  knownBody,
  type OriginArguments,
  type OriginStory,
  randomOf,
  receipt,
} from './soak-words.ts'

const { good: goodHosts, evil: evilHosts, sick: sickHosts, seed }: OriginArguments = JSON.parse(process.argv[2] ?? '')
const random = randomOf(seed)

const strange: string[] = []
const unparsable: string[] = []
const ways: Record<string, number> = {}
const repeated: number[] = []
let seen = new Uint8Array(1 << 20)
let requests = 0
let falseUploads = 0

function note(list: string[], what: string): void {
  if (list.length < 20) list.push(what.slice(0, 200))
}

/** A POST must not arrive twice: nobody may try it again once it was sent. */
function noteOnce(id: number): void {
  if (id >= seen.length) {
    const larger = new Uint8Array(Math.max(id + 1, seen.length * 2))
    larger.set(seen)
    seen = larger
  }
  if (seen[id] === 1 && repeated.length < 20) repeated.push(id)
  seen[id] = 1
}

/** Reads the body; true when it is the one that the path names. */
async function isWhole(req: IncomingMessage, ofSeed: number, bytes: number): Promise<boolean> {
  const expected = knownBody(ofSeed, bytes)
  let at = 0
  for await (const piece of req as AsyncIterable<Buffer>) {
    if (!piece.equals(expected.subarray(at, at + piece.length))) return false
    at += piece.length
  }
  return at === bytes
}

async function sendBody(res: ServerResponse, options: string, body: Buffer): Promise<void> {
  if (options.includes('h')) sendHint(res, '</style.css>; rel=preload; as=style')
  if (!options.includes('c')) {
    res.writeHead(200, { 'content-length': body.length })
    res.end(body)
    return
  }
  res.writeHead(200, { trailer: 'x-sum' })
  const parts = 1 + Math.floor(random() * 4)
  for (let part = 0; part < parts; part++) {
    const piece = body.subarray(
      Math.floor((body.length * part) / parts),
      Math.floor((body.length * (part + 1)) / parts),
    )
    if (piece.length > 0) res.write(piece)
    if (random() < 0.2) await sleep(1)
  }
  res.addTrailers({ 'x-sum': String(body.length) })
  res.end()
}

/** Every other second it resets whatever it is asked, so that it is ejected, and probed, and comes back. */
function isSick(host: string): boolean {
  return host === sickHosts[0] && Math.floor(performance.now() / 1_000) % 2 === 0
}

async function serve(req: IncomingMessage, res: ServerResponse, isEvil: boolean): Promise<void> {
  requests++
  asked(req.socket, `${req.method} ${req.url}`)
  res.once('close', () => happened(req.socket, res.writableFinished ? 'answered' : 'not answered'))
  occupy(req, res)
  const [, what = '', first = '', second = '', third = ''] = (req.url ?? '').split('/')
  switch (what) {
    case 'b':
      req.resume()
      return sendBody(res, third, knownBody(Number(first), Number(second)))
    case 'status':
      req.resume()
      res.writeHead(Number(first))
      return void res.end()
    case 'd': {
      if (!isEvil) noteOnce(Number(req.headers[idHeader]))
      const whole = await isWhole(req, Number(first), Number(second))
      if (!whole) falseUploads++
      const text = whole ? receipt(Number(first), Number(second)) : 'false'
      res.writeHead(200, { 'content-length': text.length })
      return void res.end(text)
    }
    // An upload that is not meant to arrive.
    case 'v':
      for await (const _ of req);
      return void res.end('received')
    case 'e':
      if (isEvil && first in evilWays) {
        ways[first] = (ways[first] ?? 0) + 1
        return evil(first as EvilWay, req, res, { body: knownBody(Number(second), Number(third)), random })
      }
  }
  note(strange, `${req.method} ${req.url}`)
  res.writeHead(404)
  res.end()
}

/** A tunnel that gives back what it gets; of an evil instance, one that is refused or breaks. */
function upgrade(req: IncomingMessage, socket: Socket, head: Buffer, isEvil: boolean): void {
  requests++
  occupyForGood(socket)
  asked(socket, `${req.method} ${req.url} (upgrade)`)
  if (!/^\/up\/\d+$/.test(req.url ?? '')) note(strange, `${req.method} ${req.url} (upgrade)`)
  const mood = isEvil ? random() : 1
  if (mood < 0.3) {
    happened(socket, 'upgrade refused')
    ways['upgrade-refused'] = (ways['upgrade-refused'] ?? 0) + 1
    // Unread bytes would hide the end behind them.
    socket.resume()
    return void socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno')
  }
  socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n')
  if (mood < 0.6) {
    happened(socket, 'tunnel to be cut')
    ways['tunnel-cut'] = (ways['tunnel-cut'] ?? 0) + 1
    setTimeout(() => (random() < 0.5 ? socket.destroy() : reset(socket, random)), random() * 10)
  }
  if (head.length > 0) socket.write(head)
  socket.pipe(socket)
}

function start(host: string, isEvil: boolean): Promise<number> {
  const server: Server = createServer({ keepAliveTimeout: 600_000, requestTimeout: 0 }, (req, res) => {
    if (isSick(host)) {
      asked(req.socket, `${req.method} ${req.url} (sick)`)
      return reset(req.socket, random)
    }
    // A request that breaks off is the sender's affair.
    serve(req, res, isEvil).catch(() => res.destroy())
  })
  server.on('upgrade', (req, socket, head) => upgrade(req, socket as Socket, head, isEvil))
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    // A connection that ends in mid-request is what becomes of a client that left.
    if (error.code?.startsWith('HPE_') && error.code !== 'HPE_INVALID_EOF_STATE') {
      const packet = (error as { rawPacket?: Buffer }).rawPacket?.toString('latin1') ?? ''
      note(unparsable, `${error.code} ${JSON.stringify(packet.slice(0, 150))}`)
    }
    socket.destroy()
  })
  followConnections(server, host)
  server.on('connection', (socket) => {
    // Node's server would wait for answers that were given past it.
    if (isEvil) socket.once('end', () => setTimeout(() => socket.destroy(), 100))
  })
  return new Promise((resolve) => {
    server.listen({ host, port: 0, backlog: 1024 }, () => resolve((server.address() as AddressInfo).port))
  })
}

process.on('message', () => {
  const story: OriginStory = {
    requests,
    strange,
    unparsable,
    falseUploads,
    repeated,
    connections: openConnections(),
    ways,
  }
  process.send?.(story)
})
process.on('disconnect', () => process.exit())
// Ctrl-C reaches the whole group; the parent decides when it is over.
process.on('SIGINT', () => {})

const ports = await Promise.all([
  ...goodHosts.map((host) => start(host, false)),
  ...evilHosts.map((host) => start(host, true)),
  ...sickHosts.map((host) => start(host, true)),
])
process.send?.(ports)
