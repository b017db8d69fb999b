/** Are the files for Prometheus and Grafana sound: by promtool's word, and by what the exposition really names? */

import { describe, expect, test } from 'vitest'
import { record } from '../admin/fixtures.ts'
import { id, openMetrics, setUp } from '../admin/metrics-setup.ts'
import {
  alertRules,
  alertTestFiles,
  alertTestsText,
  configFolder,
  dashboard,
  dashboardQueries,
  metricsIn,
} from '../support/monitoring.ts'
import { promtool } from '../support/prometheus.ts'

describe('promtool', () => {
  test.each([
    ['takes the rules', ['check', 'rules', 'alerts.yml']],
    ['takes the config, which names them', ['check', 'config', 'prometheus.yml']],
    ['sees each alert fire when it should, and not else', ['test', 'rules', ...alertTestFiles]],
  ])('%s', async (_, args) => {
    const { code, output } = await promtool(args, { cwd: configFolder })
    expect(code, output).toBe(0)
    expect(output).toContain('SUCCESS')
  })

  test('has nothing against the metrics, but for names that prom-client gives', async () => {
    const { metrics } = setUp()
    metrics.onRequestEnd(record())
    metrics.onAttempt('quotes', id, 'responded')
    const { output } = await promtool(['check', 'metrics'], {
      cwd: configFolder,
      input: (await metrics.render(undefined)).body,
    })
    const complaints = output.split('\n').filter((line) => line !== '' && !line.startsWith('nodejs_active_'))
    expect(complaints).toEqual([])
  })

  test('says so when the metrics are not valid', async () => {
    const { code, output } = await promtool(['check', 'metrics'], { cwd: configFolder, input: 'a{b="c} 1\n' })
    expect([code, output]).toEqual([1, expect.stringContaining('parsing error')])
  })
})

/** Every name that a query may use. */
async function exposed(): Promise<ReadonlySet<string>> {
  const { scrape, metrics } = setUp()
  await metrics.render(openMetrics)
  const { types } = await scrape()
  return new Set(
    [...types].flatMap(([name, type]) =>
      type === 'histogram' ? ['_bucket', '_sum', '_count'].map((suffix) => name + suffix) : [name],
    ),
  )
}

describe('config/alerts.yml', () => {
  test.each(alertRules.map((rule) => [rule.alert, rule] as const))(
    '%s: names what there is, says what it means and what to do first, and is tested both ways',
    async (name, rule) => {
      const names = await exposed()
      expect(metricsIn(rule.expr).filter((metric) => !names.has(metric))).toEqual([])
      expect(['critical', 'warning', 'info']).toContain(rule.labels.severity)
      expect(rule.annotations.summary?.length).toBeGreaterThan(20)
      expect(rule.annotations.description).toContain('First:')
      const tests = alertTestsText.split('  - name: ').filter((text) => text.startsWith(name))
      expect(tests.some((text) => /exp_samples: \[\]/.test(text))).toBe(true)
      expect(tests.some((text) => /labels: '.*severity="/.test(text))).toBe(true)
    },
  )
})

describe('config/grafana/evenkeel.json', () => {
  const drawn = dashboard.panels.filter(({ type }) => type !== 'row')

  test('asks for metrics that there are, and for each of Evenkeel’s own', async () => {
    const names = await exposed()
    const asked = new Set(dashboardQueries('1m').flatMap(({ expr }) => metricsIn(expr)))
    expect([...asked].filter((name) => !names.has(name))).toEqual([])
    const unasked = [...names].filter((name) => name.startsWith('evenkeel_') && !asked.has(name))
    expect(unasked).toEqual(['evenkeel_request_duration_seconds_sum', 'evenkeel_request_duration_seconds_count'])
  })

  test('shows no other program: what every process exposes is asked of those that are Evenkeel', () => {
    for (const { panel, expr } of dashboardQueries('1m')) expect(expr, panel).toContain('evenkeel_')
  })

  test('has its five rows, and can be imported anywhere: the data source is a variable', () => {
    const rows = dashboard.panels.filter(({ type }) => type === 'row').map(({ title }) => title)
    expect(rows).toEqual(['Overview', 'Services', 'Endpoints', 'Discovery', 'Machine'])
    const variables = dashboard.templating.list.map(({ name, type }) => `${name}: ${type}`)
    expect(variables).toEqual(['datasource: datasource', 'instance: query', 'service: query'])
    const sources = drawn.flatMap(({ datasource, targets = [] }) => [datasource, ...targets.map((t) => t.datasource)])
    expect(new Set(sources.map((source) => source?.uid))).toEqual(new Set(['$' + '{datasource}']))
  })

  test('draws each panel in a place of its own, within the width', () => {
    expect(new Set(dashboard.panels.map((panel) => panel.id)).size).toBe(dashboard.panels.length)
    const taken = new Map<string, string>()
    for (const { title, gridPos } of dashboard.panels) {
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x += 1) {
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y += 1) {
          expect(x).toBeLessThan(24)
          expect(taken.get(`${x},${y}`), `${title} lies on another panel`).toBeUndefined()
          taken.set(`${x},${y}`, title)
        }
      }
    }
  })
})
