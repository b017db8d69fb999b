/** Which nodes of ZooKeeper stay when what made them dies? Those that no session owns. Read once, in a session of its own. */

import { openConnection, type ZookeeperConnection } from '../discovery/zookeeper/zookeeper-connection.ts'
import { readAccess, type ZookeeperOptions } from '../discovery/zookeeper/zookeeper-source.ts'
import type { EntryFacts } from './facts.ts'
import { inParallel } from './parallel.ts'

const CONNECT_MS = 2000
const DEADLINE_MS = 10_000
const PARALLEL = 64
const MAX_NODES = 10_000

/** Asks the servers in turn until one answers, about the first 10,000 nodes. @throws what `readAccess` throws */
export async function readNodes(options: ZookeeperOptions): Promise<EntryFacts> {
  const { path } = options
  // The source has been made of them.
  const { servers, base } = readAccess(options)
  for (const server of servers) {
    const opening = { ticket: null, timeoutMs: options.sessionTimeoutMs, lastZxid: 0n, auth: options.auth }
    const hearer = { onEvent() {}, onZxid() {}, onBug() {} }
    const { signal } = new AbortController()
    const opened = await openConnection(server, { ...opening, connectMs: CONNECT_MS }, hearer, signal)
    if (opened.kind !== 'open') continue
    // It ends with the connection, whatever is under way.
    const deadline = setTimeout(() => void opened.connection.close(false), DEADLINE_MS)
    const entries = await readBelow(base, opened.connection)
    clearTimeout(deadline)
    await opened.connection.close(true)
    if (entries !== null) return { path, ...entries }
  }
  return { path, count: null, permanent: [] }
}

async function readBelow(base: string, connection: ZookeeperConnection): Promise<Omit<EntryFacts, 'path'> | null> {
  const childrenOf = async (path: string): Promise<readonly string[] | null> => {
    const heard = await connection.ask({ kind: 'children', path })
    return heard.kind === 'children' ? heard.names : null
  }
  const services = await childrenOf(base === '' ? '/' : base)
  if (services === null) return null
  const nodes: { readonly service: string; readonly id: string }[] = []
  await inParallel(PARALLEL, services, async (service) => {
    const ids = nodes.length < MAX_NODES ? ((await childrenOf(`${base}/${service}`)) ?? []) : []
    for (const id of ids) nodes.push({ service, id })
  })
  const permanent: { readonly service: string; readonly id: string }[] = []
  await inParallel(PARALLEL, nodes.slice(0, MAX_NODES), async (node) => {
    const heard = await connection.ask({ kind: 'data', path: `${base}/${node.service}/${node.id}` })
    if (heard.kind === 'data' && heard.owner === 0n) permanent.push(node)
  })
  return { count: nodes.length, permanent }
}
