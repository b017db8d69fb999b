/** What did the user ask for? From the arguments to one command, or to one line that says what is wrong with them. */

import { parseArgs } from 'node:util'
import type { FlagValues } from '../config/flags.ts'
import { nearest } from '../config/keys.ts'
import { type OperatorCommand, operatorOptions, readDoctor, readExplain, readHand } from './usage-operator.ts'
import { type RunCommand, readRun, runOptions } from './usage-run.ts'

export type CommandLine =
  | { readonly kind: 'serve'; readonly file: string | null; readonly flags: FlagValues }
  | { readonly kind: 'check'; readonly file: string }
  | { readonly kind: 'demo'; readonly port: number | null; readonly adminPort: number | null }
  | OperatorCommand
  | RunCommand
  | { readonly kind: 'version' }
  | { readonly kind: 'help'; readonly text: string }
  /** Nothing was asked for: the help belongs on stderr. */
  | { readonly kind: 'nothing'; readonly text: string }
  | { readonly kind: 'wrong'; readonly message: string }

const overview = `Usage: evenkeel <command> [options]

  serve           run the proxy
  check FILE      say what is wrong with a config file
  demo            run the proxy with a catalog and services of its own, to try it out
  run -- COMMAND  run a service that does not register itself, and register it

  explain SERVICE            say why its instances get requests, or none
  explain --request ID       say where a request went, and why
  doctor                     look for what is wrong with the catalog and the way to its instances
  drain SERVICE ENDPOINT     take an endpoint out of rotation; undrain: bring it back
  eject SERVICE ENDPOINT     take it out for a while; restore: bring it back now

  <command> --help   what the command takes
  --help, --version
`

const serveHelp = `Usage: evenkeel serve [options]

  --config FILE          YAML or JSON; else the file that EVENKEEL_CONFIG names; else the defaults
  --port N               where clients connect; 0 takes any free port          (listen.port, 8080)
  --admin-port N         metrics, health, what is routed                       (admin.port, 8081)
  --consul URL           http://host:port or https://host:port                 (discovery.consul.address)
  --workers N            processes; this version has 1                         (workers)
  --engine NAME          wire or http-proxy                                    (engine, wire)
  --set key.path=value   any other key, as often as needed; the value is YAML
                         (a service whose name has a dot is configured in the file only)

Defaults < file < environment < flags. Environment: EVENKEEL_ and the key path in upper snake case, such as
EVENKEEL_LISTEN_PORT=8080, and Consul's own: CONSUL_HTTP_ADDR, CONSUL_HTTP_SSL, CONSUL_HTTP_TOKEN,
CONSUL_HTTP_TOKEN_FILE, CONSUL_CACERT, CONSUL_CLIENT_CERT, CONSUL_CLIENT_KEY, CONSUL_NAMESPACE.
config/evenkeel.yaml has every key, its default, and why.
`

const checkHelp = `Usage: evenkeel check FILE

Judges the file alone: the environment and flags that serve would add are not looked at.
Exit 0 and one line when it is good; 1 and every problem when it is not.
`

const demoHelp = `Usage: evenkeel demo [--port N] [--admin-port N]

Starts a catalog in memory, sample services that register with it, and the proxy. Needs no Consul.
`

const string = { type: 'string' } as const
const help = { type: 'boolean', short: 'h' } as const

const options = {
  serve: {
    config: string,
    port: string,
    'admin-port': string,
    consul: string,
    workers: string,
    engine: string,
    set: { type: 'string', multiple: true },
    help,
  },
  check: { help },
  demo: { port: string, 'admin-port': string, help },
  ...operatorOptions,
  run: runOptions,
} as const

type Command = keyof typeof options

