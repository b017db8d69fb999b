/** One hostile client, one engine: what went to the origin, what came back, and how it all ended. */

import { type Forwarded, readForwarded } from './forwarded.ts'
import type { Peer } from './peer.ts'
import { until } from './quiet.ts'
import { readRequests } from './reading.ts'
import type { RequestCase } from './request-cases.ts'
import { finalAnswers } from './seen-by-client.ts'
import { hangMs, type Item, type Run, type World } from './world.ts'

/** One connection that the origin was given. */
export interface UpstreamLog {
  readonly bytes: string
  /** Whole requests in it, in order. */
  readonly requests: readonly Forwarded[]
  /** Why it cannot be read in one way only; null when it can. */
  readonly ambiguous: string | null
  /** Bytes of a request that is not whole, or of the protocol that was switched to. */
  readonly rest: string
  readonly switched: boolean
}

export interface RequestTranscript {
  readonly engine: string
  readonly items: readonly Item[]
  readonly upstream: readonly UpstreamLog[]
  /** Each request whose head reached the origin, in order; null when the rest of it did not. */
  readonly forwarded: readonly (Forwarded | null)[]
  readonly client: { readonly bytes: string; readonly endedWell: boolean; readonly over: boolean }
  /** A hang, a leak or a defect; null when all is well. */
  readonly trouble: string | null
}

export async function playRequests(world: World, input: RequestCase): Promise<RequestTranscript> {
  const origin = new AnsweringOrigin(input)
  const run = world.begin((connection) => origin.serve(connection), input.upstream)
  const client = await world.client()
  await client.sendPieces(input.pieces)
  let trouble: string | null = null
  if (input.ending.startsWith('wait')) {
    await world.silence.come()
    trouble = await hangOf(world, client, run, input)
  }
  const over = client.over
  if (input.ending.endsWith('reset')) client.reset()
  else client.end()
  if (!(await until(() => client.closed, hangMs))) trouble ??= 'the proxy does not let go of a client that has left'
  client.socket.destroy()
  trouble ??= await world.leftovers(run)
  await world.silence.come(4)
  for (const { socket } of run.connections) socket.destroy()
  return {
    engine: world.name,
    items: run.items,
    upstream: origin.logs(),
    forwarded: origin.forwarded,
    client: { bytes: client.received, endedWell: client.endedWell, over },
    trouble,
  }
}

/** Every whole request must be answered, or the connection closed. Told only after a patient wait. */
async function hangOf(world: World, client: Peer, run: Run, input: RequestCase): Promise<string | null> {
  const readings = readRequests(input.pieces.join(''), false)
  const switching = readings.findIndex((reading) => reading.kind === 'request' && reading.head.switching)
  const before = switching < 0 ? readings : readings.slice(0, switching + 1)
  const whole = before.filter(({ kind }) => kind === 'request').length
  const satisfied = (): boolean => client.over || finalAnswers(client.received, run.items).length >= whole
  if (satisfied() || (await until(satisfied, hangMs))) {
    await world.silence.come()
    return null
  }
  return 'a whole request is not answered, and its connection stays open'
}

/** Answers each request with a number of its own, so that answers cannot be taken for one another. */
class AnsweringOrigin {
  readonly #input: RequestCase
  readonly #connections: { peer: Peer; readAt: number; log: { -readonly [K in keyof UpstreamLog]: UpstreamLog[K] } }[] =
    []
  readonly forwarded: (Forwarded | null)[] = []
  #answers = 0

  constructor(input: RequestCase) {
    this.#input = input
  }

  serve(peer: Peer): void {
    const requests: Forwarded[] = []
    const log = { bytes: '', requests, ambiguous: null as string | null, rest: '', switched: false }
    const connection = { peer, readAt: 0, log }
    this.#connections.push(connection)
    /** The place among all requests of the one that is coming in; null between two. */
    let place: number | null = null
    const answer = (method: string): void => {
      const text = `answer ${this.#answers}`
      const body = method === 'HEAD' ? '' : text
      peer.send(`HTTP/1.1 200 OK\r\nX-Number: ${this.#answers++}\r\nContent-Length: ${text.length}\r\n\r\n${body}`)
    }
    const early = this.#input.origin === 'answers heads'
    peer.onProgress = () => {
      while (!log.switched && log.ambiguous === null) {
        const read = readForwarded(peer.received.slice(connection.readAt))
        if (read.kind === 'ambiguous') {
          log.ambiguous = read.why
          peer.reset()
          return
        }
        if (read.kind === 'incomplete' && read.head === null) break
        const head = read.head as Forwarded
        if (place === null) {
          place = this.forwarded.push(null) - 1
          if (head.switching && this.#input.switches) {
            connection.readAt += head.headLength
            requests.push(head)
            this.forwarded[place] = head
            log.switched = true
            peer.send('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\nX-Number: 101\r\n\r\n')
            break
          }
          if (early) answer(head.method)
          else if (head.expectsContinue) peer.send('HTTP/1.1 100 Continue\r\n\r\n')
        }
        if (read.kind === 'incomplete') break
        this.forwarded[place] = head
        place = null
        connection.readAt += read.length
        requests.push(head)
        if (!early) answer(head.method)
        if (head.isLast) peer.end()
      }
      if (peer.ended) peer.end()
    }
  }

  logs(): UpstreamLog[] {
    return this.#connections.map(({ peer, readAt, log }) => ({
      ...log,
      bytes: peer.received,
      rest: peer.received.slice(readAt),
    }))
  }
}
