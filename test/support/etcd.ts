/** A real etcd for a test: members on free ports of 127.0.0.1, their data in a folder of their own, and never left behind. */

import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { request as httpRequest } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from './consul.ts'
import { findEtcd } from './etcd-binary.ts'
import type { EtcdTls } from './etcd-tls.ts'
import { waitFor } from './wait.ts'

export interface StartEtcdOptions {
  /** Default: 1. */
  readonly members?: number
  /** Default: no TLS. Else clients have to show a certificate of this CA, too. */
  readonly tls?: EtcdTls
  /** More arguments for each member. */
  readonly args?: readonly string[]
}

export interface EtcdMember {
  readonly url: string
  /** null when it does not run. */
  readonly pid: number | null
  /** Sends a signal and resolves once the process is gone. Ports and data stay. Does nothing when it does not run. */
  kill(signal?: NodeJS.Signals): Promise<void>
  /** Starts it again after `kill`, on the same ports; `ready` is to be awaited afterwards. */
  start(): void
  /** Removes its data; it must not run. */
  wipe(): Promise<void>
}

/** A running cluster, and what is changed in it by requests to its first member that runs. */
export interface EtcdCluster {
  /** Where the first member answers. */
  readonly url: string
  readonly members: readonly EtcdMember[]
  /** Waits until the running members agree. */
  ready(): Promise<void>
  /**
   * Sends JSON to a path of the gateway, with the token of `login` if there was one.
   * @throws when the answer is no 200
   */
  post(path: string, body: object): Promise<Record<string, unknown>>
  put(key: string, value: string, lease?: string): Promise<void>
  delete(key: string): Promise<void>
  /** A new lease of so many seconds, by its id. */
  lease(seconds: number): Promise<string>
  /** Forgets all history before the current revision. */
  compact(): Promise<void>
  /** Sets a root user with this password and turns access control on; from then on requests are root's. */
  requireUsers(rootPassword: string): Promise<void>
  /** A user that may read the keys with this prefix, which ends with a slash. */
  addReader(name: string, password: string, prefix: string): Promise<void>
  /** Ends it for good and removes its data. */
  stop(): Promise<void>
}

/**
 * Starts a cluster and waits until it has a leader.
 * @throws when there is no `etcd` to be had, or it does not get ready within 40 s
 */
