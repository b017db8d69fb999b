/**
 * Not a Docker Engine: a server on a socket that gives the answers which a test has set, in the layout of the API's
 * documentation (https://docs.docker.com/reference/api/engine/version/v1.41/), for what a real one cannot be made to do.
 */

import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface FakeEngine {
  readonly host: string
  /** Paths that were asked for, with their version, in order. */
  readonly asked: string[]
  /** By path without version and query: what is answered. */
  readonly answers: Map<string, unknown>
  /** By path: a status and words instead. */
  readonly refusals: Map<string, { readonly status: number; readonly message: string }>
  /** Paths that are not answered at all. */
  readonly silent: Set<string>
  /** Cuts a connection when it is used for the second time, instead of an answer. */
  forgetful: boolean
  /** How many streams of events are open. */
  readonly streams: number
  event(): void
  /** Ends the streams. */
  endStreams(): void
  /** Cuts every connection. */
  cut(): void
  stop(): Promise<void>
}

export const manager = (cluster = 'c1', index = 10) => ({
  Swarm: { LocalNodeState: 'active', ControlAvailable: true, Cluster: { ID: cluster, Version: { Index: index } } },
})

export const labelled = (name: string, labels: object = { 'evenkeel.port': '80' }) => ({
  ID: `id-${name}`,
  Spec: { Name: name, Labels: labels, TaskTemplate: { ContainerSpec: {} } },
})

/** A task of a service made by `labelled`. */
export const task = (service: string, slot: number, address: string, more: object = {}) => ({
  ID: `t${slot}`,
  ServiceID: `id-${service}`,
  NodeID: 'n1',
  Slot: slot,
  DesiredState: 'running',
  Status: { State: 'running', Timestamp: '2026-01-01T00:00:00.000000000Z' },
  NetworksAttachments: [attachment('web', address)],
  ...more,
})

export const attachment = (name: string, address: string, more: object = {}) => ({
  Network: { ID: `id-${name}`, Spec: { Name: name, ...more }, DriverState: { Name: 'overlay' } },
  Addresses: [`${address}/24`],
})

export const node = (id: string, state = 'ready', availability = 'active') => ({
  ID: id,
  Spec: { Availability: availability },
  Status: { State: state },
})

export async function startFakeEngine(): Promise<FakeEngine> {
  const folder = await mkdtemp(join(tmpdir(), 'evenkeel-engine-'))
  const path = join(folder, 'docker.sock')
  const asked: string[] = []
  const answers = new Map<string, unknown>([
    ['/version', { ApiVersion: '1.41', MinAPIVersion: '1.12' }],
    ['/info', manager()],
    ['/services', [labelled('web')]],
    ['/tasks', [task('web', 1, '10.77.1.3')]],
    ['/nodes', [node('n1')]],
    ['/containers/json', []],
  ])
  const refusals: FakeEngine['refusals'] = new Map()
  const silent = new Set<string>()
  const streams = new Set<ServerResponse>()
  const sockets = new Set<Socket>()
  const used = new WeakSet<Socket>()
  let forgetful = false
  const server = createServer((request, response) => {
    if (forgetful && used.has(request.socket)) return void request.socket.destroy()
    used.add(request.socket)
    const target = request.url ?? '/'
    asked.push(target)
    const bare = target.replace(/^\/v[\d.]+/, '').replace(/\?.*/, '')
    if (silent.has(bare)) return
    const refusal = refusals.get(bare)
    if (refusal !== undefined) {
      response.writeHead(refusal.status).end(JSON.stringify({ message: refusal.message }))
    } else if (bare === '/events') {
      response.writeHead(200).flushHeaders()
      streams.add(response)
      response.once('close', () => streams.delete(response))
    } else {
      response.end(JSON.stringify(answers.get(bare) ?? []))
    }
  })
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  await new Promise<void>((resolve) => server.listen(path, resolve))
  const cut = () => {
    for (const socket of sockets) socket.destroy()
  }
  return {
    host: `unix://${path}`,
    asked,
    answers,
    refusals,
    silent,
    get forgetful() {
      return forgetful
    },
    set forgetful(is) {
      forgetful = is
    },
    get streams() {
      return streams.size
    },
    event() {
      for (const stream of streams) stream.write(`${JSON.stringify({ Type: 'service', Action: 'update' })}\n`)
    },
    endStreams() {
      for (const stream of streams) stream.end()
    },
    cut,
    async stop() {
      const closed = new Promise((resolve) => server.close(resolve))
      cut()
      await closed
      await rm(folder, { recursive: true, force: true })
    },
  }
}
