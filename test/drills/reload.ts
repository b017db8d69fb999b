/** What does SIGHUP do? A bad config changes nothing and every problem is told; a good one takes effect, under load. */

import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { get } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { waitFor } from '../support/wait.ts'
import { collectFindings, type Findings } from './findings.ts'
import { failuresOf, startLoad } from './load.ts'
import type { Origin } from './origins.ts'
import { scoped } from './scope.ts'
import { byName, service, startServingWorld } from './world.ts'

export interface ReloadSize {
  readonly perSecond: number
}

export const reloadSmall: ReloadSize = { perSecond: 200 }
export const reloadFull: ReloadSize = { perSecond: 400 }

const first = `
routing: { stripPrefix: true }
`
/** Three problems: a key that does not exist, a value of the wrong kind, and one out of range. */
const bad = `
routing: { stripPrefx: false }
retry: { attempts: many }
outlier: { maxEjectedShare: 500% }
`
const good = `
limits: { headerCount: 50 }
routing: { stripPrefix: false }
retry: { statuses: [503] }
outlier: { baseEjectionTime: 7s }
accessLog: { enabled: false }
log: { level: warn }
`

export function reload({ perSecond }: ReloadSize): Promise<Findings> {
  return scoped(async (scope) => {
    const findings = collectFindings()
    const folder = await mkdtemp(join(tmpdir(), 'evenkeel-reload-'))
    scope.onEnd(() => rm(folder, { recursive: true, force: true }))
    const file = join(folder, 'evenkeel.yaml')
    await writeFile(file, first)

    const world = await startServingWorld(scope, ['a', 'b', 'c'])
    const proxy = await world.startProxy([], world.origins, file)
    const path = `/${service}/where`
    const load = startLoad(scope, {
      port: proxy.port,
      connections: 10,
      streams: [{ method: 'GET', perSecond, path }],
    })
    await load.more(perSecond / 2)
    const config = async () => (await proxy.admin('/api/config')).text
    const before = await config()

    await writeFile(file, bad)
    proxy.signal('SIGHUP')
    const refused = await waitFor(
      'the bad config is refused',
      () => proxy.log.findIndex(({ msg }) => msg.startsWith('the config was not taken')) + 1 || undefined,
    )
    const problems = proxy.log.slice(0, refused).filter(({ msg }) => msg === 'the config has a problem')
    findings.figure('problems told of a bad config', problems.length)
    const told = JSON.stringify(problems)
    for (const key of ['routing.stripPrefx', 'retry.attempts', 'outlier.maxEjectedShare']) {
      findings.promise(`a bad config: ${key} is told`, told.includes(key), told)
    }
    findings.promise('a bad config: each problem is told once', problems.length === 3, told)
    findings.promise('a bad config changes nothing', (await config()) === before)
    const asBefore = await pathSeen(proxy.port, path)
    findings.promise('a bad config: requests go on as they did', asBefore === '/where', asBefore)

    await writeFile(file, good)
    proxy.signal('SIGHUP')
    await waitFor('the good config is taken', async () => (await config()) !== before)
    const now = JSON.parse(await config())
    findings.promise('a good config: stripPrefix', (await pathSeen(proxy.port, path)) === path)
    findings.promise('a good config: ejection time', now.outlier.baseEjectionTime === '7s', now.outlier)
    findings.promise('a good config: log level', now.log.level === 'warn', now.log)
    // At level warn it says only that the port waits for a restart.
    const waits = await waitFor('the log tells what waits', () => proxy.log.find(({ msg }) => msg.includes('restart')))
    findings.promise('a good config: limits wait', JSON.stringify(waits).includes('limits'), waits)

    // Retries of a status, switched on just now, show that the policy of requests has changed as well.
    const patient = byName(world.origins, 'b') as Origin
    await patient.behave({ status: 503 })
    await load.more(30)
    const retries = await proxy.metric('evenkeel_retries_total', { service, reason: 'status' })
    findings.figure('retried after the reload', retries)
    findings.promise('a good config: retry.statuses', retries > 0, retries)

    const lines = proxy.accessLines()
    await load.more(perSecond)
    const added = proxy.accessLines() - lines
    findings.promise('a good config: no access log', added === 0, added)
    const shots = await load.stop()
    findings.figure('requests failed', `${failuresOf(shots).length} of ${shots.length}`)
    findings.promise('no request fails', failuresOf(shots).length === 0, failuresOf(shots))
    return findings.done()
  })
}

/** The path that an instance was asked for. */
function pathSeen(port: number, path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    get({ host: '127.0.0.1', port, path, agent: false }, (answer) => {
      let text = ''
      answer.setEncoding('utf8')
      answer.on('data', (piece: string) => {
        text += piece
      })
      answer.on('error', reject)
      answer.on('end', () => resolve(JSON.parse(text).path))
    }).on('error', reject)
  })
}
