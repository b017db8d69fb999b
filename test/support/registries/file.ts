/** A file that another one is renamed over, for each change. There is no server: dead means that the file is not there. */

import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { RegisteredInstance, RegistryKind } from './registry.ts'

export const fileRegistry: RegistryKind = {
  name: 'file',
  floor: 'the system tells that it was replaced, and it is read twice, 50 ms apart, for nobody says that it is whole',
  pollMs: 0,
  lacks: async () => null,
  async start() {
    const folder = await mkdtemp(join(tmpdir(), 'evenkeel-registry-'))
    const [path, next, away] = ['catalog.json', 'next', 'away'].map((name) => join(folder, name)) as [
      string,
      string,
      string,
    ]
    const registered = new Map<string, RegisteredInstance>()
    const keyOf = ({ service, id }: RegisteredInstance) => `${service}/${id}`
    const write = async () => {
      await writeFile(next, textOf([...registered.values()]))
      await rename(next, path)
    }
    await write()
    return {
      section: () => ({ path }),
      register: (instances) => {
        for (const instance of instances) registered.set(keyOf(instance), instance)
        return write()
      },
      deregister: (instance) => {
        registered.delete(keyOf(instance))
        return write()
      },
      kill: () => rename(path, away),
      startAgain: () => rename(away, path),
      close: () => rm(folder, { recursive: true, force: true }),
    }
  },
}

function textOf(instances: readonly RegisteredInstance[]): string {
  const services: Record<string, string[]> = {}
  for (const { service, address, port } of instances) {
    services[service] ??= []
    services[service].push(`${address}:${port}`)
  }
  return JSON.stringify({ services })
}
