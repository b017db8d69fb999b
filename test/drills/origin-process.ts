/**
 * One instance of a service, in a process of its own, so that `kill -9` is real.
 *
 * Every answer says who served it and when the request arrived. What else can be asked for: `?delayMs=` works longer on
 * one request, `GET /bytes?count=` streams a body, `POST /digest` answers the SHA-256 of what was sent, and an upgrade
 * opens a WebSocket that echoes. Ends with its parent.
 */

import { createHash } from 'node:crypto'
import { openSync, writeSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { WebSocketServer } from 'ws'
import { clockMs } from './findings.ts'
import {
  arrivedHeader,
  type Behaviour,
  bodyOf,
  type FromOrigin,
  idHeader,
  type OriginArguments,
  servedByHeader,
  type ToOrigin,
} from './origin-messages.ts'

const { name, address, port = 0, ledger }: OriginArguments = JSON.parse(process.argv[2] ?? '')
const notes = openSync(ledger, 'a')
let behaviour: Behaviour = { status: 200, delayMs: 0 }
let requests = 0
let isClosing = false

function tell(message: FromOrigin): void {
  process.send?.(message)
}

async function serve(req: IncomingMessage, res: ServerResponse): Promise<void> {
  const arrivedMs = clockMs()
  requests++
  const id = req.headers[idHeader]
  writeSync(notes, `begun ${id}\n`)
  res.once('finish', () => writeSync(notes, `answered ${id}\n`))
  res.setHeader(servedByHeader, name)
  res.setHeader(arrivedHeader, arrivedMs.toFixed(3))

  const { pathname, searchParams } = new URL(req.url ?? '/', 'http://origin')
  if (pathname === '/bytes') return pipeline(Readable.from(bodyOf(Number(searchParams.get('count')))), res)
  const hash = createHash('sha256')
  let bytes = 0
  for await (const piece of req) {
    hash.update(piece as Buffer)
    bytes += (piece as Buffer).length
  }
  const delayMs = Number(searchParams.get('delayMs') ?? behaviour.delayMs)
  if (delayMs > 0) await sleep(delayMs)
  if (isClosing) res.shouldKeepAlive = false
  res.writeHead(behaviour.status, { 'content-type': 'application/json' })
  res.end(JSON.stringify({ servedBy: name, path: req.url, bytes, sha256: hash.digest('hex') }))
}

const server = createServer((req, res) => {
  // A request that breaks off is the sender's affair.
  serve(req, res).catch(() => res.destroy())
})
const sockets = new WebSocketServer({ noServer: true })
server.on('upgrade', (req, socket, head) => {
  sockets.handleUpgrade(req, socket, head, (opened) => {
    opened.on('message', (text) => opened.send(`${name}: ${text}`))
    opened.on('error', () => {})
  })
})

process.on('message', (message: ToOrigin) => {
  if (message.ask === 'behave') behaviour = message.behaviour
  if (message.ask === 'close') {
    isClosing = true
    server.close(() => process.exit())
    server.closeIdleConnections()
  }
  tell({ tell: 'answer', id: message.id, requests })
})
process.on('disconnect', () => process.exit())
// Ctrl-C reaches the whole group; the parent decides when it is over.
process.on('SIGINT', () => {})

server.listen(port, address, () => tell({ tell: 'listening', port: (server.address() as AddressInfo).port }))
