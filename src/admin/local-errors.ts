/**
 * What does the proxy's own machine lack, and what is to be done about it?
 *
 * A connection to an endpoint that fails for such a lack is never held against the endpoint; so it must be said here,
 * or nobody would look in the right place. It comes by the thousand when it comes, so the log gets one line a code now
 * and then, with the number of those that it stands for.
 */

import type { Logger } from 'pino'
import type { EndpointId } from '../balancer/endpoint.ts'

interface Lack {
  readonly what: string
  readonly remedy: string
}

const noPort: Lack = {
  what: 'no free local port towards this endpoint',
  remedy: 'widen net.ipv4.ip_local_port_range, switch on upstream.keepAlive, or set upstream.close: rst',
}
const noMemory: Lack = {
  what: 'no memory for a socket',
  remedy: 'give the machine or container more memory, raise net.ipv4.tcp_mem, or lower limits.maxConnections',
}

const lacks: ReadonlyMap<string, Lack> = new Map([
  ['EADDRNOTAVAIL', noPort],
  ['EADDRINUSE', noPort],
  [
    'EMFILE',
    {
      what: 'no file descriptor left for this process',
      remedy: 'raise `ulimit -n` (systemd: LimitNOFILE), or lower limits.maxConnections',
    },
  ],
  ['ENFILE', { what: 'no file descriptor left on this machine', remedy: 'raise fs.file-max' }],
  ['ENOBUFS', noMemory],
  ['ENOMEM', noMemory],
])

/** The codes for which `isLocalError` holds: the label values of their metric. A test keeps the two lists the same. */
export const localErrorCodes: readonly string[] = [...lacks.keys()]

const quietMs = 10_000

/**
 * Writes at most one line a code every 10 s; `count` is how many there were since the line before it.
 * @param now a monotonic clock in milliseconds
 */
export function createLocalErrorLog(
  log: Logger,
  now: () => number,
): { onLocalError(code: string, endpoint: EndpointId): void } {
  const told = new Map<string, { count: number; atMs: number }>()
  return {
    onLocalError(code, endpoint) {
      const lack = lacks.get(code)
      if (lack === undefined) return
      const time = now()
      const last = told.get(code) ?? { count: 0, atMs: Number.NEGATIVE_INFINITY }
      told.set(code, last)
      last.count += 1
      if (time - last.atMs < quietMs) return
      log.error({ code, endpoint, count: last.count }, `cannot connect: ${lack.what}; ${lack.remedy}`)
      last.count = 0
      last.atMs = time
    },
  }
}
