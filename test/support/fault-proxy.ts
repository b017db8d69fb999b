/**
 * What does a client of Consul see when the way to the agent, or what answers there, is at fault? A TCP-level proxy in
 * front of a real agent, whose fault can be switched while it runs, for connections that are open already too.
 *
 * It forwards bytes and knows of HTTP only where a request ends: that is enough to say which answer is delayed, cut or
 * replaced. Whoever asks must not pipeline. What is held is held in memory: the answers of a test are small.
 */

import { once } from 'node:events'
import { createServer, type Server, type Socket, connect as tcpConnect } from 'node:net'
import { freePort } from './consul.ts'

export interface ProxiedRequest {
  readonly method: string
  /** Path and query, as sent. */
  readonly target: string
}

export type Fault =
  | { readonly kind: 'pass' }
  /** The listener is closed, and every connection with it. The port stays the same when it opens again. */
  | { readonly kind: 'refuse' }
  /**
   * Everything is accepted and read, nothing goes on. When it is over, what was held goes on; with `isLost` it never does
   * on the connections that there are by then: they stay silent until the client leaves them.
   */
  | { readonly kind: 'hang'; readonly isLost?: boolean }
  /** Each answer begins so much later. */
  | { readonly kind: 'delay'; readonly ms: number }
  /**
   * Each connection is destroyed after so many bytes of an answer's head or body, 0 or more; one whose answer has not begun
   * when this is set, at once.
   */
  | { readonly kind: 'cut'; readonly in: 'head' | 'body'; readonly afterBytes: number }
  /** A request is answered with these bytes in place of the agent's; one that waits for its answer too. null: it passes. */
  | { readonly kind: 'replace'; readonly answer: (request: ProxiedRequest) => Buffer | null }

export interface FaultProxy {
  readonly port: number
  readonly url: string
  readonly fault: Fault
  /** Client connections that are open now. */
  readonly connections: number
  /** Requests seen so far. */
  readonly requests: number
  /** The requests whose answers were replaced, oldest first. */
  readonly replaced: readonly ProxiedRequest[]
  /** Switches; resolves once the listener is as it should be. */
  set(fault: Fault): Promise<void>
  /** Ends the listener and every connection; resolves when all are gone. */
  close(): Promise<void>
}

/** Starts one in front of 127.0.0.1:`agentPort`, passing everything. */
export async function startFaultProxy(agentPort: number): Promise<FaultProxy> {
  const port = await freePort()
  const state: State = { fault: { kind: 'pass' }, agentPort, requests: 0, replaced: [], sockets: new Set() }
  const links = new Set<Link>()
  let listener: Server | null = null

  async function open(): Promise<void> {
    if (listener !== null) return
    const server = createServer((socket) => {
      const link = linkOf(socket, state)
      links.add(link)
      socket.once('close', () => links.delete(link))
    })
    listener = server
    server.listen(port, '127.0.0.1')
    await once(server, 'listening')
  }

  async function shut(): Promise<void> {
    const server = listener
    listener = null
    const gone = server === null ? [] : [new Promise((resolve) => server.close(resolve))]
    for (const socket of state.sockets) {
      gone.push(once(socket, 'close'))
      socket.destroy()
    }
    await Promise.all(gone)
  }

  await open()
  return {
    port,
    url: `http://127.0.0.1:${port}`,
    get fault() {
      return state.fault
    },
    get connections() {
      return links.size
    },
    get requests() {
      return state.requests
    },
    get replaced() {
      return state.replaced
    },
    async set(fault) {
      const before = state.fault
      state.fault = fault
      if (fault.kind === 'refuse') return shut()
      for (const link of links) link.switched(before)
      await open()
    },
    async close() {
      state.fault = { kind: 'refuse' }
      await shut()
    },
  }
}

interface State {
  fault: Fault
  readonly agentPort: number
  requests: number
  readonly replaced: ProxiedRequest[]
  /** Of both sides. */
  readonly sockets: Set<Socket>
}

/** One client connection and the one to the agent that goes with it. */
interface Link {
  /** The fault is another one now. */
  switched(before: Fault): void
}

