/** `evenkeel explain`: asks a running proxy why a service gets requests, or where one request went, and tells it. */

import { adminTarget, askAdmin } from './admin-client.ts'
import { fieldsOf, listOf, numberOf, textOf, textsOf } from './answer.ts'
import { isRequestsAnswer, requestsText } from './explain-request-text.ts'
import { instancesNamed, isServiceAnswer, serviceText } from './explain-service-text.ts'
import { jsonText, someOf, wrapped } from './terminal.ts'
import type { OperatorCommand } from './usage-operator.ts'

export type ExplainOptions = Extract<OperatorCommand, { kind: 'explain' }>

/** What there is to write, and the exit code. */
interface Told {
  readonly text: string
  readonly code: number
}

/** So many names are told to whoever asked for one that there is not. */
const namesTold = 20

/**
 * @param write to stdout
 * @param complain to stderr
 * @returns the exit code: 1 when the proxy cannot be asked, or knows no such service, endpoint or request
 */
export async function explain(
  { about, admin, tokenFile, json }: ExplainOptions,
  env: NodeJS.ProcessEnv,
  write: (text: string) => void,
  complain: (text: string) => void = (text) => void process.stderr.write(text),
): Promise<number> {
  // Whoever reaches the listener may read: a secret that happens to be in the environment stays there.
  const target = adminTarget({ admin, tokenFile }, { ...env, EVENKEEL_ADMIN_TOKEN: undefined })
  if (typeof target === 'string') {
    complain(lines(`evenkeel: ${target}`))
    return 1
  }
  const name = about.kind === 'service' ? about.service : about.id
  const path = `/api/${about.kind === 'service' ? 'services' : 'requests'}/${encoded(name)}`
  const reply = await askAdmin(target, 'GET', path)
  if (reply.kind === 'failed') {
    complain(lines(`evenkeel: ${reply.message}`))
    return 1
  }
  const { text, code } = told(about, reply.status, reply.body, target.url)
  const isAnswered = code === 0 || reply.status !== 200
  if (json && isAnswered) write(jsonText(wantedOf(about, reply.body)))
  else if (code === 0) write(text)
  else complain(text)
  return code
}

/** What the proxy answered, without the other instances where one was asked for. */
function wantedOf(about: ExplainOptions['about'], body: unknown): unknown {
  if (about.kind === 'request' || about.endpoint === null || !isServiceAnswer(body)) return body
  const instances = instancesNamed(body, about.endpoint)
  const places = new Set(instances.map(({ address }) => address))
  const endpoints = listOf(fieldsOf(body).endpoints).filter(({ endpoint }) => places.has(endpoint))
  const absent = listOf(fieldsOf(body).absent).filter(({ address }) => places.has(address))
  return { ...fieldsOf(body), endpoints, absent, instances }
}

function told(about: ExplainOptions['about'], status: number, body: unknown, url: string): Told {
  // A proxy that lists its routes has none such.
  if (Array.isArray(fieldsOf(body).routes)) return failed(foreign(url))
  if (status !== 200) return failed(refusal(status, body))
  if (about.kind === 'request') {
    return isRequestsAnswer(body) ? { text: requestsText(body), code: 0 } : failed(foreign(url))
  }
  if (!isServiceAnswer(body)) return failed(foreign(url))
  if (about.endpoint === null) return { text: serviceText(body, null), code: 0 }
  const instances = instancesNamed(body, about.endpoint)
  if (instances.length > 0) return { text: serviceText(body, instances), code: 0 }
  return withoutEndpoint(body, about.endpoint)
}

/** There is no such instance; but it may be one that was drained and has left. */
function withoutEndpoint(body: unknown, endpoint: string): Told {
  const { name, instances, concerns } = fieldsOf(body)
  const drained = listOf(concerns).find((concern) => concern.endpoint === endpoint)
  if (drained !== undefined) return { text: lines(`${textOf(name)}: ${textOf(drained.text)}.`), code: 0 }
  const known = listOf(instances).map((each) => textOf(each.address) || textOf(each.instance))
  const there = known.length === 0 ? 'it has no instances' : `there are ${someOf(known, namesTold)}`
  return failed(`${textOf(name)} has no endpoint ${textOf(endpoint)}: ${there}`)
}

/** What the proxy said instead. */
function refusal(status: number, body: unknown): string {
  const problem = fieldsOf(body)
  const names = textsOf(problem.services)
  const known = names.length === 0 ? '' : ` There are ${someOf(names, namesTold, numberOf(problem.moreServices) ?? 0)}.`
  return `${textOf(problem.detail) || `the proxy answered ${status}`}${known}`
}

function foreign(url: string): string {
  return `what answers at ${url} is not a proxy that this evenkeel understands: is that its admin port, and is its version not an older one?`
}

function failed(message: string): Told {
  return { text: lines(`evenkeel: ${message}`), code: 1 }
}

function lines(text: string): string {
  return `${wrapped('', textOf(text)).join('\n')}\n`
}

/** As a path segment; a lone surrogate, which has no percent-encoding and would throw, is nobody's name. */
function encoded(name: string): string {
  return encodeURIComponent(name.replace(/\p{Surrogate}/gu, '\ufffd'))
}
