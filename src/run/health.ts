/** Is the service well? A connect, or a GET that has to be answered 2xx or 3xx, again and again; once is enough to be well, to be sick takes several. */

import { request } from 'node:http'
import { connect } from 'node:net'
import { pause } from '../discovery/loop.ts'
import { printable } from '../discovery/untrusted-text.ts'

export interface ProbeTarget {
  readonly host: string
  readonly port: number
  /** Starts with a slash; null: a connect is enough. */
  readonly path: string | null
  /** What a request says in `Host`, the port included. */
  readonly authority: string
}

/** null: it is well; else what is wrong. */
export type Probe = (signal: AbortSignal) => Promise<string | null>

export interface HealthTiming {
  /** From one look to the next, until it was well for the first time; more than 0. */
  readonly startEveryMs: number
  /** From then on. */
  readonly everyMs: number
  /** How long a look may take. */
  readonly deadlineMs: number
  /** So many looks in a row have to fail; 1 or more. */
  readonly failures: number
}

export const healthTiming: HealthTiming = { startEveryMs: 200, everyMs: 2000, deadlineMs: 2000, failures: 3 }

/** Looks until `signal` is aborted. `onLook` hears of each look before it waits for the next one. Never rejects. */
export async function watchHealth(
  probe: Probe,
  timing: HealthTiming,
  onLook: (health: 'starting' | 'well' | 'sick', why: string) => void,
  signal: AbortSignal,
): Promise<void> {
  let health: 'starting' | 'well' | 'sick' = 'starting'
  for (let failures = 0; !signal.aborted; ) {
    const why = await probe(signal)
    if (signal.aborted) return
    failures = why === null ? 0 : failures + 1
    if (why === null) health = 'well'
    else if (health === 'well' && failures >= timing.failures) health = 'sick'
    onLook(health, why ?? '')
    await pause(health === 'starting' ? timing.startEveryMs : timing.everyMs, signal)
  }
}

export function probeOf(target: ProbeTarget, deadlineMs: number): Probe {
  return async (signal) => {
    // No AbortSignal.any: in Node 20 each one leaves something behind at a signal that lives on.
    const own = new AbortController()
    const abort = () => own.abort()
    const deadline = setTimeout(abort, deadlineMs)
    signal.addEventListener('abort', abort, { once: true })
    if (signal.aborted) abort()
    try {
      return await (target.path === null ? connected(target, own.signal) : answered(target, target.path, own.signal))
    } catch (error) {
      if (own.signal.aborted) return `no answer within ${deadlineMs} ms`
      const { code, message } = error as NodeJS.ErrnoException
      return code ?? printable(message, 100)
    } finally {
      clearTimeout(deadline)
      signal.removeEventListener('abort', abort)
    }
  }
}

function connected({ host, port }: ProbeTarget, signal: AbortSignal): Promise<null> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, signal })
    socket.on('error', reject)
    socket.on('connect', () => {
      resolve(null)
      socket.destroy()
    })
  })
}

function answered({ host, port, authority }: ProbeTarget, path: string, signal: AbortSignal): Promise<string | null> {
  return new Promise((resolve, reject) => {
    const headers = { host: authority, 'user-agent': 'evenkeel-run', connection: 'close' }
    const sent = request({ host, port, path, headers, agent: false, signal })
    sent.on('error', reject)
    sent.on('response', ({ statusCode = 0 }) => {
      resolve(statusCode >= 200 && statusCode < 400 ? null : `GET ${path} is answered ${statusCode}`)
      sent.destroy()
    })
    sent.end()
  })
}
