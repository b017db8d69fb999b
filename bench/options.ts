/** What did the user ask the bench to do? Pure. */

import { parseArgs } from 'node:util'
import { type PeerName, peerNames } from './targets.ts'

export const scenarioNames = ['rate', 'max', 'memory', 'bodies', 'services'] as const
export type ScenarioName = (typeof scenarioNames)[number]

export interface BenchOptions {
  readonly quick: boolean
  readonly rounds: number
  /** How long one round of one target takes, about. */
  readonly seconds: number
  readonly scenarios: readonly ScenarioName[]
  /** Null: all that are found. */
  readonly peers: readonly PeerName[] | null
  readonly engines: readonly string[]
  /** A commit whose Evenkeel is measured beside this one; null: none. */
  readonly against: string | null
  /** The target that others are compared with, by its name in the table. */
  readonly baseline: string
}

export type BenchLine =
  | { readonly kind: 'run'; readonly options: BenchOptions }
  | { readonly kind: 'help'; readonly text: string }
  | { readonly kind: 'wrong'; readonly message: string }

const quickScenarios: readonly ScenarioName[] = ['rate', 'max', 'memory']
/** Evenkeel's default engine. */
const defaultEngines: readonly string[] = ['wire']

const help = `Usage: npm run bench -- [options]

  --quick             three short rounds: is it all right? (about a minute; the figures are rough)
  --rounds N          rounds of each target, interleaved                       (5; quick 3)
  --seconds N         how long one round of one target takes, about            (3; quick 0.7)
  --scenario NAME     rate, max, memory, bodies, services; as often as needed  (all; quick the first three)
  --peers a,b         of http-proxy, nginx, haproxy, caddy, or none            (all that are on PATH)
  --engines a,b       Evenkeel's engines to measure                            (${defaultEngines.join(',')})
  --against COMMIT    Evenkeel as of that commit, too: rate, max and bodies     (no other)
  --baseline NAME     whom the ratios are to, as the table names it            (http-proxy off)
  --help

Writes bench/results/<time>.json. Exit 1 if a share is uneven, a request failed, or memory grew; a goal that is missed
is only told.
bench/README.md says how to read the table.
`

const flags = {
  quick: { type: 'boolean' },
  rounds: { type: 'string' },
  seconds: { type: 'string' },
  scenario: { type: 'string', multiple: true },
  peers: { type: 'string' },
  engines: { type: 'string' },
  against: { type: 'string' },
  baseline: { type: 'string' },
  help: { type: 'boolean', short: 'h' },
} as const

/** @param args without the program and the script */
export function readBenchLine(args: readonly string[]): BenchLine {
  try {
    const { values } = parseArgs({ args: [...args], options: flags, strict: true })
    if (values.help) return { kind: 'help', text: help }
    const quick = values.quick ?? false
    const peers = values.peers === undefined ? null : namesIn(values.peers, peerNames, '--peers')
    return {
      kind: 'run',
      options: {
        quick,
        rounds: number('--rounds', values.rounds ?? (quick ? '3' : '5'), 1, 100),
        seconds: number('--seconds', values.seconds ?? (quick ? '0.7' : '3'), 0.2, 600),
        scenarios: namesIn(
          (values.scenario ?? (quick ? quickScenarios : scenarioNames)).join(','),
          scenarioNames,
          '--scenario',
        ),
        peers,
        engines: values.engines === undefined ? defaultEngines : listIn(values.engines),
        against: values.against ?? null,
        baseline: values.baseline ?? 'http-proxy off',
      },
    }
  } catch (error) {
    const [line = 'wrong usage'] = (error instanceof Error ? error.message : String(error)).split('\n')
    return { kind: 'wrong', message: `${line.replace(/\.? To specify .*|\.$/, '')}: npm run bench -- --help` }
  }
}

function listIn(text: string): readonly string[] {
  const names = text.split(',').map((name) => name.trim())
  return [...new Set(names.filter((name) => name !== ''))]
}

function namesIn<N extends string>(text: string, known: readonly N[], flag: string): readonly N[] {
  return listIn(text)
    .filter((name) => name !== 'none')
    .map((name) => {
      const found = known.find((each) => each === name)
      if (found === undefined) throw new Error(`${flag} knows ${known.join(', ')}, not ${JSON.stringify(name)}`)
      return found
    })
}

function number(flag: string, text: string, min: number, max: number): number {
  const value = text.trim() === '' ? Number.NaN : Number(text)
  const isAllowed = value >= min && value <= max && (flag !== '--rounds' || Number.isInteger(value))
  if (!isAllowed) throw new Error(`${flag} is a number from ${min} to ${max}, not ${JSON.stringify(text)}`)
  return value
}
