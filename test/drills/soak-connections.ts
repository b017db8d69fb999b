/**
 * Which connections does an instance still have open, and how did each come to that? Told by what happened on it last,
 * by Node, and by the kernel, which alone knows whether the other side has closed.
 */

import { readFileSync } from 'node:fs'
import type { Server } from 'node:http'
import type { Socket } from 'node:net'

interface Connection {
  readonly host: string
  requests: number
  /** The last of what happened, and when. */
  readonly events: { readonly what: string; readonly atMs: number }[]
}

const mostEvents = 8
const open = new Map<Socket, Connection>()

/** Follows every connection of this instance, from its beginning to its end. */
export function followConnections(server: Server, host: string): void {
  server.on('connection', (socket) => {
    open.set(socket, { host, requests: 0, events: [] })
    socket.once('end', () => happened(socket, 'the other side ended'))
    socket.once('finish', () => happened(socket, 'ended'))
    socket.on('error', (error: NodeJS.ErrnoException) => happened(socket, error.code ?? error.message))
    socket.once('close', () => open.delete(socket))
  })
}

export function asked(socket: Socket, what: string): void {
  const connection = open.get(socket)
  if (connection !== undefined) connection.requests++
  happened(socket, what)
}

export function happened(socket: Socket, what: string): void {
  const events = open.get(socket)?.events
  if (events === undefined) return
  events.push({ what, atMs: performance.now() })
  if (events.length > mostEvents) events.shift()
}

/** One line for each connection that is open now. */
export function openConnections(): readonly string[] {
  if (open.size === 0) return []
  const kernel = kernelStates()
  return [...open].map(([socket, { host, requests, events }]) => {
    const nowMs = performance.now()
    const story = events.map(({ what, atMs }) => `${what} (${(nowMs - atMs).toFixed(0)} ms ago)`)
    const { readableFlowing, readableLength, readableEnded, writableLength, writableEnded, writableFinished } = socket
    const node = { readableFlowing, readableLength, readableEnded, writableLength, writableEnded, writableFinished }
    const pair = `${socket.localPort} ${socket.remotePort}`
    return (
      `${host}, ${requests} requests: ${story.join(', ')}; ${kernel.get(pair) ?? 'unknown to the kernel'}; ` +
      `${JSON.stringify(node).replaceAll('"', '')}${socket.destroyed ? ' destroyed' : ''}`
    )
  })
}

/** By `include/net/tcp_states.h`. */
const states = [
  '',
  'ESTABLISHED',
  'SYN_SENT',
  'SYN_RECV',
  'FIN_WAIT1',
  'FIN_WAIT2',
  'TIME_WAIT',
  'CLOSE',
  'CLOSE_WAIT',
  'LAST_ACK',
  'LISTEN',
  'CLOSING',
]

/** By both ports: the state of the connection, and how many bytes wait to be sent and to be read. */
function kernelStates(): ReadonlyMap<string, string> {
  const found = new Map<string, string>()
  for (const line of readFileSync('/proc/net/tcp', 'latin1').split('\n').slice(1)) {
    const [, local = '', remote = '', state = '', queues = ''] = line.trim().split(/\s+/)
    const port = (place: string) => Number.parseInt(place.split(':')[1] ?? '', 16)
    const [toSend, toRead] = queues.split(':').map((bytes) => Number.parseInt(bytes, 16))
    const name = states[Number.parseInt(state, 16)] ?? state
    found.set(`${port(local)} ${port(remote)}`, `${name}, ${toSend} to send, ${toRead} to read`)
  }
  return found
}
