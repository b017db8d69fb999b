/** One hostile origin, one engine: what its client got, and what became of the request behind. */

import { readForwarded } from './forwarded.ts'
import type { OriginCase } from './origin-cases.ts'
import type { Peer } from './peer.ts'
import { type Silence, until } from './quiet.ts'
import { finalAnswers, isTunnel } from './seen-by-client.ts'
import { hangMs, type Item, type World } from './world.ts'

export interface ClientLog {
  readonly bytes: string
  readonly endedWell: boolean
  /** The proxy closed it, by whatever means. */
  readonly over: boolean
}

export interface OriginTranscript {
  readonly engine: string
  readonly items: readonly Item[]
  readonly client: ClientLog
  /** The client of the second request when it is another one. */
  readonly secondClient: ClientLog | null
  /** The second request was sent behind the first answer. */
  readonly secondSent: boolean
  /** The second request came over the connection of the hostile answer. */
  readonly reused: boolean
  /** How often the hostile question reached the origin. */
  readonly asked: number
  /** What the origin got can be read in two ways. */
  readonly ambiguous: string | null
  readonly trouble: string | null
}

const secondRequest = 'GET /s/second HTTP/1.1\r\nHost: example.test\r\n\r\n'

export async function playOrigins(world: World, input: OriginCase): Promise<OriginTranscript> {
  const origin = new HostileOrigin(input, world.silence)
  const stalls = input.ending === 'stall' ? { responseTimeoutMs: 150, idleTimeoutMs: 150 } : {}
  const run = world.begin((connection, index) => origin.serve(connection, index), { ...input.upstream, ...stalls })
  if (input.warm) await warmUp(world)
  const before = run.items.length
  const client = await world.client()
  const answered = (count: number): boolean =>
    client.over || finalAnswers(client.received, run.items.slice(before)).length >= count

  const inTunnel = (): boolean => input.question.switching && isTunnel(client.received, run.items.slice(before))

  client.send(input.question.bytes + (input.second === 'pipelined' ? secondRequest : ''))
  await world.silence.come()
  await origin.finish()
  let trouble: string | null = null
  if (input.ending === 'client leaves') client.reset()
  else if (!(await until(() => answered(1) || inTunnel(), hangMs))) trouble = 'the client is left waiting'
  await world.silence.come()

  let secondSent = input.second === 'pipelined'
  let other: Peer | null = null
  if (input.second === 'same client' && !client.over && !inTunnel()) {
    secondSent = true
    client.send(secondRequest)
  }
  if (input.second === 'another client') {
    other = await world.client()
    other.send(secondRequest)
    const alone = [{ request: { method: 'GET' } }] as unknown as readonly Item[]
    const done = (): boolean => other?.over === true || finalAnswers(other?.received ?? '', alone).length > 0
    if (!(await until(done, hangMs))) trouble ??= 'the client of the second request is left waiting'
  } else if (secondSent && !(await until(() => answered(2), hangMs))) {
    trouble ??= 'the second request is left unanswered'
  }
  await world.silence.come()
  const [clientLog, secondClient] = [logOf(client), other === null ? null : logOf(other)]
  for (const peer of [client, other]) {
    peer?.end()
    // Half of a tunnel may stay open for as long as both sides like.
    if (inTunnel()) origin.leaveTunnel()
    if (peer !== null && !(await until(() => peer.closed, hangMs))) trouble ??= 'the proxy does not let go of a client'
    peer?.socket.destroy()
  }
  trouble ??= await world.leftovers(run)
  for (const { socket } of run.connections) socket.destroy()
  return {
    engine: world.name,
    items: run.items.slice(before),
    client: clientLog,
    secondClient,
    secondSent: secondSent || other !== null,
    reused: origin.reused,
    asked: origin.asked,
    ambiguous: origin.ambiguous,
    trouble,
  }
}

function logOf({ received, endedWell, over }: Peer): ClientLog {
  return { bytes: received, endedWell, over }
}

async function warmUp(world: World): Promise<void> {
  const client = await world.client()
  client.send('GET /s/warm HTTP/1.1\r\nHost: example.test\r\n\r\n')
  await until(() => client.received.endsWith('warm'), hangMs)
  client.end()
  await until(() => client.closed, hangMs)
}

/** Plays its script once, on the connection of the first hostile question, and answers all else as it should. */
class HostileOrigin {
  readonly #input: OriginCase
  readonly #silence: Silence
  #stage: Peer | null = null
  /** The script is being played, up to what is sent late. */
  #playing: Promise<void> = Promise.resolve()
  reused = false
  asked = 0
  ambiguous: string | null = null

  constructor(input: OriginCase, silence: Silence) {
    this.#silence = silence
    this.#input = input
  }

  serve(peer: Peer, index: number): void {
    const { trigger, question } = this.#input
    let readAt = 0
    let met = false
    if (trigger === 'connection' && index === 0) this.#play(peer)
    peer.onProgress = () => {
      while (this.ambiguous === null) {
        const read = readForwarded(peer.received.slice(readAt))
        if (read.kind === 'ambiguous') {
          this.ambiguous = read.why
          peer.reset()
          return
        }
        if (read.head === null) break
        const { target, isLast } = read.head
        if (!met) {
          met = true
          if (target === '/hostile') {
            this.asked++
            if (trigger === 'head' && this.#stage === null) this.#play(peer)
          }
        }
        if (read.kind === 'incomplete') break
        met = false
        readAt += read.length
        if (target === '/hostile' && this.#stage === null) this.#play(peer)
        if (target === '/hostile' && this.#stage === peer) {
          if (question.switching) break
          continue
        }
        if (peer === this.#stage) this.reused = true
        const body = target.slice(1)
        peer.send(`HTTP/1.1 200 OK\r\nX-Good: yes\r\nContent-Length: ${body.length}\r\n\r\n${body}`)
        if (isLast) peer.end()
      }
      if (peer.ended && peer !== this.#stage) peer.end()
    }
  }

  #play(peer: Peer): void {
    this.#stage = peer
    this.#playing = (async () => {
      await peer.sendPieces(this.#input.pieces)
      if (this.#input.late.length === 0) this.#leave(this.#input.ending)
    })()
  }

  /** Plays the rest of the script, when nothing happens any more. */
  async finish(): Promise<void> {
    await this.#playing
    await this.#silence.come()
    const { late, ending } = this.#input
    if (late.length > 0) {
      await this.#stage?.sendPieces(late)
      this.#leave(ending)
      await this.#silence.come()
    }
    if (ending.startsWith('late')) this.#leave(ending.slice(5))
    await this.#silence.come()
  }

  leaveTunnel(): void {
    this.#stage?.end()
  }

  #leave(ending: string): void {
    if (ending === 'end') this.#stage?.end()
    if (ending === 'reset') this.#stage?.reset()
  }
}
