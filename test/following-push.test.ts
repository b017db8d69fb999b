/** What is pushed is kept and comes back, whichever sources are followed. */

import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { afterEach, expect, test } from 'vitest'
import type { Catalog } from '../src/balancer/endpoint.ts'
import { createPushCatalog } from '../src/discovery/push/push-catalog.ts'
import type { Registration } from '../src/discovery/push/push-entry.ts'
import { snapshotPieces } from '../src/discovery/snapshot.ts'
import { createFollowing } from '../src/following.ts'
import { configOf } from './config/support.ts'
import { catalogOf } from './discovery/catalogs.ts'
import { waitFor } from './support/wait.ts'

const stops: (() => unknown)[] = []
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop()
})

const by = { from: '127.0.0.1', how: 'loopback' } as const
const web = (id: string): Registration => ({
  ...{ service: 'web', id, address: '127.0.0.1', port: 8080 },
  ...{ weight: 1, tags: [], ttlMs: 60_000 },
})

/** @param source of a file with `api` in it, or of what is pushed */
async function followed(source: string, pushedBefore: readonly Registration[] | null) {
  const folder = await mkdtemp(join(tmpdir(), 'evenkeel-'))
  stops.push(() => rm(folder, { recursive: true, force: true }))
  const path = join(folder, 'catalog.json')
  const file = join(folder, 'services.yaml')
  await writeFile(file, 'services: { api: ["127.0.0.1:1"] }\n')
  if (pushedBefore !== null) {
    const snapshot = { catalog: catalogOf(), confirmedAtMs: Date.now(), pushed: pushedBefore }
    await writeFile(path, [...snapshotPieces(snapshot)].join(''))
  }
  const config = configOf(`discovery: { source: ${source}, snapshot: ${path}, file: { path: ${file} } }`)
  const log = pino({ level: 'silent' })
  const pushed = createPushCatalog(() => config.discovery.push, { log })
  stops.push(() => pushed.close())
  const catalogs: Catalog[] = []
  const following = createFollowing({
    ...{ log, pushed, now: () => performance.now(), config: () => config },
    ...{ vitals: () => null, traffic: () => new Map(), use: (catalog: Catalog) => catalogs.push(catalog) > 0 },
    ...{ onResult: () => {}, onDecisions: () => {} },
  })
  stops.push(() => following.close())
  return { following, pushed, catalogs, written: () => readFile(path, 'utf8').catch(() => '') }
}

test.each(['push', 'file'])('with the source %s', async (source) => {
  const first = await followed(source, [web('a'), web('b')])
  await first.pushed.put(web('c'), by)
  await first.following.start()
  await first.following.firstCatalog
  const ids = () => first.pushed.all().map(({ id }) => id)
  expect(ids()).toEqual(['c', 'a', 'b'])
  expect([...(first.catalogs.at(-1)?.services.keys() ?? [])]).toContain(source === 'push' ? 'web' : 'api')
  expect(first.following.instances('web')?.instances.length).toBe(source === 'push' ? 3 : undefined)
  await first.pushed.remove('web', 'a', by)
  await waitFor('it is written', async () => {
    const text = await first.written()
    return text.includes('"id":"c"') && text.includes('"id":"b"') && !text.includes('"id":"a"')
  })
  // The file as it stands is one that is read again.
  await first.following.close()
  expect(await first.written()).toMatch(
    /"pushed": \[\n {4}\{"service":"web","id":"c",.*\},\n {4}\{"service":"web","id":"b"/,
  )
})