/** @param args without the program and the script */
export function readCommandLine(args: readonly string[]): CommandLine {
  const [command, ...rest] = args
  switch (command) {
    case undefined:
      return { kind: 'nothing', text: overview }
    case '--help':
    case '-h':
    case 'help':
      return { kind: 'help', text: overview }
    case '--version':
    case '-v':
      return { kind: 'version' }
    case 'serve':
      return guarded(command, () => readServe(rest))
    case 'check':
      return guarded(command, () => readCheck(rest))
    case 'demo':
      return guarded(command, () => readDemo(rest))
    case 'explain':
      return guarded(command, () => readExplain(rest))
    case 'doctor':
      return guarded(command, () => readDoctor(rest))
    case 'drain':
    case 'undrain':
    case 'eject':
    case 'restore':
      return guarded(command, () => readHand(command, rest))
    case 'run':
      return guarded(command, () => readRun(rest))
    default:
      return wrong(unknown(command))
  }
}

function readServe(args: readonly string[]): CommandLine {
  const { values } = parseArgs({ args: [...args], options: options.serve, strict: true })
  if (values.help) return { kind: 'help', text: serveHelp }
  const { config, port, consul, workers, engine, set } = values
  if (config === '') return wrong('--config needs the name of a file')
  return {
    kind: 'serve',
    file: config ?? null,
    flags: { port, adminPort: values['admin-port'], consul, workers, engine, set },
  }
}

function readCheck(args: readonly string[]): CommandLine {
  const { values, positionals } = parseArgs({
    args: [...args],
    options: options.check,
    strict: true,
    allowPositionals: true,
  })
  if (values.help) return { kind: 'help', text: checkHelp }
  const [file, ...others] = positionals
  if (file === undefined || file === '') return wrong('check needs a file: evenkeel check FILE')
  if (others.length > 0) return wrong(`check takes one file, not ${positionals.length}: evenkeel check FILE`)
  return { kind: 'check', file }
}

function readDemo(args: readonly string[]): CommandLine {
  const { values } = parseArgs({ args: [...args], options: options.demo, strict: true })
  if (values.help) return { kind: 'help', text: demoHelp }
  for (const name of ['port', 'admin-port'] as const) {
    const text = values[name]
    if (text !== undefined && !(/^\d{1,5}$/.test(text) && Number(text) <= 65_535)) {
      return wrong(`--${name} must be a whole number from 0 to 65535, not ${JSON.stringify(text)}`)
    }
  }
  const portOf = (text: string | undefined) => (text === undefined ? null : Number(text))
  return { kind: 'demo', port: portOf(values.port), adminPort: portOf(values['admin-port']) }
}

/** Turns what `parseArgs` throws into one line in our own words. */
function guarded(command: Command, read: () => CommandLine): CommandLine {
  try {
    return read()
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    const flag = /'(-[^' ]*)/.exec(message)?.[1] ?? ''
    if (code === 'ERR_PARSE_ARGS_UNKNOWN_OPTION') {
      const near = nearest(flag.replace(/^-+/, ''), Object.keys(options[command]))
      const advice = near === null ? `evenkeel ${command} --help lists the options` : `did you mean --${near}?`
      return wrong(`${command} has no option ${flag}: ${advice}`)
    }
    if (code === 'ERR_PARSE_ARGS_UNEXPECTED_POSITIONAL') {
      const argument = /'([^']*)'/.exec(message)?.[1] ?? ''
      return wrong(`${command} takes no argument such as ${JSON.stringify(argument)}: evenkeel ${command} --help`)
    }
    return wrong(`${firstLine(message)}: evenkeel ${command} --help`)
  }
}

function unknown(command: string): string {
  const isFlag = command.startsWith('-')
  const near = isFlag ? null : nearest(command, [...Object.keys(options), 'help'])
  const what = isFlag ? `no command before ${command}` : `no command ${JSON.stringify(command)}`
  return `${what}: ${near === null ? 'evenkeel --help lists the commands' : `did you mean ${near}?`}`
}

function wrong(message: string): CommandLine {
  return { kind: 'wrong', message }
}

function firstLine(message: string): string {
  return (message.split('\n')[0] ?? message).replace(/\.$/, '')
}
