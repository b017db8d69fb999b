/** The process that drills a source where its instances are; see source-inside.ts. Ends with its parent. */

import { registries } from '../support/registries/all.ts'
import type { Registry, StartedInstance } from '../support/registries/registry.ts'
import { drillEngine } from './proxy-process.ts'
import { scoped } from './scope.ts'
import type { FromInside, InsideArguments, RemoteCall, ToInside } from './source-inside.ts'
import { measureRow } from './sources.ts'

const { kind: name, part, size, engine, section }: InsideArguments = JSON.parse(process.argv[2] ?? '')
drillEngine.name = engine
process.on('disconnect', () => process.exit())

const waiting = new Map<number, (answer: ToInside) => void>()
process.on('message', (answer: ToInside) => {
  waiting.get(answer.id)?.(answer)
  waiting.delete(answer.id)
})
let asked = 0

function tell(message: FromInside): Promise<void> {
  return new Promise((resolve) => void process.send?.(message, () => resolve()))
}

async function ask(call: RemoteCall, ...args: readonly unknown[]): Promise<unknown> {
  const id = ++asked
  const answered = new Promise<ToInside>((resolve) => waiting.set(id, resolve))
  await tell({ tell: 'call', id, call, args })
  const { value, error } = await answered
  if (error !== null) throw new Error(error)
  return value
}

const remote: Registry = {
  section: () => section,
  register: async (instances) => void (await ask('register', instances)),
  deregister: async (instance) => void (await ask('deregister', instance)),
  startInstances: async (names) => (await ask('startInstances', names)) as readonly StartedInstance[],
  kill: async () => void (await ask('kill')),
  startAgain: async () => void (await ask('startAgain')),
  close: async () => {},
}

try {
  const kind = registries.find((each) => each.name === name)
  if (kind === undefined) throw new Error(`there is no registry ${name}`)
  const row = await scoped((scope) => measureRow(scope, { ...kind, start: async () => remote }, part, size))
  await tell({ tell: 'row', row })
} catch (error) {
  await tell({ tell: 'failed', message: error instanceof Error ? error.message : String(error) })
}
process.exit()
