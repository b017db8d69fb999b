/** `evenkeel doctor`: what is wrong with the catalog and with the way to its instances? It only looks. */

import type { Config } from '../config/config.ts'
import { settingsOf } from '../config/in-effect.ts'
import { flagProblems, loadConfig } from '../config/load.ts'
import { formatProblem, type Problem } from '../config/problem.ts'
import type { Facts } from '../doctor/facts.ts'
import type { Finding } from '../doctor/finding.ts'
import { diagnose } from '../doctor/findings.ts'
import { othersOf } from '../doctor/findings-several.ts'
import { probeAll } from '../doctor/probe.ts'
import { version } from '../version.ts'
import { readOne } from './doctor-sources.ts'
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
    return tell(loaded.problems.map(configFinding), {
      from: 'the config',
      services: 0,
      instances: 0,
      excluded: 0,
      sources: [],
    })
  }
  const progress = progressLine()
  const facts = await gather(loaded.config, options, progress.show)
  progress.clear()
  return tell(diagnose(...facts), scopeOf(...facts))
}

/** The facts of each source, in the order of the config. */
async function gather(config: Config, options: DoctorOptions, show: (text: string) => void): Promise<readonly Facts[]> {
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
  const { sources } = config.discovery
  show(`reading ${sources.join(', ')} …`)
  const reads = await Promise.all(sources.map((source) => readOne(source, config, options.service, connectTimeoutMs)))
  const instances = reads.flatMap(({ services }) => services.flatMap((service) => service.instances))
  const [probes, watched] = await Promise.all([
    probeAll(instances, question, (done, all) => show(`${done} of ${all} places tried …`)).finally(() =>
      show('all places tried; watching what checks say …'),
    ),
    Promise.all(reads.map(({ reader, services }) => reader?.watchChecks(services.length > 0 ? options.watchMs : 0))),
  ])
  return reads.map(({ reader: _, ...read }, at) => {
    const { watchedMs = 0, checks = [], unread = [], answers = [] } = watched[at] ?? {}
    return {
      ...{ basePath: config.routing.basePath, only: options.service, ...read, probes },
      ...{ others: othersOf(reads, read.source), churn: { watchedMs, checks } },
      unread: [...read.unread, ...unread],
      answers: [...read.answers, ...answers],
    }
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
