/**
 * A real Docker Engine for a test: in network, mount and process namespaces of its own, so that whatever it sets up
 * there (bridges, overlays, containers) is not seen outside, reaches nothing outside, and is gone when they end. They end
 * with the test process, however that ends: their first process reads from a pipe that it holds.
 */

import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cp, mkdir, mkdtemp, readdir, readFile, rm, rmdir, symlink, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { findDocker } from './docker-binary.ts'
import { waitFor } from './wait.ts'

const run = promisify(execFile)

/** Debian's folder for the libraries of this machine. */
const LIBRARIES = process.arch === 'arm64' ? 'aarch64-linux-gnu' : 'x86_64-linux-gnu'
/** The first process of a container is not ended by a SIGTERM that it does not listen to. */
const StopSignal = 'SIGKILL'
/** Where the nodes of a swarm find each other, in their namespaces: addresses for benchmarks (RFC 2544). */
const MANAGER = '198.18.0.1'
const WORKER = '198.18.0.2'

/** The image of all containers: busybox, statically linked. */
export const IMAGE = 'box:1'

export interface StartDockerOptions {
  /** Whether it begins a swarm, joins that of a manager as a worker, or is in none. */
  readonly swarm: 'manager' | 'none' | { readonly join: Docker }
  /** More arguments for `dockerd`. */
  readonly args?: readonly string[]
}

export interface SampleService {
  readonly name: string
  readonly labels?: Readonly<Record<string, string>>
  /** Names of networks. */
  readonly networks?: readonly string[]
  readonly replicas?: number
  readonly command?: readonly string[]
  /** A shell command, run each second; that it fails counts once it has succeeded, or after 30 s. */
  readonly health?: string
  /** Publishes this port of its containers on the ingress network, so that its tasks are on that as well. */
  readonly published?: number
  /** `from:to` */
  readonly bind?: string
  /** More of its ContainerSpec. */
  readonly container?: object
}

export type Json = Record<string, unknown>

export interface Docker {
  /** The first process in its namespaces. */
  readonly pid: string
  /** The Engine's socket. */
  readonly path: string
  /** Where its data is, its log among them. */
  readonly folder: string
  /** Ends `dockerd` at once, and nothing else. */
  kill(): Promise<void>
  /** Starts it again; resolves once it answers, and is in its swarm again if it was in one. */
  start(): Promise<void>
  /**
   * One request to the API, JSON or an archive in, JSON out.
   * @throws when the answer is not 2xx
   */
  api(method: string, path: string, body?: object | Buffer): Promise<unknown>
  createNetwork(name: string, more?: object): Promise<void>
  /** Resolves with its id as soon as the Engine knows it. */
  createService(service: SampleService): Promise<string>
  /** `change` gets the Spec to alter. */
  updateService(id: string, change: (spec: Json) => void): Promise<void>
  scale(id: string, replicas: number): Promise<void>
  /** Creates and starts a container; resolves with its id. */
  runContainer(name: string, config: object): Promise<string>
  /** Runs a command in a container, and waits until it has ended. */
  exec(container: string, command: readonly string[]): Promise<void>
  /** What makes of a command one that runs in the network of this container, as long as that runs. */
  networkOf(container: string): Promise<(command: readonly string[]) => readonly [string, readonly string[]]>
  /** Ends it and all that runs in it, and removes its data. */
  stop(): Promise<void>
}

/**
 * Starts an Engine with the image loaded.
 * @throws when there is none to be had, or it does not get ready within 60 s
 */
