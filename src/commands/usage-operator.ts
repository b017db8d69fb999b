/**
 * What did an operator ask about a running proxy or the catalog? The arguments of `explain`, `doctor`, `drain`, `undrain`,
 * `eject` and `restore`; usage.ts has the others, and the words for what is wrong with them.
 */

import { parseArgs } from 'node:util'
import type { FlagValues } from '../config/flags.ts'
import { parseDuration } from '../config/units.ts'
import { adminUrl } from './admin-client.ts'

export type HandAction = 'drain' | 'undrain' | 'eject' | 'restore'

/** Where the running proxy is; null: where the environment says, or on this machine. */
interface AdminFlags {
  readonly admin: string | null
  readonly tokenFile: string | null
  readonly json: boolean
}

export type OperatorCommand =
  | ({
      readonly kind: 'explain'
      readonly about:
        | { readonly kind: 'service'; readonly service: string; readonly endpoint: string | null }
        | { readonly kind: 'request'; readonly id: string }
    } & AdminFlags)
  | {
      readonly kind: 'doctor'
      readonly service: string | null
      /** The path to GET of every instance; null: only connect. */
      readonly httpPath: string | null
      /** How long checks are watched for output that churns. */
      readonly watchMs: number
      readonly json: boolean
      readonly file: string | null
      readonly flags: FlagValues
    }
  | ({
      readonly kind: 'hand'
      readonly action: HandAction
      readonly service: string
      readonly endpoint: string
      /** Who says so; null: the user of this process. */
      readonly by: string | null
    } & AdminFlags)

type Read = OperatorCommand | { readonly kind: 'help'; readonly text: string } | Wrong
interface Wrong {
  readonly kind: 'wrong'
  readonly message: string
}

const adminHelp = `  --admin URL        the proxy's admin listener  (http://127.0.0.1:8081, or the port of EVENKEEL_ADMIN_PORT)
  --token-file FILE  its admin.token, for a proxy on another machine; else EVENKEEL_ADMIN_TOKEN
  --json             what the proxy answered, for scripts
`

const explainHelp = `Usage: evenkeel explain SERVICE [--endpoint ID] [options]
       evenkeel explain --request ID [options]

Why does an instance get requests, or none: what the catalog, the requests and people say of it, in order.
With --request: who could have been picked for one of the last 10,000 requests, who was, and how each attempt went.

  --endpoint ID      only this one, as address:port
  --request ID       the request's X-Request-Id
${adminHelp}`

const doctorHelp = `Usage: evenkeel doctor [--service NAME] [options]

Reads the catalog and connects to every instance from here: what is wrong, why it hurts, what to do.
Exit 0 when nothing is, 1 when something is.

  --service NAME       only this one
  --http               also send GET and look at the answer
  --http-path PATH     what to GET                                              (/)
  --watch DURATION     how long to watch checks for output that churns          (3s)
  --json               the findings, for scripts
  --config FILE, --consul URL, --set key.path=value   as for serve
`

const handTexts: Readonly<Record<HandAction, string>> = {
  drain:
    'No request goes to the endpoint until it is undrained; what is in flight finishes. The catalog cannot undo it.',
  undrain: 'Ends a drain: the endpoint gets its share again, if its health allows.',
  eject: 'As if a rule had tripped: out for outlier.baseEjectionTime, and back through one probe request.',
  restore: 'Ends an ejection now.',
}

const string = { type: 'string' } as const
const flag = { type: 'boolean' } as const
const help = { type: 'boolean', short: 'h' } as const
const toAdmin = { admin: string, 'token-file': string, json: flag, help } as const
const hand = { ...toAdmin, by: string } as const

/** The options of each command, for who looks for the one that was meant. */
export const operatorOptions = {
  explain: { ...toAdmin, endpoint: string, request: string },
  doctor: {
    service: string,
    http: flag,
    'http-path': string,
    watch: string,
    json: flag,
    config: string,
    consul: string,
    set: { type: 'string', multiple: true },
    help,
  },
  drain: hand,
  undrain: hand,
  eject: hand,
  restore: hand,
} as const

