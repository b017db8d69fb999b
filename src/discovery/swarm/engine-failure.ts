/** Something asked of a Docker Engine failed: in which words, with which cure, and how soon may it be tried again? Pure. */

import { type Failure, isTlsCode, SHORT_OF_FILES } from '../failure.ts'
import { printable } from '../untrusted-text.ts'

/** What went wrong, as the one that asked saw it. */
export type EngineMishap =
  | { readonly kind: 'status'; readonly status: number; readonly body: string }
  | { readonly kind: 'network'; readonly code: string; readonly message: string }
  | { readonly kind: 'deadline'; readonly afterMs: number }
  | { readonly kind: 'shape'; readonly message: string }
  /** The stream of events is over. */
  | { readonly kind: 'ended' }
  /** It is part of a swarm, but no manager. */
  | { readonly kind: 'worker' }
  /** It was a manager before, and is in no swarm any more. */
  | { readonly kind: 'left' }
  /** It is on its way into its swarm, or cannot get there. */
  | { readonly kind: 'not-ready'; readonly state: string; readonly error: string }
  | { readonly kind: 'full'; readonly most: number }

const MAX_EXCERPT = 160
const CHECK_HOST = 'check discovery.swarm.host: does a Docker Engine answer there?'
const TO_A_MANAGER =
  'set discovery.swarm.host to a manager ("docker node ls" on one names them), or run Evenkeel on one: placement constraint node.role == manager'

/** @param host as the config has it */
export function engineFailure(mishap: EngineMishap, host: string): Failure {
  switch (mishap.kind) {
    case 'status':
      return statusFailure(mishap.status, wordsOf(mishap.body), host)
    case 'network':
      return networkFailure(mishap.code, mishap.message, host)
    case 'deadline':
      return {
        speed: 'away',
        message: `no answer of ${host} within ${Math.round(mishap.afterMs / 1000)} s`,
        cure: 'is this Docker Engine overloaded, or does something on the way to it drop connections?',
      }
    case 'ended':
      return {
        speed: 'away',
        message: `${host} ended the stream of events`,
        cure: 'was Docker restarted? It is asked again',
      }
    case 'shape':
      return { speed: 'wrong', message: `${host}: ${printable(mishap.message, MAX_EXCERPT)}`, cure: CHECK_HOST }
    case 'worker':
      return {
        speed: 'wrong',
        message: `the Docker Engine at ${host} is a worker of its swarm: only managers know services and tasks`,
        cure: TO_A_MANAGER,
      }
    case 'left':
      return {
        speed: 'wrong',
        message: `the Docker Engine at ${host} has left its swarm`,
        cure: 'let it join again, or set discovery.swarm.host to another manager; restart Evenkeel if its own containers are to count from now on',
      }
    case 'not-ready':
      return notReady(mishap.state, mishap.error, host)
    case 'full':
      return {
        speed: 'wrong',
        message: `${host} has more than ${mishap.most} services, tasks or containers`,
        cure: 'that is more than this source is made for',
      }
    default:
      return mishap satisfies never
  }
}

function notReady(state: string, error: string, host: string): Failure {
  const why = error === '' ? '' : `: ${printable(error, MAX_EXCERPT)}`
  const message = `the Docker Engine at ${host} is not ready in its swarm (${printable(state, 20)})${why}`
  if (state === 'locked') {
    return { speed: 'wrong', message, cure: 'the swarm is locked: run "docker swarm unlock" on that machine' }
  }
  return { speed: 'away', message, cure: 'it may still be starting; else see its log' }
}

function statusFailure(status: number, words: string, host: string): Failure {
  const message = `${host} answered ${status}: ${printable(words, MAX_EXCERPT) || '(empty)'}`
  if (/not a swarm manager/i.test(words)) return { speed: 'away', message, cure: TO_A_MANAGER }
  if (/does not have a leader|no leader|deadline exceeded/i.test(words)) {
    return { speed: 'away', message, cure: 'the swarm has no leader: do more than half of its managers run?' }
  }
  if (/HTTP request to an HTTPS server/i.test(words)) {
    return { speed: 'wrong', message, cure: 'it wants TLS: set discovery.swarm.tls.ca, cert and key' }
  }
  if (status === 401 || status === 403) {
    const cure =
      'something in front of the Engine refuses it: it must allow GET of /version, /info, /services, /tasks, /nodes, /containers/json and /events'
    return { speed: 'wrong', message, cure }
  }
  if (status === 429) return { speed: 'busy', message, cure: 'this Docker Engine is overloaded; it is asked again' }
  if (status >= 500) return { speed: 'away', message, cure: "see this Docker Engine's log; it is asked again" }
  return { speed: 'wrong', message, cure: CHECK_HOST }
}

function networkFailure(code: string, detail: string, host: string): Failure {
  const message = `${host}: ${printable(detail, 200)}`
  const away = (cure: string): Failure => ({ speed: 'away', message, cure })
  if (isTlsCode(code)) {
    const cure = "check discovery.swarm.tls: the CA of the Engine's certificate, and a certificate that it accepts"
    return { speed: 'wrong', message, cure }
  }
  switch (code) {
    case 'ENOENT':
      return away(
        'there is no such socket: does Docker run? In a container it has to be mounted (-v /var/run/docker.sock:/var/run/docker.sock); else set discovery.swarm.host',
      )
    case 'EACCES':
    case 'EPERM': {
      const cure =
        'Evenkeel may not use the socket: its user must be in the group that owns it (usually docker; in a container: group_add with its number)'
      return { speed: 'wrong', message, cure }
    }
    case 'ECONNREFUSED':
      return away(`start Docker at ${host}, or set discovery.swarm.host`)
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return away(`the host name in ${host} cannot be resolved: ${CHECK_HOST}`)
    case 'ECONNRESET':
    case 'EPIPE':
      return away(`${host} closed the connection: was Docker restarted, or does it want TLS?`)
    case 'EMFILE':
    case 'EADDRNOTAVAIL':
      return away(SHORT_OF_FILES)
    default:
      return away(CHECK_HOST)
  }
}

/** Its refusals are `{"message": …}`; what stands in front of it may say something else. */
function wordsOf(body: string): string {
  try {
    const { message } = JSON.parse(body) as { message?: unknown }
    if (typeof message === 'string') return message
  } catch {
    // Then it is what it is.
  }
  return body.trim()
}