export async function startDocker({ swarm, args = [] }: StartDockerOptions): Promise<Docker> {
  const tree = await findDocker()
  const folder = await mkdtemp(join(tmpdir(), 'evenkeel-docker-'))
  const bin = join(folder, 'bin')
  const path = join(folder, 'docker.sock')
  const isManager = swarm === 'manager'
  const group = `evenkeel-${folder.slice(-6)}`
  await mkdir(bin)
  for (const name of ['iptables', 'ip6tables']) await symlink(`${tree}/usr/sbin/xtables-legacy-multi`, join(bin, name))
  await symlink(`${tree}/usr/bin/tini-static`, join(bin, 'docker-init'))
  await writeFile(join(folder, 'daemon.json'), '{}')
  const env = {
    ...process.env,
    HOME: folder,
    PATH: `${bin}:${tree}/usr/sbin:${tree}/usr/bin:${process.env.PATH}`,
    LD_LIBRARY_PATH: ['usr/lib', 'lib'].map((name) => join(tree, name, LIBRARIES)).join(':'),
    XTABLES_LIBDIR: join(tree, 'usr/lib', LIBRARIES, 'xtables'),
  }
  const own = ['--net', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc']
  const first = spawn('unshare', [...own, 'sh', '-c', 'ip link set lo up; exec tini-static -s cat'], {
    env,
    stdio: ['pipe', 'ignore', 'ignore'],
  })
  first.stdin?.on('error', () => {})
  const over = once(first, 'exit')
  const isOver = () => first.exitCode !== null || first.signalCode !== null
  let pid = ''
  let daemon: ChildProcess | null = null

  async function stop(): Promise<void> {
    first.kill('SIGKILL')
    if (!isOver()) await over
    await rm(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 })
    await removeGroups(group)
  }

  const inside = (...command: string[]): [string, string[]] => [
    'nsenter',
    ['-t', pid, '-n', '-m', '-p', '--', ...command],
  ]

  async function start(): Promise<void> {
    // What a killed one has left: its number may be another's by now.
    await rm(join(folder, 'docker.pid'), { force: true })
    const options = [
      ...['--data-root', join(folder, 'data'), '--exec-root', join(folder, 'exec'), '-p', join(folder, 'docker.pid')],
      ...['-H', `unix://${path}`, '--config-file', join(folder, 'daemon.json'), '--cgroup-parent', `/${group}`],
      ...['--storage-driver', 'vfs', '--bridge', 'none', '--iptables=false', '--ip6tables=false', ...args],
    ]
    const script = `exec dockerd "$@" >>${join(folder, 'log')} 2>&1`
    const [command, rest] = inside('sh', '-c', script, 'dockerd', ...options)
    const started = spawn(command, rest, { env, stdio: 'ignore' })
    daemon = started
    let failed = false
    started.on('error', () => {
      failed = true
    })
    started.once('exit', () => {
      failed = true
    })
    await waitFor(
      'dockerd answers',
      async () => {
        if (failed) throw new Error(`dockerd has ended: ${(await readFile(join(folder, 'log'), 'utf8')).slice(-2000)}`)
        const info = await api('GET', '/info').catch(() => null)
        const { LocalNodeState, ControlAvailable } = ((info as Json | null)?.Swarm ?? {}) as Json
        return (
          LocalNodeState === 'inactive' || (LocalNodeState === 'active' && (!isManager || ControlAvailable === true))
        )
      },
      60_000,
    )
  }

  async function api(method: string, target: string, body?: object | Buffer): Promise<unknown> {
    // From 1.30 on the Engine asks a registry for the digest of a service's image.
    const version = target.startsWith('/services/') && method === 'POST' ? '1.29' : '1.41'
    const { status, text } = await send(path, method, `/v${version}${target}`, body)
    if (status < 200 || status > 299) throw new Error(`docker answered ${status} to ${method} ${target}: ${text}`)
    return text.startsWith('{') || text.startsWith('[') ? JSON.parse(text.split('\n')[0] ?? '') : text
  }

  const idOf = (answer: unknown): string => String((answer as Json).ID ?? (answer as Json).Id)

  const docker: Docker = {
    get pid() {
      return pid
    },
    path,
    folder,
    start,
    stop,
    api,
    async kill() {
      const process = daemon
      daemon = null
      if (process === null || process.exitCode !== null) return
      const gone = once(process, 'exit')
      const numbers = ['docker.pid', 'exec/containerd/containerd.pid'].map((name) =>
        readFile(join(folder, name), 'utf8'),
      )
      // Its containerd as well: it would stay, and the next dockerd would wait for it in vain.
      const [command, rest] = inside('kill', '-KILL', ...(await Promise.all(numbers)).map((number) => number.trim()))
      await run(command, rest)
      await gone
    },
    async createNetwork(name, more = {}) {
      await api('POST', '/networks/create', {
        Name: name,
        Driver: isManager ? 'overlay' : 'bridge',
        Attachable: isManager,
        ...more,
      })
    },
    async createService(service) {
      return idOf(await api('POST', '/services/create', specOf(service)))
    },
    async updateService(id, change) {
      const { Spec, Version } = (await api('GET', `/services/${id}`)) as { Spec: Json; Version: { Index: number } }
      change(Spec)
      await api('POST', `/services/${id}/update?version=${Version.Index}`, Spec)
    },
    scale: (id, replicas) =>
      docker.updateService(id, (spec) => {
        spec.Mode = { Replicated: { Replicas: replicas } }
      }),
    async runContainer(name, config) {
      const id = idOf(
        await api('POST', `/containers/create?name=${name}`, {
          Image: IMAGE,
          Cmd: ['sleep', '3600'],
          StopSignal,
          ...config,
        }),
      )
      await api('POST', `/containers/${id}/start`)
      return id
    },
    async exec(container, command) {
      const id = idOf(await api('POST', `/containers/${container}/exec`, { Cmd: command }))
      await api('POST', `/exec/${id}/start`, { Detach: true })
      await waitFor(`${command.join(' ')} has ended`, async () => {
        const { Running, ExitCode } = (await api('GET', `/exec/${id}/json`)) as Json
        if (Running === false && ExitCode !== 0) throw new Error(`${command.join(' ')} ended with ${ExitCode}`)
        return Running === false
      })
    },
    async networkOf(container) {
      const { State } = (await api('GET', `/containers/${container}/json`)) as { State: { Pid: number } }
      if (State.Pid === 0) throw new Error(`the container ${container} does not run`)
      return (command) => inside('nsenter', '-t', `${State.Pid}`, '-n', '--', ...command)
    },
  }

  try {
    pid = await waitFor('the namespaces are there', async () => {
      if (isOver()) throw new Error('no namespaces could be made')
      const children = await readFile(`/proc/${first.pid}/task/${first.pid}/children`, 'utf8').catch(() => '')
      const child = children.trim()
      // Before that it is unshare itself, whose namespaces are not ready.
      const name = child === '' ? '' : await readFile(`/proc/${child}/comm`, 'utf8').catch(() => '')
      return name.startsWith('tini') ? child : undefined
    })
    await start()
    await api('POST', '/images/create?fromSrc=-&repo=box&tag=1', await image(tree, folder))
    if (swarm === 'manager') {
      await inNetwork(pid, `ip link add evk type bridge && ip addr add ${MANAGER}/24 dev evk && ip link set evk up`)
      const address = { AdvertiseAddr: MANAGER, ListenAddr: `${MANAGER}:2377` }
      // A node that is not heard of for three of these is down; the default is 5 s.
      const Spec = { Dispatcher: { HeartbeatPeriod: 1_000_000_000 } }
      await api('POST', '/swarm/init', { ...address, Spec, DefaultAddrPool: ['10.77.0.0/16'], SubnetSize: 24 })
    } else if (swarm !== 'none') {
      const { pid: at } = swarm.join
      await inNetwork(at, `ip link add evkw type veth peer name evk netns ${pid} && ip link set evkw master evk up`)
      await inNetwork(pid, `ip addr add ${WORKER}/24 dev evk && ip link set evk up`)
      const { JoinTokens } = (await swarm.join.api('GET', '/swarm')) as { JoinTokens: { Worker: string } }
      const address = { AdvertiseAddr: WORKER, ListenAddr: `${WORKER}:2377`, RemoteAddrs: [`${MANAGER}:2377`] }
      await api('POST', '/swarm/join', { ...address, JoinToken: JoinTokens.Worker })
    }
  } catch (error) {
    await stop()
    throw error
  }
  return docker
}

