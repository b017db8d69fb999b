/** A real Prometheus for a test: on a free port of 127.0.0.1, with its data in a folder of its own, and never left behind. */

import { execFile, spawn } from 'node:child_process'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { guardChild } from '../drills/children.ts'
import { freePort } from './consul.ts'
import { type DebianPackage, findProgram } from './debian-binary.ts'
import { waitFor } from './wait.ts'

const prometheus: DebianPackage = {
  name: 'prometheus',
  programs: ['prometheus', 'promtool'],
  variable: 'PROMETHEUS_BIN',
  // Any will do: the one whose libraries are here.
  suite: null,
}

export interface Series {
  readonly metric: Readonly<Record<string, string>>
  readonly value: number
}

export interface Alert {
  readonly name: string
  readonly state: 'pending' | 'firing'
  readonly labels: Readonly<Record<string, string>>
  readonly annotations: Readonly<Record<string, string>>
}

export interface PrometheusServer {
  /** What an instant query gives now. Throws with Prometheus' own words when it does not understand it. */
  query(expression: string): Promise<readonly Series[]>
  alerts(): Promise<readonly Alert[]>
  /** What the last scrape of each target failed with; empty: it went well. */
  scrapeErrors(): Promise<readonly string[]>
  /** Ends it and removes its data. */
  stop(): Promise<void>
}

/**
 * Runs `promtool` in the folder `cwd`.
 * @param input for its stdin
 * @returns its exit code and all that it printed
 */
export async function promtool(
  args: readonly string[],
  { cwd, input = '' }: { readonly cwd: string; readonly input?: string },
): Promise<{ readonly code: number; readonly output: string }> {
  const program = await findProgram(prometheus, 'promtool')
  return new Promise((resolve, reject) => {
    const child = execFile(program, args, { cwd }, (error, stdout, stderr) => {
      if (error !== null && typeof error.code !== 'number') reject(error)
      else resolve({ code: Number(error?.code ?? 0), output: stdout + stderr })
    })
    child.stdin?.on('error', () => {})
    child.stdin?.end(input)
  })
}

/**
 * Starts a server and waits until it answers.
 * @param config the text of prometheus.yml
 * @param rules texts of the files beside it, by name
 * @throws when there is no `prometheus` to be had, or it does not get ready within 30 s
 */
export async function startPrometheus(
  config: string,
  rules: Readonly<Record<string, string>>,
): Promise<PrometheusServer> {
  const program = await findProgram(prometheus, 'prometheus')
  const folder = await mkdtemp(join(tmpdir(), 'evenkeel-prometheus-'))
  const configFile = join(folder, 'prometheus.yml')
  await mkdir(join(folder, 'data'))
  await writeFile(configFile, config)
  for (const [name, text] of Object.entries(rules)) await writeFile(join(folder, name), text)
  const port = await freePort()
  const running = spawnServer(program, [
    `--config.file=${configFile}`,
    `--storage.tsdb.path=${join(folder, 'data')}`,
    '--storage.tsdb.retention.time=1h',
    '--storage.tsdb.wal-segment-size=10MB',
    `--web.listen-address=127.0.0.1:${port}`,
    '--log.level=warn',
  ])

  async function stop(): Promise<void> {
    await running.end()
    await rm(folder, { recursive: true, force: true })
  }

  async function api(path: string): Promise<unknown> {
    const response = await fetch(`http://127.0.0.1:${port}/api/v1/${path}`)
    const answer = (await response.json()) as { status: string; error?: string; data: unknown }
    if (answer.status !== 'success') throw new Error(`Prometheus: ${answer.error ?? response.status} (${path})`)
    return answer.data
  }

  const isReady = async () => {
    if (running.hasEnded()) throw new Error(`Prometheus ended at once: ${running.output()}`)
    return fetch(`http://127.0.0.1:${port}/-/ready`).then(
      (response) => response.ok,
      () => false,
    )
  }
  try {
    await waitFor('Prometheus is ready', isReady, 30_000)
  } catch (error) {
    await stop()
    throw error
  }

  return {
    async query(expression) {
      const data = await api(`query?query=${encodeURIComponent(expression)}`)
      const { result } = data as { result: { metric: Record<string, string>; value: [number, string] }[] }
      return result.map(({ metric, value: [, text] }) => ({ metric, value: Number(text) }))
    },
    async alerts() {
      const { alerts } = (await api('alerts')) as {
        alerts: { state: 'pending' | 'firing'; labels: Record<string, string>; annotations: Record<string, string> }[]
      }
      return alerts.map((alert) => ({ name: alert.labels.alertname ?? '', ...alert }))
    },
    async scrapeErrors() {
      const { activeTargets } = (await api('targets')) as { activeTargets: { lastError: string }[] }
      return activeTargets.map(({ lastError }) => lastError).filter((error) => error !== '')
    },
    stop,
  }
}

function spawnServer(program: string, args: readonly string[]) {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  const gone = guardChild(child)
  let tail = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8')
    stream.on('data', (text: string) => {
      tail = (tail + text).slice(-2000)
    })
  }
  return {
    output: () => tail,
    hasEnded: () => child.exitCode !== null || child.signalCode !== null,
    async end() {
      child.kill('SIGKILL')
      await gone
    },
  }
}
