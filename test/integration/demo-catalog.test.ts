/** Does the demo's catalog pass for Consul? The suite that the real agent is held to. */

import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterEach, describe, expect, test } from 'vitest'
import { startCatalogServer } from '../../src/demo/catalog-server.ts'
import { findConsul } from '../support/consul-binary.ts'
import { describeCatalogServer } from './catalog-server-suite.ts'

const execute = promisify(execFile)

describeCatalogServer("the demo's own catalog", async () => {
  const server = await startCatalogServer()
  return { url: server.url, stop: server.close }
})

describe("Consul's own command line", () => {
  const cleanups: (() => Promise<unknown>)[] = []
  afterEach(async () => {
    for (const cleanup of cleanups.splice(0)) await cleanup()
  })

  test('registers, lists and deregisters with it, by flags and by a file', async () => {
    const binary = await findConsul()
    const server = await startCatalogServer()
    cleanups.push(server.close)
    const consul = async (...args: string[]) => {
      const [command = '', sub = '', ...rest] = args
      const { stdout } = await execute(binary, [command, sub, `-http-addr=${server.url}`, ...rest])
      return stdout
    }
    const flags = ['-name=web', '-id=web-1', '-address=127.0.0.9', '-port=8001', '-tag=blue', '-meta=version=7']
    expect(await consul('services', 'register', ...flags)).toContain('Registered service: web')

    const folder = await mkdtemp(join(tmpdir(), 'evenkeel-demo-'))
    cleanups.push(() => rm(folder, { recursive: true }))
    const file = join(folder, 'db.json')
    const checks = [{ name: 'beat', ttl: '30s', status: 'passing', deregister_critical_service_after: '2m' }]
    await writeFile(file, JSON.stringify({ service: { name: 'db', port: 5432, weights: { passing: 3 }, checks } }))
    expect(await consul('services', 'register', file)).toContain('Registered service: db')

    const names = (await consul('catalog', 'services', '-tags')).trim().split(/\s+/)
    expect(names).toEqual(['consul', 'db', 'web', 'blue'])
    expect(await consul('catalog', 'nodes')).toMatch(/evenkeel-demo +\S+ +127\.0\.0\.1 +dc1/)
    const watched = JSON.parse(await consul('watch', '-type=service', '-service=web')) as unknown
    expect(watched).toMatchObject([
      { Service: { ID: 'web-1', Address: '127.0.0.9', Port: 8001, Meta: { version: '7' } } },
    ])
    const [db] = (await (await fetch(`${server.url}/v1/health/service/db?passing`)).json()) as unknown[]
    expect(db).toMatchObject({
      Service: { Weights: { Passing: 3 } },
      Checks: [{}, { Name: 'beat', Status: 'passing' }],
    })

    expect(await consul('services', 'deregister', '-id=web-1')).toContain('Deregistered service: web-1')
    expect(await consul('catalog', 'services')).toBe('consul\ndb\n')
  })
})
