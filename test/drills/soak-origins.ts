/** How does the soak start its instances, and ask what they saw? */

import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { guardChild } from './children.ts'
import { repository } from './origins.ts'
import type { Scope } from './scope.ts'
import type { OriginArguments, OriginStory } from './soak-words.ts'

const program = fileURLToPath(new URL('soak-origin.ts', import.meta.url))
const hosts = {
  good: ['127.0.0.31', '127.0.0.32', '127.0.0.33'],
  evil: ['127.0.0.41', '127.0.0.42', '127.0.0.43'],
  sick: ['127.0.0.51', '127.0.0.52', '127.0.0.53'],
}

export interface SoakOrigins {
  /** `address:port` of each. */
  readonly good: readonly string[]
  readonly evil: readonly string[]
  readonly sick: readonly string[]
  story(): Promise<OriginStory>
  end(): Promise<void>
}

export async function startSoakOrigins(scope: Scope, seed: number): Promise<SoakOrigins> {
  const args: OriginArguments = { ...hosts, seed }
  const child = fork(program, [JSON.stringify(args)], {
    cwd: repository,
    execArgv: ['--import', 'tsx'],
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })
  const exited = guardChild(child)
  const end = async () => {
    child.kill('SIGKILL')
    await exited
  }
  scope.onEnd(end)
  const gone = exited.then((): never => {
    throw new Error('the instances have ended')
  })
  gone.catch(() => {})
  const message = () => Promise.race([once(child, 'message'), gone])

  const [ports] = (await message()) as [number[]]
  const places = [...hosts.good, ...hosts.evil, ...hosts.sick].map((host, index) => `${host}:${ports[index]}`)
  const [evilFrom, sickFrom] = [hosts.good.length, hosts.good.length + hosts.evil.length]
  return {
    good: places.slice(0, evilFrom),
    evil: places.slice(evilFrom, sickFrom),
    sick: places.slice(sickFrom),
    story: async () => {
      const answer = message()
      child.send('story')
      const [story] = (await answer) as [OriginStory]
      return story
    },
    end,
  }
}
