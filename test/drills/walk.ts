/** Does it work as a newcomer tries it: services registered with Consul's own command, then GETs that walk over them? */

import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { findConsul } from '../support/consul-binary.ts'
import { collectFindings, type Findings } from './findings.ts'
import { failuresOf, startLoad } from './load.ts'
import { plainEnvironment, startProxy } from './proxy-process.ts'
import { type Scope, scoped } from './scope.ts'
import { startWorld } from './world.ts'

export interface WalkSize {
  readonly rounds: number
}

export const walkSmall: WalkSize = { rounds: 3 }
export const walkFull: WalkSize = { rounds: 10 }

const service = 'accountservice'
const run = promisify(execFile)

export function walk({ rounds }: WalkSize): Promise<Findings> {
  return scoped(async (scope) => {
    const findings = collectFindings()
    const { consul, origins } = await startWorld(scope, ['account-1', 'account-2', 'account-3'])
    const folder = await mkdtemp(join(tmpdir(), 'evenkeel-walk-'))
    scope.onEnd(() => rm(folder, { recursive: true, force: true }))
    const binary = await findConsul()
    const env = { ...plainEnvironment(), CONSUL_HTTP_ADDR: consul.url }
    const command = (...args: string[]) => run(binary, args, { env })

    for (const { name, address, port } of origins) {
      const file = join(folder, `${name}.json`)
      await writeFile(file, JSON.stringify({ service: { name: service, id: name, address, port } }))
      const { stdout } = await command('services', 'register', file)
      findings.promise(`consul services register ${name}`, stdout.includes(`Registered service: ${service}`), stdout)
    }

    const proxy = await startProxy(scope, { consul: consul.url })
    const endpoints = origins.map(({ endpoint }) => endpoint)
    await proxy.untilEndpoints(service, endpoints)
    const walked = await walkOver(scope, proxy.port, rounds * origins.length)
    findings.figure('walked over', walked.slice(0, 6).join(' '))
    findings.promise('the requests walk over all three in turn', isCycle(walked, 3), walked)

    await command('services', 'deregister', '-id=account-2')
    await proxy.untilEndpoints(
      service,
      origins.filter(({ name }) => name !== 'account-2').map(({ endpoint }) => endpoint),
    )
    const left = await walkOver(scope, proxy.port, rounds * 2)
    findings.figure('after `consul services deregister`', left.slice(0, 4).join(' '))
    const isGone = !left.includes('account-2') && isCycle(left, 2)
    findings.promise('the one that was deregistered is gone, the others alternate', isGone, left)
    return findings.done()
  })
}

/** Who served one request after another. */
async function walkOver(scope: Scope, port: number, count: number): Promise<readonly string[]> {
  const streams = [{ method: 'GET', perSecond: 100, path: `/${service}/accounts/10000` }] as const
  const shots = await startLoad(scope, { port, connections: 1, streams, total: count }).finished
  const failures = failuresOf(shots)
  if (failures.length > 0) throw new Error(`requests failed: ${failures.join('; ')}`)
  return shots.map(({ servedBy }) => servedBy ?? 'nobody')
}

/** True when `length` different names come again and again in one order. */
function isCycle(names: readonly string[], length: number): boolean {
  const cycle = names.slice(0, length)
  return new Set(cycle).size === length && names.every((name, index) => name === cycle[index % length])
}
