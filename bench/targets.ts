/** What is measured against what, and how is each started? */

import { accessSync, constants, mkdirSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import process from 'node:process'
import type { Build } from './build.ts'
import { ask } from './ipc.ts'
import { caddyConfig, haproxyConfig, nginxConfig, type PeerConfig } from './peers/configs.ts'
import type { MendedQuestion } from './peers/http-proxy-mended.ts'
import { type Address, type Child, type Fleet, freePort, untilListening } from './processes.ts'

export const peerNames = ['http-proxy', 'nginx', 'haproxy', 'caddy'] as const
export type PeerName = (typeof peerNames)[number]

export interface TargetSpec {
  /** As the table names it. */
  readonly name: string
  readonly kind: 'direct' | 'evenkeel' | PeerName
  /** Upstream keep-alive. */
  readonly keepAlive: boolean
  /** Evenkeel's engine; empty for all others. */
  readonly engine: string
  /** The commit that Evenkeel is built from; empty: the working tree. */
  readonly commit: string
  /** How many services Evenkeel's table holds; each has the same instances. */
  readonly services: number
}

export interface Target {
  readonly spec: TargetSpec
  /** `http://host:port` */
  readonly origin: string
  /** It and all processes that descend from it are the target; null for `direct`. */
  readonly child: Child | null
}

export interface Surroundings {
  readonly fleet: Fleet
  readonly build: Build
  /** Of the commit that is measured beside the working tree. */
  readonly against: Build | null
}

/** In the table of which it is asked whether it costs more than one of a single service. */
export const manyServices = 10_000

/** The service that requests are for. */
export const serviceName = (index: number): string => (index === 0 ? 'web' : `web-${index}`)

const listenHost = '127.0.0.1'

export const direct: TargetSpec = {
  name: 'direct',
  kind: 'direct',
  keepAlive: true,
  engine: '',
  commit: '',
  services: 0,
}

/** Named by its engine as soon as there are several. */
export function evenkeel(
  engine: string,
  engines: readonly string[],
  keepAlive: boolean,
  { services = 1, commit = '' }: { readonly services?: number; readonly commit?: string } = {},
): TargetSpec {
  const which = engines.length > 1 ? `evenkeel ${engine}` : 'evenkeel'
  const size = services > 1 ? `, ${services.toLocaleString('en')} services` : ''
  const whose = commit === '' ? '' : ` @${commit}`
  const name = `${which} ${keepAlive ? 'on' : 'off'}${size}${whose}`
  return { name, kind: 'evenkeel', keepAlive, engine, commit, services }
}

export function peer(kind: PeerName, keepAlive: boolean): TargetSpec {
  return { name: `${kind} ${keepAlive ? 'on' : 'off'}`, kind, keepAlive, engine: '', commit: '', services: 0 }
}

/** The program on PATH; null when this machine does not have it. */
export function programOf(name: PeerName): string | null {
  if (name === 'http-proxy') return process.execPath
  for (const dir of [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin']) {
    const path = join(dir, name)
    try {
      accessSync(path, constants.X_OK)
      return path
    } catch {
      // Not in this folder.
    }
  }
  return null
}

/** Resolves when it accepts connections. */
export async function startTarget(
  spec: TargetSpec,
  instances: readonly Address[],
  surroundings: Surroundings,
): Promise<Target> {
  const { kind } = spec
  if (kind === 'direct') {
    const [first] = instances
    if (first === undefined) throw new Error('there is no instance to go to directly')
    return { spec, origin: `http://${first.host}:${first.port}`, child: null }
  }
  const { child, port } =
    kind === 'evenkeel'
      ? await startEvenkeel(spec, instances, surroundings)
      : kind === 'http-proxy'
        ? await startMended(spec, instances, surroundings)
        : await startForeign(spec, kind, instances, surroundings)
  return { spec, origin: `http://${listenHost}:${port}`, child }
}

interface Started {
  readonly child: Child
  readonly port: number
}

async function startEvenkeel(
  spec: TargetSpec,
  instances: readonly Address[],
  { fleet, build, against }: Surroundings,
): Promise<Started> {
  const places = instances.map(({ host, port }) => `${host}:${port}`)
  const services = Object.fromEntries(Array.from({ length: spec.services }, (_, index) => [serviceName(index), places]))
  const listen = { host: listenHost, port: await freePort(listenHost) }
  const config = {
    listen,
    admin: { host: listenHost, port: 0 },
    engine: spec.engine,
    discovery: { source: 'static', static: { services } },
    upstream: { keepAlive: spec.keepAlive },
    accessLog: { enabled: false },
    // A line for each of 10,000 services would be read by nobody here.
    log: { level: 'warn' },
  }
  const file = join(folderOf(spec, fleet), 'evenkeel.json')
  writeFileSync(file, JSON.stringify(config))
  const program = spec.commit === '' ? build : against
  if (program === null) throw new Error(`${spec.name} was not built`)
  const args = [program.path('src/main.ts'), 'serve', '--config', file]
  const child = fleet.spawn(spec.name, process.execPath, args, { env: { NODE_ENV: 'production' } })
  // Its table is ready before its data port listens.
  await untilListening(child, listen)
  return { child, port: listen.port }
}

async function startMended(
  spec: TargetSpec,
  instances: readonly Address[],
  { fleet, build }: Surroundings,
): Promise<Started> {
  const child = fleet.spawn(spec.name, process.execPath, [build.path('bench/peers/http-proxy-mended.ts')], {
    ipc: true,
    env: { NODE_ENV: 'production' },
  })
  const question: MendedQuestion = {
    instances: instances.map(({ host, port }) => `http://${host}:${port}`),
    keepAlive: spec.keepAlive,
  }
  return { child, port: await ask<number>(child.process, question) }
}

const foreign = {
  nginx: { config: nginxConfig, args: (file: string, dir: string) => ['-e', 'stderr', '-p', dir, '-c', file] },
  haproxy: { config: haproxyConfig, args: (file: string) => ['-db', '-f', file] },
  caddy: { config: caddyConfig, args: (file: string) => ['run', '--adapter', 'caddyfile', '--config', file] },
} satisfies Record<Exclude<PeerName, 'http-proxy'>, unknown>

async function startForeign(
  spec: TargetSpec,
  kind: keyof typeof foreign,
  instances: readonly Address[],
  { fleet }: Surroundings,
): Promise<Started> {
  const program = programOf(kind)
  if (program === null) throw new Error(`${kind} is not on PATH`)
  const dir = folderOf(spec, fleet)
  const listen = { host: listenHost, port: await freePort(listenHost) }
  const plan: PeerConfig = { listen, instances, keepAlive: spec.keepAlive, dir }
  const file = join(dir, `${kind}.conf`)
  writeFileSync(file, foreign[kind].config(plan))
  // One thread for all; Caddy takes that from the environment, and its own files belong into the folder of this run.
  const env = { GOMAXPROCS: '1', XDG_DATA_HOME: dir, XDG_CONFIG_HOME: dir }
  const child = fleet.spawn(spec.name, program, foreign[kind].args(file, dir), { env })
  await untilListening(child, listen)
  return { child, port: listen.port }
}

let folders = 0

function folderOf(spec: TargetSpec, fleet: Fleet): string {
  folders++
  const dir = join(fleet.dir, `${folders}-${spec.name.replace(/[^a-z0-9]+/gi, '-')}`)
  mkdirSync(dir, { mode: 0o711 })
  return dir
}
