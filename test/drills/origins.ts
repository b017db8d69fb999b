/** How does a drill start instances, change how they behave, and read what they have counted? */

import { fork } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Exit, guardChild } from './children.ts'
import type { Behaviour, FromOrigin, OriginArguments, ToOrigin } from './origin-messages.ts'
import type { Scope } from './scope.ts'

export const repository = fileURLToPath(new URL('../../', import.meta.url))
const program = fileURLToPath(new URL('origin-process.ts', import.meta.url))

export interface Origin {
  readonly name: string
  readonly address: string
  readonly port: number
  /** `address:port`, as the proxy names it. */
  readonly endpoint: string
  behave(behaviour: Partial<Behaviour>): Promise<void>
  /** Requests that have arrived so far, by its own count. */
  count(): Promise<number>
  /** Requests that began and were not answered, by their numbers: known even of a process that was killed. */
  unanswered(): Promise<readonly string[]>
  /** Stops listening and cuts idle connections, at once; the process ends when what is in flight is answered. */
  close(): Promise<void>
  /** `kill -9`; resolves once the process is gone. */
  kill(): Promise<Exit>
}

/** Starts `names.length` instances, on loopback addresses of their own: 127.0.0.21, 127.0.0.22, … */
export async function startOrigins(scope: Scope, names: readonly string[]): Promise<readonly Origin[]> {
  const folder = await mkdtemp(join(tmpdir(), 'evenkeel-origins-'))
  scope.onEnd(() => rm(folder, { recursive: true, force: true }))
  return Promise.all(
    names.map((name, index) =>
      startOrigin(scope, { name, address: `127.0.0.${21 + index}`, ledger: join(folder, `${name}.log`) }),
    ),
  )
}

async function startOrigin(scope: Scope, args: OriginArguments): Promise<Origin> {
  const child = fork(program, [JSON.stringify(args)], {
    cwd: repository,
    execArgv: ['--import', 'tsx'],
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })
  const exited = guardChild(child)
  const kill = () => {
    child.kill('SIGKILL')
    return exited
  }
  scope.onEnd(kill)

  const waiting = new Map<number, (requests: number) => void>()
  let listening: (port: number) => void = () => {}
  const port = new Promise<number>((resolve, reject) => {
    listening = resolve
    void exited.then(() => reject(new Error(`instance ${args.name} ended before it listened`)))
  })
  child.on('message', (message: FromOrigin) => {
    if (message.tell === 'listening') return listening(message.port)
    waiting.get(message.id)?.(message.requests)
    waiting.delete(message.id)
  })
  let asked = 0
  const ask = (message: (id: number) => ToOrigin): Promise<number> =>
    new Promise((resolve, reject) => {
      const id = ++asked
      waiting.set(id, resolve)
      child.send(message(id), (error) => {
        if (error !== null) reject(error)
      })
    })

  let behaviour: Behaviour = { status: 200, delayMs: 0 }
  const ownPort = await port
  return {
    name: args.name,
    address: args.address,
    port: ownPort,
    endpoint: `${args.address}:${ownPort}`,
    behave: async (change) => {
      behaviour = { ...behaviour, ...change }
      await ask((id) => ({ ask: 'behave', id, behaviour }))
    },
    count: () => ask((id) => ({ ask: 'count', id })),
    unanswered: async () => {
      const open = new Set<string>()
      for (const line of (await readFile(args.ledger, 'utf8')).split('\n')) {
        const [what, id = ''] = line.split(' ')
        if (what === 'begun') open.add(id)
        else open.delete(id)
      }
      return [...open]
    },
    close: async () => {
      await Promise.race([ask((id) => ({ ask: 'close', id })), exited])
    },
    kill,
  }
}
