/**
 * How many local ports are there for connections to endpoints, and how many connections that have ended still wait?
 *
 * A port towards one address is free again only when the wait of the connection before it is over, a minute after the
 * proxy closed it. When all are taken, connections fail here, whatever the endpoints are like. The kernel tells both
 * numbers of the network namespace that this process is in.
 */

import { readFile } from 'node:fs/promises'

/** Null: this system does not say. */
export interface PortUse {
  /** Ports that the kernel hands out to connections; each endpoint can be reached from every one of them at once. */
  readonly localPorts: number | null
  /** Connections in TIME_WAIT, of whoever and with whomever. */
  readonly timeWaitSockets: number | null
}

/**
 * What the kernel says now. Never rejects.
 * @param proc where its files are
 */
export async function readPortUse(proc = '/proc'): Promise<PortUse> {
  const [range, sockets] = await Promise.all([
    textOf(`${proc}/sys/net/ipv4/ip_local_port_range`),
    textOf(`${proc}/net/sockstat`),
  ])
  const [, first, last] = /^\s*(\d+)\s+(\d+)\s*$/.exec(range) ?? []
  const [, timeWait] = /^TCP:.*\btw (\d+)/m.exec(sockets) ?? []
  return {
    localPorts: first === undefined || Number(last) < Number(first) ? null : Number(last) - Number(first) + 1,
    timeWaitSockets: timeWait === undefined ? null : Number(timeWait),
  }
}

async function textOf(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch {
    // There is no /proc, or not for us: a gauge less is no reason to fail a scrape.
    return ''
  }
}
