/** `evenkeel doctor`: what is wrong with the catalog and with the way to its instances? It only looks. */

import type { Config } from '../config/config.ts'
import { settingsOf } from '../config/in-effect.ts'
import { flagProblems, loadConfig } from '../config/load.ts'
import { formatProblem, type Problem } from '../config/problem.ts'
import type { Facts, ServiceFacts } from '../doctor/facts.ts'
import type { Finding } from '../doctor/finding.ts'
import { diagnose } from '../doctor/findings.ts'
import { listedInstances } from '../doctor/instances.ts'
import { probeAll } from '../doctor/probe.ts'
import { catalogReader } from '../doctor/reading.ts'
import { nameRules } from '../source-rules.ts'
import { version } from '../version.ts'
import { jsonReport, type Scope, scopeOf, textReport } from './doctor-text.ts'
import type { OperatorCommand } from './usage-operator.ts'

export type DoctorOptions = Extract<OperatorCommand, { kind: 'doctor' }>

/** Longer than this nobody wants to wait for a first byte while looking for what is wrong. */
const MAX_HTTP_MS = 5000

/**
 * Reads the catalog, connects to every instance, and tells what is wrong. Writes to nobody and changes nothing.
 * @param write gets the report, once
 * @returns the exit code: 0 when nothing is wrong, 1 when something is, 2 for a flag that is wrong whatever else is configured
 */
export async function doctor(
  options: DoctorOptions,
  env: NodeJS.ProcessEnv,
  write: (text: string) => void,
): Promise<number> {
  const [wrongFlag] = flagProblems(options.flags)
  if (wrongFlag !== undefined) {
    process.stderr.write(`evenkeel: ${formatProblem(wrongFlag)}\n`)
    return 2
  }
  const loaded = loadConfig({ file: options.file, env, flags: options.flags })
  const tell = (findings: readonly Finding[], scope: Scope): number => {
    write(options.json ? jsonReport(findings, scope) : textReport(findings, scope))
    return findings.length === 0 ? 0 : 1
  }
  if (!loaded.ok) {
    return tell(loaded.problems.map(configFinding), { from: 'the config', services: 0, instances: 0, excluded: 0 })
  }
  const progress = progressLine()
  const facts = await gather(loaded.config, options, progress.show)
  progress.clear()
  return tell(diagnose(facts), scopeOf(facts))
}

async function gather(config: Config, options: DoctorOptions, show: (text: string) => void): Promise<Facts> {
  const settings = settingsOf(config)
  const connectTimeoutMs = (service: string) => settings.policy(service).upstream.connectTimeoutMs
  const question =
    options.httpPath === null
      ? null
      : {
          path: options.httpPath,
          deadlineMs: Math.min(config.upstream.responseTimeoutMs, MAX_HTTP_MS),
          userAgent: `evenkeel-doctor/${version}`,
        }
  const probe = (services: readonly ServiceFacts[]) =>
    probeAll(
      services.flatMap(({ instances }) => instances),
      question,
      (done, all) => show(`${done} of ${all} places tried …`),
    )
  const { basePath } = config.routing
  const base = { basePath, only: options.service }

  if (config.discovery.sources.every((source) => source === 'static')) {
    const listed = staticServices(config, connectTimeoutMs)
    const services = listed.filter(({ name }) => options.service === null || name === options.service)
    return {
      ...base,
      ...{ from: 'the list in the config', source: 'static', listed: listed.length, excluded: 0, services },
      ...{ unread: [], answers: [], ownNode: null, agentIsHere: false, churn: { watchedMs: 0, checks: [] } },
      probes: await probe(services),
    }
  }
  const { consul } = config.discovery
  const standbys = (service: string) => config.services[service]?.failover ?? []
  const only = options.service
  const reader = catalogReader({ consul, rules: nameRules(config), only, connectTimeoutMs, standbys })
  show(`reading ${new URL(consul.address).origin} …`)
  const reading = await reader.read()
  const isWatched = reading.services.length > 0
  const [probes, { watchedMs, checks, unread, answers }] = await Promise.all([
    probe(reading.services).finally(() => show('all places tried; watching what checks say …')),
    reader.watchChecks(isWatched ? options.watchMs : 0),
  ])
  return {
    ...base,
    ...reading,
    source: 'consul',
    unread: [...reading.unread, ...unread],
    answers: [...reading.answers, ...answers],
    churn: { watchedMs, checks },
    probes,
  }
}

function staticServices(config: Config, connectTimeoutMs: (service: string) => number): readonly ServiceFacts[] {
  return Object.entries(config.discovery.static.services).map(([name, places]) => {
    const instances = listedInstances(places, connectTimeoutMs(name))
    return { name, isExcluded: false, instances, untagged: null, oddities: [], standbys: [] }
  })
}

function configFinding(problem: Problem): Finding {
  return {
    kind: 'config',
    severity: 'error',
    service: null,
    instances: [],
    where: 'the config',
    what: formatProblem(problem),
    why: 'a proxy would not start with it, and nothing could be looked at',
    cure: 'mend it; evenkeel check FILE judges a file alone',
  }
}

/** One line on a terminal that is written over and over; nothing elsewhere. */
function progressLine(): { show(text: string): void; clear(): void } {
  const { stderr } = process
  if (!stderr.isTTY) return { show: () => {}, clear: () => {} }
  const wipe = (): void => void stderr.write('\r\x1b[K')
  // Else the shell's prompt would stand behind it.
  const onInterrupt = (): void => {
    wipe()
    process.exit(130)
  }
  process.once('SIGINT', onInterrupt)
  return {
    show: (text) => void stderr.write(`\r\x1b[K${text}`),
    clear: () => {
      process.off('SIGINT', onInterrupt)
      wipe()
    },
  }
}