function linkOf(client: Socket, state: State): Link {
  let unread = Buffer.alloc(0)
  /** The newest request; null: there has been none. */
  let request: { readonly what: ProxiedRequest; readonly bytes: Buffer } | null = null
  let isForwarded = false
  let agent: Socket | null = null
  /** Bytes of the answer that have not gone on yet, and how many have. */
  let held = Buffer.alloc(0)
  let delivered = 0
  let hasAgentEnded = false
  /** How much of the answer goes on; null: that is not known yet. */
  let cutAt: number | null = null
  let delay: { isOver: boolean; readonly timer: NodeJS.Timeout } | null = null
  /** Nothing ever goes on again. */
  let isLost = false

  keep(client)
  client.on('data', (piece) => {
    unread = Buffer.concat([unread, piece])
    for (let taken = takeRequest(unread); taken !== null; taken = takeRequest(unread)) {
      unread = unread.subarray(taken.bytes.length)
      request = taken
      isForwarded = false
      held = Buffer.alloc(0)
      delivered = 0
      cutAt = null
      endDelay()
      state.requests++
      proceed()
    }
  })
  client.on('close', () => {
    endDelay()
    leaveAgent()
  })

  function keep(socket: Socket): void {
    state.sockets.add(socket)
    socket.on('error', () => {})
    socket.once('close', () => state.sockets.delete(socket))
  }

  /** Does what the fault lets happen to a request that has not been answered. */
  function proceed(): void {
    if (request === null || isForwarded || isLost || state.fault.kind === 'hang') return
    if (replace(request.what)) return
    agent ??= connectAgent()
    agent.write(request.bytes)
    isForwarded = true
  }

  function replace(what: ProxiedRequest): boolean {
    const bytes = state.fault.kind === 'replace' ? state.fault.answer(what) : null
    if (bytes === null) return false
    leaveAgent()
    endDelay()
    held = Buffer.alloc(0)
    isForwarded = true
    delivered = bytes.length
    state.replaced.push(what)
    client.write(bytes)
    return true
  }

  function connectAgent(): Socket {
    const socket = tcpConnect(state.agentPort, '127.0.0.1')
    hasAgentEnded = false
    keep(socket)
    socket.on('data', (piece) => {
      if (socket !== agent) return
      held = Buffer.concat([held, piece])
      flow()
    })
    socket.on('close', () => {
      if (socket !== agent) return
      agent = null
      hasAgentEnded = true
      flow()
    })
    return socket
  }

  function leaveAgent(): void {
    const socket = agent
    agent = null
    socket?.destroy()
  }

  /** Lets through of the answer what may go. */
  function flow(): void {
    const { fault } = state
    if (isLost || fault.kind === 'hang') return
    if (fault.kind === 'delay' && delivered === 0 && delay?.isOver !== true) {
      delay ??= startDelay(fault.ms)
      return
    }
    let room = held.length
    if (fault.kind === 'cut') {
      // One that is half through already ends here.
      cutAt ??= delivered > 0 ? delivered : cutOf(held, fault)
      if (cutAt === null) return
      room = Math.max(0, cutAt - delivered)
    }
    const isCut = room < held.length
    const part = held.subarray(0, room)
    held = held.subarray(room)
    delivered += part.length
    client.write(part)
    if (isCut || hasAgentEnded) client.destroySoon()
  }

  function startDelay(ms: number) {
    const own = {
      isOver: false,
      timer: setTimeout(() => {
        own.isOver = true
        flow()
      }, ms),
    }
    return own
  }

  function endDelay(): void {
    if (delay !== null) clearTimeout(delay.timer)
    delay = null
  }

  return {
    switched(before) {
      if (before.kind === 'hang' && before.isLost === true) isLost = true
      if (isLost) return
      const isWaiting = request !== null && isForwarded && delivered === 0
      if (state.fault.kind === 'cut' && isWaiting) return void client.destroy()
      if (request !== null && isWaiting && replace(request.what)) return
      proceed()
      if (held.length > 0 || hasAgentEnded) flow()
    },
  }
}

/** After how many bytes of an answer it is cut; null: its body has not begun yet. */
function cutOf(answer: Buffer, fault: Extract<Fault, { kind: 'cut' }>): number | null {
  if (fault.in === 'head') return fault.afterBytes
  const headEnd = answer.indexOf('\r\n\r\n')
  return headEnd === -1 ? null : headEnd + 4 + fault.afterBytes
}

/** The first whole request in `bytes`; null: there is none yet. */
function takeRequest(bytes: Buffer): { readonly what: ProxiedRequest; readonly bytes: Buffer } | null {
  const headEnd = bytes.indexOf('\r\n\r\n')
  if (headEnd === -1) return null
  const head = bytes.toString('latin1', 0, headEnd)
  const length = headEnd + 4 + Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? 0)
  if (bytes.length < length) return null
  const [method = '', target = ''] = head.split(' ', 2)
  return { what: { method, target }, bytes: bytes.subarray(0, length) }
}