/** @throws what `parseArgs` throws */
export function readExplain(args: readonly string[]): Read {
  const { values, positionals } = parseArgs({
    args: [...args],
    options: operatorOptions.explain,
    strict: true,
    allowPositionals: true,
  })
  if (values.help) return { kind: 'help', text: explainHelp }
  const [service, ...others] = positionals
  if (others.length > 0) return wrong(`explain takes one service, not ${positionals.length}: evenkeel explain --help`)
  const misplaced = wrongAdmin(values)
  if (misplaced !== null) return misplaced
  const { request, endpoint } = values
  if (endpoint === '') return wrong('--endpoint needs an address:port, or the id of an instance')
  if (request !== undefined) {
    if (service !== undefined || endpoint !== undefined) {
      return wrong('explain takes either a service or --request ID: evenkeel explain --help')
    }
    if (request === '') return wrong('--request needs the id of a request')
    return { kind: 'explain', about: { kind: 'request', id: request }, ...adminFlags(values) }
  }
  if (service === undefined || service === '') return wrong('explain needs a service, or --request ID')
  const about = { kind: 'service', service, endpoint: endpoint ?? null } as const
  return { kind: 'explain', about, ...adminFlags(values) }
}

/** @throws what `parseArgs` throws */
export function readDoctor(args: readonly string[]): Read {
  const { values } = parseArgs({ args: [...args], options: operatorOptions.doctor, strict: true })
  if (values.help) return { kind: 'help', text: doctorHelp }
  const { service, config, consul, set, json = false } = values
  if (config === '') return wrong('--config needs the name of a file')
  if (service === '') return wrong('--service needs the name of a service')
  const path = values['http-path']
  if (path !== undefined && !/^\/[\x21-\x7e]*$/.test(path)) {
    return wrong(`--http-path must be a path such as /health, not ${JSON.stringify(path)}`)
  }
  const watchMs = parseDuration(values.watch ?? '3s')
  if (watchMs === null || watchMs > 600_000) {
    return wrong(`--watch must be a duration of at most 10m such as 3s, not ${JSON.stringify(values.watch)}`)
  }
  const httpPath = path ?? (values.http === true ? '/' : null)
  return {
    kind: 'doctor',
    service: service ?? null,
    httpPath,
    watchMs,
    json,
    file: config ?? null,
    flags: { consul, set },
  }
}

/** @throws what `parseArgs` throws */
export function readHand(action: HandAction, args: readonly string[]): Read {
  const { values, positionals } = parseArgs({
    args: [...args],
    options: operatorOptions[action],
    strict: true,
    allowPositionals: true,
  })
  if (values.help) return { kind: 'help', text: handHelp(action) }
  const [service = '', endpoint = '', ...others] = positionals
  if (service === '' || endpoint === '' || others.length > 0) {
    return wrong(`${action} needs a service and an endpoint: evenkeel ${action} SERVICE ADDRESS:PORT`)
  }
  const misplaced = wrongAdmin(values)
  if (misplaced !== null) return misplaced
  return { kind: 'hand', action, service, endpoint, by: values.by ?? null, ...adminFlags(values) }
}

function handHelp(action: HandAction): string {
  return `Usage: evenkeel ${action} SERVICE ENDPOINT [options]

${handTexts[action]}
ENDPOINT is its address:port, as evenkeel explain SERVICE shows it.

  --by NAME          who says so, for the log and for others                    (the user's name)
${adminHelp}`
}

function wrongAdmin({ admin }: { readonly admin?: string | undefined }): Wrong | null {
  if (admin === undefined || adminUrl(admin) !== null) return null
  return wrong(`--admin must be http://host:port, not ${JSON.stringify(admin)}`)
}

function adminFlags(values: {
  readonly admin?: string | undefined
  readonly 'token-file'?: string | undefined
  readonly json?: boolean | undefined
}): AdminFlags {
  return { admin: values.admin ?? null, tokenFile: values['token-file'] ?? null, json: values.json ?? false }
}

function wrong(message: string): Wrong {
  return { kind: 'wrong', message }
}
