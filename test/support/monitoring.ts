/** What do the files for Prometheus and Grafana say? Read for tests: rules with their expressions, panels with their queries. */

import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parse } from 'yaml'

export const configFolder = fileURLToPath(new URL('../../config/', import.meta.url))
export const alertsText = readFileSync(`${configFolder}alerts.yml`, 'utf8')
export const prometheusText = readFileSync(`${configFolder}prometheus.yml`, 'utf8')
export const alertTestFiles = ['alerts.test.yml', 'alerts.day.test.yml']
export const alertTestsText = alertTestFiles.map((name) => readFileSync(configFolder + name, 'utf8')).join('\n')

export interface AlertRule {
  readonly alert: string
  readonly expr: string
  readonly for?: string
  readonly labels: Readonly<Record<string, string>>
  readonly annotations: Readonly<Record<string, string>>
}

export const alertRules = (parse(alertsText) as { groups: { rules: AlertRule[] }[] }).groups.flatMap(
  ({ rules }) => rules,
)

export interface Panel {
  readonly id: number
  readonly type: string
  readonly title: string
  readonly description?: string
  readonly datasource?: { readonly uid: string }
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number }
  readonly targets?: readonly { readonly expr: string; readonly datasource: { readonly uid: string } }[]
}

export interface Dashboard {
  readonly uid: string
  readonly title: string
  readonly schemaVersion: number
  readonly templating: { readonly list: readonly { name: string; type: string; definition?: string }[] }
  readonly panels: readonly Panel[]
}

export const dashboard = JSON.parse(readFileSync(`${configFolder}grafana/evenkeel.json`, 'utf8')) as Dashboard

/** Every query of the dashboard as Grafana would send it with all proxies and services chosen. */
export function dashboardQueries(rateInterval: string): readonly { readonly panel: string; readonly expr: string }[] {
  return dashboard.panels.flatMap(({ title, targets = [] }) =>
    targets.map(({ expr }) => ({
      panel: title,
      expr: expr.replaceAll('$__rate_interval', rateInterval).replaceAll(/\$(instance|service)\b/g, '.*'),
    })),
  )
}

/** The names of Evenkeel's metrics, and of its process, in an expression. */
export function metricsIn(expression: string): readonly string[] {
  return [...new Set(expression.match(/\b(evenkeel|process|nodejs)_\w+/g))]
}