async function inNetwork(pid: string, script: string): Promise<void> {
  await run('nsenter', ['-t', pid, '-n', '--', 'sh', '-c', script])
}

function specOf({
  name,
  labels = {},
  networks = [],
  replicas = 1,
  command,
  health,
  bind,
  container,
  published,
}: SampleService): object {
  const second = 1_000_000_000
  const Healthcheck = {
    Test: ['CMD-SHELL', health],
    Interval: second,
    Timeout: second,
    Retries: 1,
    StartPeriod: 30 * second,
  }
  const [Source, Target] = (bind ?? '').split(':')
  const ContainerSpec = {
    Image: IMAGE,
    Args: command ?? ['sleep', '3600'],
    StopGracePeriod: 0,
    StopSignal,
    ...(health === undefined ? {} : { Healthcheck }),
    ...(bind === undefined ? {} : { Mounts: [{ Type: 'bind', Source, Target }] }),
    ...container,
  }
  return {
    Name: name,
    Labels: labels,
    Mode: { Replicated: { Replicas: replicas } },
    TaskTemplate: {
      ContainerSpec,
      Networks: networks.map((network) => ({ Target: network })),
      RestartPolicy: { Condition: 'any', Delay: second / 2 },
    },
    EndpointSpec: { Mode: 'vip', ...(published === undefined ? {} : { Ports: [{ TargetPort: published }] }) },
  }
}

