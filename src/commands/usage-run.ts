/** What is `evenkeel run` to run, and to register as what? Its arguments; usage.ts has the others. */

import { parseArgs } from 'node:util'
import type { FlagValues } from '../config/flags.ts'
import { parseDuration } from '../config/units.ts'
import { normalAddress } from '../discovery/address.ts'
import { isNameable } from '../discovery/names.ts'
import { printable } from '../discovery/untrusted-text.ts'
import { type RegistryName, registryNames } from '../run/registries.ts'
import type { RunOptions } from '../run/run-service.ts'

export interface RunCommand extends RunOptions {
  readonly kind: 'run'
  readonly to: RegistryName
  /** As it was given, or the interface that it is to be of; null: the one that reaches the registry. */
  readonly at: { readonly address: string } | { readonly interface: string } | null
  readonly file: string | null
  readonly flags: FlagValues
}

type Read = RunCommand | { readonly kind: 'help'; readonly text: string } | Wrong
interface Wrong {
  readonly kind: 'wrong'
  readonly message: string
}

const runHelp = `Usage: evenkeel run --service NAME --port N [options] -- command [argument …]

Runs a command that does not register itself, and registers it for as long as it is well.
A signal takes it out of the registry before it is passed on. Exits with the command's exit code.

  --service NAME     what to register it as
  --port N           where it listens; it is registered once it answers there
  --to REGISTRY      ${registryNames.join(', ')}                     (consul)
  --health PATH      it is well when GET PATH answers 2xx or 3xx         (when it takes connections)
  --tag TAG          as often as needed
  --id ID            unique among the instances                          (service-address-port)
  --address A        where others reach it                               (where the registry is reached from)
  --interface NAME   the address of this network interface
  --drain DURATION   from leaving the registry to passing a signal on    (2s)
  --config FILE, --consul URL, --set key.path=value   as for serve: where the registry is, and with which credentials
`

const string = { type: 'string' } as const
const list = { type: 'string', multiple: true } as const

/** For who looks for the option that was meant. */
export const runOptions = {
  service: string,
  port: string,
  to: string,
  health: string,
  tag: list,
  id: string,
  address: string,
  interface: string,
  drain: string,
  config: string,
  consul: string,
  set: list,
  help: { type: 'boolean', short: 'h' },
} as const

const maxDrainMs = 600_000
const maxTagLength = 255

/** @throws what `parseArgs` throws */
export function readRun(args: readonly string[]): Read {
  const dashes = args.indexOf('--')
  const own = dashes < 0 ? args : args.slice(0, dashes)
  const { values } = parseArgs({ args: [...own], options: runOptions, strict: true })
  if (values.help) return { kind: 'help', text: runHelp }
  const [program, ...rest] = dashes < 0 ? [] : args.slice(dashes + 1)
  const { service = '', port = '', to = 'consul', health, tag = [], id, drain = '2s', config, consul, set } = values
  if (service === '') return wrong('run needs --service NAME: evenkeel run --help')
  if (!isName(service)) return wrong(`--service must be a name without slashes or blanks, not ${shown(service)}`)
  if (values.port === undefined) return wrong('run needs --port N, where the command listens: evenkeel run --help')
  if (!/^\d{1,5}$/.test(port) || Number(port) < 1 || Number(port) > 65_535) {
    return wrong(`--port must be a whole number from 1 to 65535, not ${shown(port)}`)
  }
  const registry = registryNames.find((name) => name === to)
  if (registry === undefined) return wrong(`--to must be one of ${registryNames.join(', ')}, not ${shown(to)}`)
  if (health !== undefined && !/^\/[\x21-\x7e]*$/.test(health)) {
    return wrong(`--health must be a path such as /health, not ${shown(health)}`)
  }
  const bad = tag.find((each) => each.trim() === '' || printable(each, maxTagLength) !== each)
  if (bad !== undefined) return wrong(`--tag must be a text of at most ${maxTagLength} signs, not ${shown(bad)}`)
  if (id !== undefined && !isName(id)) return wrong(`--id must be a name without slashes or blanks, not ${shown(id)}`)
  const at = readAt(values)
  if (at !== null && 'kind' in at) return at
  const drainMs = parseDuration(drain)
  if (drainMs === null || drainMs > maxDrainMs) {
    return wrong(`--drain must be a duration of at most 10m such as 2s, not ${shown(drain)}`)
  }
  if (config === '') return wrong('--config needs the name of a file')
  if (program === undefined || program === '') {
    return wrong('run needs a command after --: evenkeel run --service NAME --port N -- command')
  }
  return {
    kind: 'run',
    to: registry,
    at,
    file: config ?? null,
    flags: { consul, set },
    ...{ service, id: id ?? null, port: Number(port), tags: tag, health: health ?? null, drainMs },
    command: [program, ...rest],
  }
}

function readAt({ address, interface: name }: { address?: string; interface?: string }): RunCommand['at'] | Wrong {
  if (address !== undefined && name !== undefined) return wrong('run takes either --address or --interface')
  if (name === '') return wrong('--interface needs the name of a network interface')
  if (name !== undefined) return { interface: name }
  if (address === undefined) return null
  const normal = normalAddress(address)
  if (normal !== null) return { address: normal }
  return wrong(
    `--address must be an IP address or a host name that others reach, without a port, not ${shown(address)}`,
  )
}

function isName(text: string): boolean {
  return isNameable(text) && !/\s/.test(text)
}

function shown(text: string): string {
  return JSON.stringify(printable(text, 100))
}

function wrong(message: string): Wrong {
  return { kind: 'wrong', message }
}
