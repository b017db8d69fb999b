/**
 * Do requests get to the tasks of a real swarm? The proxy runs as people run it: in a container on the overlay, with the
 * Engine's socket. The demo's account service asks its quotes service through it, by name. And the Engine dies, and is not missed.
 */

import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Docker, startDocker } from '../support/docker.ts'
import { dockerLacks } from '../support/docker-binary.ts'
import { waitFor } from '../support/wait.ts'

const run = promisify(execFile)
const lacks = await dockerLacks()
const why = lacks === null ? '' : ` (skipped: ${lacks})`
const root = fileURLToPath(new URL('../../', import.meta.url))

/** A command for a container that has this machine's files below /host: in there, with Node and this repository. */
function here(...args: readonly string[]): string[] {
  return ['chroot', '/host', 'sh', '-c', 'cd "$0" && exec "$@"', root, process.execPath, '--import', 'tsx', ...args]
}

/** Asks one after the other and prints each answer's status and body. */
const ASK = `
const [url, count] = process.argv.slice(1)
for (let at = 0; at < Number(count); at += 1) {
  try {
    const answer = await fetch(url, { signal: AbortSignal.timeout(5000) })
    console.log(JSON.stringify({ status: answer.status, body: await answer.text() }))
  } catch (error) {
    console.log(JSON.stringify({ status: 0, body: String(error) }))
  }
}`

describe.skipIf(lacks !== null)(`a proxy on the overlay of a real swarm${why}`, () => {
  let docker: Docker
  let inNetwork: Awaited<ReturnType<Docker['networkOf']>>
  let accounts = ''
  beforeAll(async () => {
    docker = await startDocker({ swarm: 'manager' })
    await docker.createNetwork('web')
    const set = ['discovery.source=swarm', `discovery.swarm.host=unix://${docker.path}`, 'discovery.swarm.network=web']
    const proxy = await docker.runContainer('proxy', {
      Cmd: here('src/main.ts', 'serve', ...set.flatMap((each) => ['--set', each])),
      HostConfig: { NetworkMode: 'web', Binds: ['/:/host'] },
    })
    const { NetworkSettings } = (await docker.api('GET', `/containers/${proxy}/json`)) as Inspected
    const url = `http://${NetworkSettings.Networks.web?.IPAddress}:8080`
    inNetwork = await docker.networkOf(proxy)
    const sample = (name: string, port: number, replicas: number) =>
      docker.createService({
        name,
        replicas,
        networks: ['web'],
        labels: { 'evenkeel.port': `${port}` },
        bind: '/:/host',
        // Without it a task counts as running before it listens.
        health: `wget -q -O /dev/null http://127.0.0.1:${port}/health`,
        command: here('test/support/swarm-sample.ts', name, `${port}`, url),
      })
    accounts = await sample('accountservice', 7001, 3)
    await sample('quotes-service', 7002, 2)
  })
  afterAll(() => docker?.stop())

  /** From the container of the proxy, which nothing outside can reach. */
  async function ask(target: string, count: number): Promise<{ status: number; body: string }[]> {
    const [command, args] = inNetwork([process.execPath, '--input-type=module', '-e', ASK, target, `${count}`])
    const { stdout } = await run(command, [...args])
    return stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { status: number; body: string })
  }

  const account = 'http://127.0.0.1:8080/accountservice/accounts/10001'

  /** Who served each of these requests, and who their quotes. */
  async function served(count: number): Promise<{ accounts: string[]; quotes: string[] } | undefined> {
    const answers = await ask(account, count)
    if (answers.some(({ status }) => status !== 200)) return undefined
    const bodies = answers.map(({ body }) => JSON.parse(body) as { servedBy: string; quote: { ipAddress: string } })
    return { accounts: bodies.map(({ servedBy }) => servedBy), quotes: bodies.map(({ quote }) => quote.ipAddress) }
  }

  /** Waits until exactly so many are in the walk. */
  async function walk(accounts: number, quotes: number) {
    const length = accounts * quotes * 2
    return waitFor(
      `the walk goes over ${accounts} and ${quotes}`,
      async () => {
        const seen = await served(length)
        if (seen === undefined) return undefined
        return new Set(seen.accounts).size === accounts && new Set(seen.quotes).size === quotes && seen
      },
      40_000,
    )
  }

  test('servedBy walks over the replicas in turn, and over those that come', { timeout: 90_000 }, async () => {
    await walk(3, 2)
    const three = await served(12)
    expect(three?.accounts.slice(3)).toEqual(three?.accounts.slice(0, -3))
    expect(three?.quotes.slice(2)).toEqual(three?.quotes.slice(0, -2))
    await docker.scale(accounts, 4)
    await walk(4, 2)
    const four = await served(16)
    expect(four?.accounts.slice(4)).toEqual(four?.accounts.slice(0, -4))
    expect(new Set(four?.accounts).size).toBe(4)
  })

  test('while the Engine is away all are served as before', { timeout: 90_000 }, async () => {
    const before = await walk(4, 2)
    const ready = async () => (await ask('http://127.0.0.1:8081/readyz', 1))[0]?.body ?? ''
    await docker.kill()
    await waitFor('it is stale', async () => (await ready()).includes('stale'), 20_000)
    const during = await served(16)
    expect(new Set(during?.accounts)).toEqual(new Set(before.accounts))
  })
})

interface Inspected {
  readonly NetworkSettings: { readonly Networks: Readonly<Record<string, { readonly IPAddress: string }>> }
}