/** A file system with busybox in it, as an archive. */
async function image(tree: string, folder: string): Promise<Buffer> {
  const root = join(folder, 'image')
  for (const name of ['bin', 'tmp', 'etc', 'proc', 'host']) await mkdir(join(root, name), { recursive: true })
  await cp(join(tree, 'bin/busybox'), join(root, 'bin/busybox'))
  for (const name of ['sh', 'sleep', 'test', 'touch', 'rm', 'false', 'chroot', 'wget']) {
    await symlink('busybox', join(root, 'bin', name))
  }
  const { stdout } = await run('tar', ['-C', root, '-c', '.'], { encoding: 'buffer', maxBuffer: 64 * 1024 * 1024 })
  return stdout
}

/** The control groups of what has run in it outlive it. They are empty once the last process is gone, a moment later. */
async function removeGroups(group: string): Promise<void> {
  const root = '/sys/fs/cgroup'
  const controllers = await readdir(root).catch(() => [])
  const places = [join(root, group), ...controllers.map((name) => join(root, name, group))]
  const isGone = async () => {
    let left = 0
    for (const place of places) {
      const below = await readdir(place, { recursive: true, withFileTypes: true }).catch(() => null)
      if (below === null) continue
      left += 1
      const folders = below.filter((entry) => entry.isDirectory()).map((entry) => join(entry.parentPath, entry.name))
      for (const each of [...folders.sort().reverse(), place]) await rmdir(each).catch(() => {})
    }
    return left === 0
  }
  // They harm nobody: that they stay is no failure of what was tested.
  await waitFor('the control groups are gone', isGone, 2000).catch(() => {})
}

function send(
  socketPath: string,
  method: string,
  path: string,
  body: object | Buffer | undefined,
): Promise<{ readonly status: number; readonly text: string }> {
  const isArchive = Buffer.isBuffer(body)
  const headers = { host: 'docker', 'content-type': isArchive ? 'application/x-tar' : 'application/json' }
  return new Promise((resolve, reject) => {
    const signal = AbortSignal.timeout(30_000)
    const sent = request({ socketPath, method, path, headers, agent: false, signal })
    sent.on('error', reject)
    sent.on('response', async (answer) => {
      try {
        let text = ''
        for await (const piece of answer) text += String(piece)
        resolve({ status: answer.statusCode ?? 0, text })
      } catch (error) {
        reject(error)
      }
    })
    sent.end(isArchive ? body : body === undefined ? undefined : JSON.stringify(body))
  })
}
