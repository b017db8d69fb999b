/**
 * `evenkeel drain`, `undrain`, `eject` and `restore`: a person's word on an endpoint, said to a running proxy.
 *
 * What is true now goes to stdout in one sentence, with a line for each thing that might not be expected; what failed goes
 * to stderr in one line.
 */

import { userInfo } from 'node:os'
import { printable } from '../discovery/untrusted-text.ts'
import { type AdminReply, adminTarget, askAdmin } from './admin-client.ts'
import { jsonText } from './terminal.ts'
import type { HandAction, OperatorCommand } from './usage-operator.ts'

export type HandOptions = Extract<OperatorCommand, { kind: 'hand' }>

const done: Readonly<Record<HandAction, string>> = {
  drain: 'is drained: no request goes to it until it is undrained',
  undrain: 'is no longer drained',
  eject: 'is ejected',
  restore: 'is restored, with a clean record',
}
const unchanged: Readonly<Record<HandAction, string>> = {
  drain: 'is drained, as before',
  undrain: 'is not drained, as before',
  eject: 'is ejected, as before',
  restore: 'is not ejected, as before',
}

const longestName = 64
const longestText = 500

/**
 * @param write to stdout
 * @param complain to stderr
 * @returns the exit code: 0 when it is as was said, be it that it was so before; else 1
 */
export async function hand(
  { action, service, endpoint, by, admin, tokenFile, json }: HandOptions,
  env: NodeJS.ProcessEnv,
  write: (text: string) => void,
  complain: (text: string) => void = (text) => void process.stderr.write(text),
): Promise<number> {
  const failed = (why: string): number => {
    complain(`evenkeel: cannot ${action} ${shown(endpoint)} of ${shown(service)}: ${shown(why)}\n`)
    return 1
  }
  const target = adminTarget({ admin, tokenFile }, env)
  if (typeof target === 'string') return failed(target)
  const name = by ?? userName(env)
  const path = `/api/services/${encodeURIComponent(service)}/endpoints/${encodeURIComponent(endpoint)}/${action}`
  const reply = await askAdmin(target, 'POST', path, name === null ? {} : { by: printable(name, longestName) })
  if (json && reply.kind === 'answered') write(jsonText(reply.body))
  if (reply.kind === 'failed') return failed(reply.message)
  const told = readReply(reply)
  if (typeof told === 'string') return failed(told)
  if (!json) {
    const [first, ...notes] = [
      `${endpoint} of ${service} ${told.isDone ? done[action] : unchanged[action]}`,
      ...told.notes,
    ]
    write(`${shown(first)}.\n${notes.map((note) => `  - ${shown(note)}\n`).join('')}`)
  }
  return 0
}

interface Told {
  readonly isDone: boolean
  readonly notes: readonly string[]
}

/** A text says what went wrong and what to do. */
function readReply({ status, body }: Extract<AdminReply, { kind: 'answered' }>): Told | string {
  const { result, notes, detail } = (typeof body === 'object' && body !== null ? body : {}) as Record<string, unknown>
  if (status === 200 && (result === 'done' || result === 'unchanged') && Array.isArray(notes)) {
    return { isDone: result === 'done', notes: notes.filter((note) => typeof note === 'string') }
  }
  const why = typeof detail === 'string' ? detail : 'the answer is none that this version understands'
  const cure =
    status === 401 || status === 403
      ? ' The token comes from --token-file FILE or EVENKEEL_ADMIN_TOKEN.'
      : status === 405
        ? ' Is the proxy of an older version?'
        : ''
  return `${why}${cure} (${status})`
}

/** Null in a container whose user has no name. */
function userName(env: NodeJS.ProcessEnv): string | null {
  try {
    return userInfo().username
  } catch {
    return env.USER || null
  }
}

/** Nothing of what the catalog or the proxy says may move the cursor. */
function shown(text: string): string {
  return printable(text, longestText)
}
