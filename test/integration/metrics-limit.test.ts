/** Does a running proxy keep to `metrics.maxServices`, ask for it anew after a reload, and say how it is while it drains? */

import { afterEach, expect, test } from 'vitest'
import { type App, startApp } from '../../src/app.ts'
import type { Config } from '../../src/config/config.ts'
import { createLog } from '../../src/log.ts'
import { type ReadExposition, readExposition } from '../admin/exposition.ts'
import { configOf } from '../config/support.ts'
import { waitFor } from '../support/wait.ts'

const cleanups: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

/** Of services that nobody asks for. */
function configWith(services: readonly string[], maxServices: number, drainDelay = '0s') {
  const table = Object.fromEntries(services.map((name) => [name, ['127.0.0.1:1']]))
  return configOf(`
    listen: { host: 127.0.0.1, port: 0 }
    admin: { host: 127.0.0.1, port: 0 }
    accessLog: { enabled: false }
    metrics: { maxServices: ${maxServices} }
    discovery: { source: static, static: { services: ${JSON.stringify(table)} } }
    shutdown: { drainDelay: ${drainDelay} }`)
}

async function start(config: Config): Promise<App> {
  const { log } = createLog({ level: 'silent' })
  const app = await startApp({ config, log, setLogLevel: () => {}, version: '1.2.3' })
  cleanups.push(() => app.close())
  await app.ready
  return app
}

async function scrape({ adminPort }: App): Promise<ReadExposition> {
  return readExposition(await (await fetch(`http://127.0.0.1:${adminPort}/metrics`)).text())
}

async function labels(app: App): Promise<string[]> {
  return (await scrape(app)).all('evenkeel_pick_spread').map((sample) => sample.labels.service ?? '')
}

test('services beyond the limit are counted together; a reload that raises it gives new ones a label', async () => {
  const app = await start(configWith(['a', 'b', 'c'], 2))
  expect(await labels(app)).toEqual(['_other', 'a', 'b'])
  app.reload(configWith(['a', 'b', 'c', 'd'], 3))
  await waitFor('the new service is there', async () => (await labels(app)).includes('d'))
  expect(await labels(app)).toEqual(['_other', 'a', 'b', 'd'])
})

test('the state that /readyz says is a gauge, while it drains, too', async () => {
  // Long enough for a scrape.
  const app = await start(configWith(['a'], 1, '2s'))
  const state = async () => {
    const seen = await scrape(app)
    return seen.all('evenkeel_readiness').flatMap(({ labels, value }) => (value === 1 ? [labels.state] : []))
  }
  expect(await state()).toEqual(['fresh'])
  void app.close()
  expect(await state()).toEqual(['draining'])
})
