/**
 * Does a real Prometheus that scrapes a running proxy raise the right alerts, and does the dashboard show something?
 *
 * The rules are those of config/alerts.yml, with every duration a thirtieth as long: nobody waits five minutes for a test.
 */

import { createServer, type Server } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type App, startApp } from '../../src/app.ts'
import { createLog } from '../../src/log.ts'
import { readExposition } from '../admin/exposition.ts'
import { configOf } from '../config/support.ts'
import { listenOnLoopback } from '../support/loopback.ts'
import { alertRules, alertsText, dashboardQueries, prometheusText } from '../support/monitoring.ts'
import { type PrometheusServer, startPrometheus } from '../support/prometheus.ts'
import { waitFor } from '../support/wait.ts'

const hasteFactor = 30
const unitMs: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000 }
const cleanups: (() => Promise<unknown>)[] = []

/** What follows `for:`, and ranges in brackets. Figures within an expression stay as they are. */
function hastened(rules: string): string {
  return rules.replace(/(\bfor: |\[)(\d+)([smh])\b/g, (_, before: string, count: string, unit: string) => {
    return `${before}${(Number(count) * (unitMs[unit] ?? 0)) / hasteFactor}ms`
  })
}

interface Origin {
  readonly server: Server
  readonly place: string
  status: number
}

async function startOrigin(): Promise<Origin> {
  const server = createServer((request, response) => {
    request.resume()
    response.writeHead(origin.status).end('x')
  })
  const port = await listenOnLoopback(server, cleanups)
  const origin: Origin = { server, place: `127.0.0.1:${port}`, status: 200 }
  return origin
}

/** Two requests at a time to each service, one after the other with a little rest, until it is aborted. */
function traffic(dataPort: number, services: readonly string[], signal: AbortSignal): Promise<unknown> {
  const client = async (service: string) => {
    while (!signal.aborted) {
      const response = await fetch(`http://127.0.0.1:${dataPort}/${service}/`).catch(() => null)
      await response?.text().catch(() => {})
      await sleep(30)
    }
  }
  return Promise.all([...services, ...services].map(client))
}

const fleet: Record<string, Origin[]> = { fine: [], ill: [], broken: [], dead: [] }
let app: App
let prometheus: PrometheusServer

beforeAll(async () => {
  for (const origins of Object.values(fleet)) for (let i = 0; i < 3; i += 1) origins.push(await startOrigin())
  const services = Object.entries(fleet).map(([name, origins]) => [name, origins.map(({ place }) => place)])
  const config = configOf(`
    listen: { host: 127.0.0.1, port: 0 }
    admin: { host: 127.0.0.1, port: 0 }
    accessLog: { enabled: false }
    discovery: { source: static, static: { services: ${JSON.stringify(Object.fromEntries(services))} } }
    # All of them may be ejected, which is what panic takes; long, so that probes do not interfere.
    services: { dead: { outlier: { maxEjectedShare: 100%, baseEjectionTime: 5m } } }
    shutdown: { drainTimeout: 1s }`)
  const { log } = createLog({ level: 'silent' })
  app = await startApp({ config, log, setLogLevel: () => {}, version: '1.2.3' })
  cleanups.push(() => app.close())
  const abort = new AbortController()
  const done = traffic(await app.ready, Object.keys(fleet), abort.signal)
  cleanups.push(() => {
    abort.abort()
    return done
  })
  const text = prometheusText
    .replaceAll(/_interval: 15s/g, '_interval: 500ms')
    .replace('scrape_timeout: 5s', 'scrape_timeout: 500ms')
    .replace('127.0.0.1:8081', `127.0.0.1:${app.adminPort}`)
  prometheus = await startPrometheus(text, { 'alerts.yml': hastened(alertsText) })
  cleanups.push(() => prometheus.stop())
})

afterAll(async () => {
  for (const cleanup of cleanups.reverse()) await cleanup()
})

/** Alerts in that state, as `Name service`, in order. */
async function alertsIn(state: 'firing' | 'pending'): Promise<string[]> {
  const alerts = (await prometheus.alerts()).filter((alert) => alert.state === state)
  return alerts.map(({ name, labels }) => `${name} ${labels.service ?? ''}`.trim()).sort()
}

/** In the order of an incident: each test goes on where the one before it ended. */
describe.sequential('a real Prometheus that scrapes a running proxy', () => {
  test('raises no alert while all are well', async () => {
    const rate = 'sum by (service) (rate(evenkeel_requests_total[10s]))'
    await waitFor('traffic of four services', async () => (await prometheus.query(rate)).length >= 4, 30_000)
    await waitFor('a scrape that went well', async () => (await prometheus.scrapeErrors()).length === 0)
    // Until the first scrape no target is known: on a busy machine for so long that the alert of that fires.
    const raised = async () => [...(await alertsIn('pending')), ...(await alertsIn('firing'))]
    await waitFor('nothing is left of the start', async () => (await raised()).length === 0, 20_000)
    const scrapes = async () => (await prometheus.query('count_over_time(up{job="evenkeel"}[1h])'))[0]?.value ?? 0
    const enough = (await scrapes()) + 8
    const fired: string[] = []
    await waitFor('eight more scrapes', async () => {
      fired.push(...(await alertsIn('firing')))
      return (await scrapes()) >= enough
    })
    expect(fired).toEqual([])
  }, 90_000)

  test('raises those of a sick fleet, for the services that are sick, and no others', async () => {
    const [one] = fleet.ill as Origin[]
    if (one !== undefined) one.status = 500
    for (const origin of fleet.broken as Origin[]) origin.status = 500
    for (const { server } of fleet.dead as Origin[]) {
      server.close()
      server.closeAllConnections()
    }
    const expected = [
      'EvenkeelEndpointsEjected dead',
      'EvenkeelEndpointsEjected ill',
      'EvenkeelErrorShare broken',
      'EvenkeelErrorShare dead',
      'EvenkeelPanic dead',
    ]
    await waitFor(
      'all of them fire',
      async () => {
        const firing = await alertsIn('firing')
        return expected.every((each) => firing.includes(each))
      },
      90_000,
    )
    expect(await alertsIn('firing')).toEqual(expected)
  }, 150_000)

  test('finds in each alert what it says in plain words: no label is missing in its texts', async () => {
    const alerts = await prometheus.alerts()
    expect(alerts.length).toBeGreaterThan(0)
    for (const { annotations } of alerts) {
      expect(annotations.summary).not.toMatch(/<no value>|error|\{\{|of \s/)
      expect(annotations.description).not.toMatch(/<no value>|error expanding|\{\{/)
    }
    const panic = alerts.find(({ name }) => name === 'EvenkeelPanic')
    expect(panic?.annotations.description).toContain('`evenkeel explain dead`')
  })

  test('answers every query of the dashboard with something', async () => {
    for (const { panel, expr } of dashboardQueries('10s')) {
      await waitFor(`data of ${panel}: ${expr}`, async () => (await prometheus.query(expr)).length > 0)
    }
  })

  test('understands every expression of the rules, the ranges as they are', async () => {
    for (const { expr } of alertRules) await prometheus.query(expr)
  })

  test('reads, in OpenMetrics, what a person reads in the text format', async () => {
    const body = await (await fetch(`http://127.0.0.1:${app.adminPort}/metrics`)).text()
    const names = new Set(readExposition(body).samples.map(({ name }) => name))
    const ours = [...names].filter((name) => name.startsWith('evenkeel_')).sort()
    const scraped = async () => {
      const series = await prometheus.query('count by (__name__) ({job="evenkeel", __name__=~"evenkeel_.+"})')
      return series.map(({ metric }) => metric.__name__ ?? '').sort()
    }
    // A busy machine may make a scrape fail, and then there is nothing until the next one.
    await waitFor('a scrape that is whole', async () => (await scraped()).length >= ours.length)
    expect(await scraped()).toEqual(ours)
  })

  test('raises the alert of a proxy that is gone', async () => {
    await app.close()
    await waitFor('it fires', async () => (await alertsIn('firing')).includes('EvenkeelDown'), 60_000)
  }, 90_000)
})
