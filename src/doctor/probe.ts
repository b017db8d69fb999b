/**
 * What happens when one connects to an instance from here, and asks it something? One connection a place, closed at once;
 * nothing is sent unless a GET is asked for.
 */

import { request as httpRequest } from 'node:http'
import { connect, isIP, type Socket } from 'node:net'
import { isNoPlace } from './address-kind.ts'
import { type Facts, type HttpProbe, type InstanceFacts, type Probe, placeKey } from './facts.ts'
import { inParallel } from './parallel.ts'

/** As many connections at once. */
const PARALLEL = 64
/** An endpoint's head may be as long as the proxy lets it be. */
const MAX_HEAD_BYTES = 64 * 1024

export interface HttpQuestion {
  /** From `/` on, encoded. */
  readonly path: string
  /** From the request to the head of the answer. */
  readonly deadlineMs: number
  readonly userAgent: string
}

/**
 * Tries each place of these instances once.
 * @param question null: only connect
 * @param onTried after each place
 */
export async function probeAll(
  instances: readonly InstanceFacts[],
  question: HttpQuestion | null,
  onTried: (done: number, all: number) => void,
): Promise<Facts['probes']> {
  const places = new Map<string, { address: string; port: number; place: string; connectTimeoutMs: number }>()
  for (const { address, port, place, connectTimeoutMs } of instances) {
    if (address === null || port === null || isNoPlace(address)) continue
    const target = { address, port, place, connectTimeoutMs }
    places.set(placeKey(target), target)
  }
  const probes = new Map<string, Probe>()
  await inParallel(PARALLEL, places, async ([key, target]) => {
    probes.set(key, await probe(target, question))
    onTried(probes.size, places.size)
  })
  return probes
}

interface Target {
  readonly address: string
  readonly port: number
  readonly place: string
  readonly connectTimeoutMs: number
}

/** Never rejects. */
async function probe(target: Target, question: HttpQuestion | null): Promise<Probe> {
  const connected = await connectTo(target)
  if (!('socket' in connected)) return connected
  const { socket } = connected
  const http = question === null ? null : await get(socket, target.place, question)
  // No wait for the other side, and none of its TIME_WAIT for us: there may be thousands of these.
  socket.destroy()
  return { kind: 'connected', http }
}

function connectTo({ address, port, connectTimeoutMs }: Target): Promise<{ socket: Socket } | Probe> {
  return new Promise((resolve) => {
    const socket = connect({ host: address, port })
    let resolved = isIP(address.replace(/%.*$/, '')) !== 0
    const timer = setTimeout(() => {
      settle(resolved ? { kind: 'timed-out', afterMs: connectTimeoutMs } : { kind: 'failed', code: 'EAI_AGAIN' })
      socket.destroy()
    }, connectTimeoutMs)
    const settle = (result: { socket: Socket } | Probe): void => {
      clearTimeout(timer)
      resolve(result)
    }
    socket.on('lookup', () => {
      resolved = true
    })
    socket.on('connect', () => settle({ socket }))
    // Also after it has settled: an error that nobody listens for would end the process.
    socket.on('error', ({ code = 'EUNKNOWN' }: NodeJS.ErrnoException) => {
      settle(code === 'ETIMEDOUT' ? { kind: 'timed-out', afterMs: connectTimeoutMs } : { kind: 'failed', code })
    })
  })
}

function get(socket: Socket, host: string, { path, deadlineMs, userAgent }: HttpQuestion): Promise<HttpProbe> {
  return new Promise((resolve) => {
    const request = httpRequest({
      createConnection: () => socket,
      path,
      headers: { host, connection: 'close', accept: '*/*', 'user-agent': userAgent },
      maxHeaderSize: MAX_HEAD_BYTES,
    })
    const timer = setTimeout(() => settle({ kind: 'silent', afterMs: deadlineMs }), deadlineMs)
    const settle = (result: HttpProbe): void => {
      clearTimeout(timer)
      resolve(result)
      request.destroy()
    }
    request.on('response', ({ statusCode = 0 }) => settle({ kind: 'status', status: statusCode }))
    // What switches protocols unasked is no answer to a GET.
    request.on('upgrade', () => settle({ kind: 'no-http', detail: 'it switches protocols unasked' }))
    request.on('error', ({ code = 'EUNKNOWN', message }: NodeJS.ErrnoException) => {
      settle(
        code.startsWith('HPE_')
          ? { kind: 'no-http', detail: message.replace(/^Parse Error: /, '') }
          : { kind: 'broke-off', code },
      )
    })
    request.end()
  })
}
