/** What did `/readyz` say, and from when on? */

import { Agent, request } from 'node:http'
import { clockMs } from './findings.ts'
import type { Scope } from './scope.ts'

export interface ReadyzSpell {
  /** `fresh`, `stale`, `starting`, `draining`; `unreachable`: no answer. */
  readonly state: string
  readonly fromMs: number
}

export interface ReadyzWatch {
  /** What it said last; null: it has not been asked yet. */
  last(): string | null
  /** Ends the watch: its spells since `sinceMs` (`clockMs`), with times from then on. */
  stop(sinceMs: number): readonly ReadyzSpell[]
}

const everyMs = 50

/** Asks a proxy's admin port again and again. */
export function watchReadyz(scope: Scope, adminPort: number): ReadyzWatch {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  const spells: ReadyzSpell[] = []
  let isAsking = false
  const note = (state: string) => {
    isAsking = false
    if (spells.at(-1)?.state !== state) spells.push({ state, fromMs: clockMs() })
  }
  const ask = () => {
    if (isAsking) return
    isAsking = true
    const sent = request({ host: '127.0.0.1', port: adminPort, path: '/readyz', agent, timeout: 5_000 }, (answer) => {
      let text = ''
      answer.setEncoding('utf8').on('data', (piece: string) => {
        text += piece
      })
      answer.on('end', () => note(text.split('\n')[0] ?? ''))
    })
    sent.on('timeout', () => sent.destroy(new Error('no answer')))
    sent.on('error', () => note('unreachable'))
    sent.end()
  }
  const timer = setInterval(ask, everyMs)
  const end = () => {
    clearInterval(timer)
    agent.destroy()
  }
  scope.onEnd(end)
  return {
    last: () => spells.at(-1)?.state ?? null,
    stop: (sinceMs) => {
      end()
      // What was said before goes on into the time that is asked for.
      const current = spells.findLastIndex(({ fromMs }) => fromMs <= sinceMs)
      return spells
        .slice(Math.max(0, current))
        .map(({ state, fromMs }) => ({ state, fromMs: Math.max(0, fromMs - sinceMs) }))
    },
  }
}
