/**
 * How is a source drilled whose instances cannot be reached from here? In a process of its own that is among them, which does
 * all that the drill does; what it wants of the registry it asks for, and it is done here.
 */

import { spawn } from 'node:child_process'
import type { Registry, RegistryKind } from '../support/registries/registry.ts'
import { guardChild } from './children.ts'
import { repository } from './origins.ts'
import { drillEngine } from './proxy-process.ts'
import type { Scope } from './scope.ts'
import { startRegistry } from './source-stage.ts'
import type { Row, SourcePart, SourcesSize } from './sources.ts'

/** The argument that the process is started with, as JSON. */
export interface InsideArguments {
  readonly kind: string
  readonly part: SourcePart
  readonly size: SourcesSize
  readonly engine: string | null
  readonly section: Readonly<Record<string, unknown>>
}

/** What can be asked for: whatever says nothing but that it is done, and the instances that were started. */
export const remoteCalls = ['register', 'deregister', 'startInstances', 'kill', 'startAgain'] as const
export type RemoteCall = (typeof remoteCalls)[number]

export type FromInside =
  | { readonly tell: 'row'; readonly row: Row }
  | { readonly tell: 'failed'; readonly message: string }
  | { readonly tell: 'call'; readonly id: number; readonly call: RemoteCall; readonly args: readonly unknown[] }

export interface ToInside {
  readonly id: number
  readonly value: unknown
  /** Null: it is done. */
  readonly error: string | null
}

/** One row of the table, measured where the instances are. */
export async function rowInside(scope: Scope, kind: RegistryKind, part: SourcePart, size: SourcesSize): Promise<Row> {
  const registry = await startRegistry(scope, kind)
  if (registry.inside === undefined) throw new TypeError(`${kind.name} has no inside`)
  const given: InsideArguments = {
    kind: kind.name,
    part,
    size,
    engine: drillEngine.name,
    section: registry.section([]),
  }
  const [command, args] = registry.inside([
    // Whatever takes the command there may have left this directory.
    ...['sh', '-c', 'cd "$0" && exec "$@"', repository],
    ...[process.execPath, '--import', 'tsx', 'test/drills/source-inside-process.ts', JSON.stringify(given)],
  ])
  const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
  const exited = guardChild(child)
  scope.onEnd(() => {
    child.kill('SIGKILL')
    return exited
  })
  return new Promise((resolve, reject) => {
    void exited.then(() => reject(new Error('the process inside has ended')))
    child.on('message', (message: FromInside) => {
      switch (message.tell) {
        case 'row':
          return resolve(message.row)
        case 'failed':
          return reject(new Error(message.message))
        case 'call':
          return void answer(registry, message.call, message.args).then((said) => {
            if (child.connected) child.send({ id: message.id, ...said } satisfies ToInside)
          })
        default:
          return message satisfies never
      }
    })
  })
}

async function answer(registry: Registry, call: RemoteCall, args: readonly unknown[]): Promise<Omit<ToInside, 'id'>> {
  try {
    const method = registry[call] as ((...args: readonly unknown[]) => Promise<unknown>) | undefined
    return { value: await method?.(...args), error: null }
  } catch (error) {
    return { value: null, error: error instanceof Error ? error.message : String(error) }
  }
}
