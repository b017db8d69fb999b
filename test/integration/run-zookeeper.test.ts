/** Does `evenkeel run --to zookeeper` put a service where the proxy finds it, and take it out before it is told to stop? */

import { pino } from 'pino'
import { afterEach, expect, test } from 'vitest'
import { startApp } from '../../src/app.ts'
import { configOf } from '../config/support.ts'
import { freePort } from '../support/consul.ts'
import { waitFor } from '../support/wait.ts'
import { legacyService, startWrapped } from '../support/wrapped.ts'
import { startZookeeper } from '../support/zookeeper.ts'
import { zookeeperLacks } from '../support/zookeeper-binary.ts'

const lacks = await zookeeperLacks()
const cleanups: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

test.skipIf(lacks !== null)(
  `with the proxy that follows a real ZooKeeper${lacks === null ? '' : ` (${lacks})`}`,
  async () => {
    const zookeeper = await startZookeeper()
    cleanups.push(zookeeper.stop)
    const app = await startApp({
      config: configOf(`
listen: { host: 127.0.0.1, port: 0 }
admin: { port: 0 }
discovery: { source: [zookeeper, push], zookeeper: { connect: '${zookeeper.connect}' } }
retry: { attempts: 0 }
shutdown: { drainTimeout: 0s }
`),
      ...{ log: pino({ level: 'silent' }), setLogLevel: () => {}, version: '0' },
    })
    cleanups.push(() => app.close())
    const to = ['--to', 'zookeeper', '--set', `discovery.zookeeper.connect=${zookeeper.connect}`]
    const start = (port: number) => {
      const place = ['--service', 'web', '--port', `${port}`, '--address', '127.0.0.1', '--drain', '200ms']
      const wrapped = startWrapped([...place, ...to], [process.execPath, legacyService, `${port}`])
      cleanups.push(wrapped.stop)
      return wrapped
    }
    const ports = [await freePort(), await freePort()] as const
    const [first] = ports.map(start)

    // The path was never there, which is told as an error until somebody registers.
    const url = `http://127.0.0.1:${await app.ready}/web/`
    const ask = async () => {
      const answer = await fetch(url)
      return `${answer.status} ${(await answer.text()).trim()}`
    }
    const seen = new Map<string, number>()
    const look = async () => {
      const answer = await ask()
      seen.set(answer, (seen.get(answer) ?? 0) + 1)
    }
    const served = (port: number) => seen.get(`200 served by ${port}`) ?? 0
    await waitFor('both are routed to', async () => look().then(() => ports.every((port) => served(port) > 0)), 20_000)

    seen.clear()
    first?.process.kill('SIGTERM')
    let isOver = false
    const asking = (async () => {
      while (!isOver) await look()
    })()
    expect(await first?.ended).toBe(0)
    const before = served(ports[1])
    await waitFor('the other one serves on', () => served(ports[1]) > before + 50)
    isOver = true
    await asking
    // Retries are off: one request to an instance that had stopped would be a 502.
    expect([...seen.keys()].filter((answer) => !answer.startsWith('200 '))).toEqual([])
  },
  60_000,
)