export async function startEtcd(options: StartEtcdOptions = {}): Promise<EtcdCluster> {
  const binary = await findEtcd()
  const folder = await mkdtemp(join(tmpdir(), 'evenkeel-etcd-'))
  const names = Array.from({ length: options.members ?? 1 }, (_, at) => `m${at + 1}`)
  const ports = new Set<number>()
  while (ports.size < names.length * 2) ports.add(await freePort())
  const [...free] = ports
  const scheme = options.tls === undefined ? 'http' : 'https'
  const places = names.map((name, at) => {
    const [client = 0, peer = 0] = free.slice(at * 2)
    return { name, url: `${scheme}://127.0.0.1:${client}`, peer: `http://127.0.0.1:${peer}` }
  })
  const cluster = places.map(({ name, peer }) => `${name}=${peer}`).join(',')
  const members = places.map(({ name, url, peer }) =>
    makeMember(binary, url, join(folder, name), [
      ...['--name', name, '--listen-client-urls', url, '--advertise-client-urls', url],
      ...['--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer, '--initial-cluster', cluster],
      ...['--logger', 'zap', '--log-level', 'error'],
      ...tlsArguments(options.tls),
      ...(options.args ?? []),
    ]),
  )
  let authorization: Record<string, string> = {}

  async function send(member: EtcdMember, path: string, body: object): Promise<Record<string, unknown>> {
    const { status, text } = await request(`${member.url}${path}`, body, authorization, options.tls)
    if (status !== 200) throw new Error(`etcd answered ${status} to ${path}: ${text}`)
    return JSON.parse(text) as Record<string, unknown>
  }

  const api = {
    post(path: string, body: object) {
      const member = members.find(({ pid }) => pid !== null)
      if (member === undefined) throw new Error('no member of this etcd runs')
      return send(member, path, body)
    },
    async put(key: string, value: string, lease?: string) {
      const granted = lease === undefined ? {} : { lease }
      await api.post('/v3/kv/put', { key: base64(key), value: base64(value), ...granted })
    },
  }

  async function ready(): Promise<void> {
    const running = members.filter(({ pid }) => pid !== null)
    const agree = async () => {
      for (const member of running) {
        const answer = await send(member, '/v3/kv/range', { key: base64('ready?') }).catch((error: Error) => error)
        // Whom it does not know it refuses, and then it knows who it is.
        if (answer instanceof Error && !/user name is empty|invalid auth token/.test(answer.message)) return undefined
      }
      return true
    }
    await waitFor('etcd has a leader', agree, 40_000)
  }

  async function stop(): Promise<void> {
    for (const member of members) await member.kill()
    await rm(folder, { recursive: true, force: true })
  }

  for (const member of members) member.start()
  await ready().catch(async (error) => {
    await stop()
    throw error
  })
  return {
    ...api,
    url: places[0]?.url ?? '',
    members,
    ready,
    async delete(key) {
      await api.post('/v3/kv/deleterange', { key: base64(key) })
    },
    async lease(seconds) {
      const { ID } = await api.post('/v3/lease/grant', { TTL: `${seconds}` })
      return String(ID)
    },
    async compact() {
      const { header } = await api.post('/v3/kv/range', { key: base64('any') })
      await api.post('/v3/kv/compaction', { revision: (header as { revision: string }).revision })
    },
    async requireUsers(rootPassword) {
      await api.post('/v3/auth/user/add', { name: 'root', password: rootPassword })
      await api.post('/v3/auth/user/grant', { user: 'root', role: 'root' })
      await api.post('/v3/auth/enable', {})
      const { token } = await api.post('/v3/auth/authenticate', { name: 'root', password: rootPassword })
      authorization = { authorization: String(token) }
    },
    async addReader(name, password, prefix) {
      const perm = { permType: 'READ', key: base64(prefix), range_end: base64(`${prefix.slice(0, -1)}0`) }
      await api.post('/v3/auth/role/add', { name: `${name}-role` })
      await api.post('/v3/auth/role/grant', { name: `${name}-role`, perm })
      await api.post('/v3/auth/user/add', { name, password })
      await api.post('/v3/auth/user/grant', { user: name, role: `${name}-role` })
    },
    stop,
  }
}

const alive = new Set<ChildProcess>()
process.on('exit', () => {
  for (const child of alive) child.kill('SIGKILL')
})

function makeMember(binary: string, url: string, dataDir: string, args: readonly string[]): EtcdMember {
  let running: { child: ChildProcess; gone: Promise<void>; watchdog: ChildProcess } | null = null
  return {
    url,
    get pid() {
      return running?.child.pid ?? null
    },
    start() {
      if (running !== null) throw new Error('this etcd member runs already')
      const child = spawn(binary, ['--data-dir', dataDir, ...args], { stdio: 'ignore' })
      alive.add(child)
      const gone = new Promise<void>((resolve) => {
        child.once('error', () => resolve())
        child.once('exit', () => resolve())
      }).then(() => void alive.delete(child))
      // A test process that is killed outright runs no exit hook; but its pipe closes, and then this kills the member.
      const watchdog = spawn('sh', ['-c', 'read _; kill -9 "$1" 2>/dev/null', 'sh', `${child.pid}`], {
        stdio: ['pipe', 'ignore', 'ignore'],
      })
      watchdog.on('error', () => {})
      watchdog.stdin?.on('error', () => {})
      watchdog.unref()
      running = { child, gone, watchdog }
    },
    async kill(signal = 'SIGKILL') {
      const { child, gone, watchdog } = running ?? {}
      running = null
      watchdog?.kill('SIGKILL')
      child?.kill(signal)
      await gone
    },
    wipe: () => rm(dataDir, { recursive: true, force: true }),
  }
}

function tlsArguments(tls: EtcdTls | undefined): string[] {
  if (tls === undefined) return []
  const { ca, cert, key } = tls.files
  return ['--client-cert-auth', '--trusted-ca-file', ca, '--cert-file', cert, '--key-file', key]
}

interface Answer {
  readonly status: number
  readonly text: string
}

function request(
  url: string,
  body: object,
  headers: Record<string, string>,
  tls: EtcdTls | undefined,
): Promise<Answer> {
  const options = { method: 'POST', agent: false, headers, signal: AbortSignal.timeout(10_000) } as const
  const { ca, cert, key } = tls ?? {}
  const sent = tls === undefined ? httpRequest(url, options) : httpsRequest(url, { ...options, ca, cert, key })
  return new Promise((resolve, reject) => {
    sent.on('error', reject)
    sent.on('response', async (answer: AsyncIterable<Buffer> & { statusCode?: number }) => {
      try {
        let text = ''
        for await (const piece of answer) text += piece.toString()
        resolve({ status: answer.statusCode ?? 0, text })
      } catch (error) {
        reject(error)
      }
    })
    sent.end(JSON.stringify(body))
  })
}

function base64(text: string): string {
  return Buffer.from(text, 'utf8').toString('base64')
}
