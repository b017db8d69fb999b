/**
 * How does an operator read where a request went? The answer of `GET /api/requests/{id}` as text for a terminal: each request
 * of that id, newest first, with its attempts and who else could have been picked. Pure.
 */

import { durationText } from '../admin/words.ts'
import { type Fields, fieldsOf, listOf, numberOf, textOf, textsOf } from './answer.ts'
import { someOf, wrapped } from './terminal.ts'

/** True when this is an answer that `requestsText` can tell. */
export function isRequestsAnswer(body: unknown): boolean {
  return Array.isArray(fieldsOf(body).requests)
}

/** So many of those who could have been picked are named, and of those who could not. */
const named = 10

/** The text, with a line end behind each line. */
export function requestsText(body: unknown): string {
  const requests = listOf(fieldsOf(body).requests)
  return requests.map((request) => `${requestLines(request).join('\n')}\n`).join('\n')
}

function requestLines(request: Fields): readonly string[] {
  const tries = listOf(request.tries)
  const attempts = numberOf(request.attempts) ?? tries.length
  const service = textOf(request.service)
  const code = textOf(request.trail)
  const trace = textOf(request.traceId)
  const took = millis(numberOf(request.durationMs))
  const refusal = textOf(request.refusal)
  // Of one that was refused nobody looked for a service.
  const nobody = textOf(request.outcome) === 'unknown-service' ? 'no service of the catalog' : 'no service'
  const came = `status ${numberOf(request.status) ?? '?'}, ${textOf(request.outcome)}`
  const count = attempts === 1 ? '1 attempt' : `${attempts} attempts`
  return [
    ...wrapped('', `${textOf(request.requestId)}: ${textOf(request.request)}`),
    ...wrapped('  ', `${service === '' ? nobody : `service ${service}`}; ${came}; ${took}, ${count}`),
    ...(refusal === '' ? [] : wrapped('  ', refusal)),
    ...wrapped('  ', `ended ${durationText(numberOf(request.agoMs) ?? 0)} ago, at ${textOf(request.at)}`),
    ...(code === '' ? [] : wrapped('  ', `trail ${code}`)),
    ...(trace === '' ? [] : wrapped('  ', `trace ${trace}`)),
    ...tries.flatMap((each, at) => tryLines(each, numberOfTry(at, tries.length, attempts))),
    ...(request.standing === null || request.standing === undefined
      ? []
      : ['', '  Nobody could be picked:', ...standingLines(fieldsOf(request.standing), '    ')]),
  ]
}

/** Of very many attempts the answer has the first and the last ones. */
function numberOfTry(at: number, listed: number, attempts: number): number {
  return at < listed / 2 ? at + 1 : attempts - (listed - at) + 1
}

function tryLines(each: Fields, number: number): readonly string[] {
  const role = textOf(each.role)
  const [connect, firstByte] = [numberOf(each.connectMs), numberOf(each.firstByteMs)]
  const retried = textOf(each.retried)
  const timings = [
    `begun at ${millis(numberOf(each.startMs))}`,
    connect === null ? 'no connection' : `connected in ${millis(connect)}`,
    firstByte === null ? 'no answer' : `first byte in ${millis(firstByte)}`,
    `over in ${millis(numberOf(each.durationMs))}`,
  ]
  const what = `${textOf(each.endpoint)}${roles[role] ?? ''}: ${textOf(each.outcome)}`
  const first = `  ${number}. `
  const indent = ' '.repeat(first.length)
  return [
    '',
    ...wrapped(first, what),
    ...wrapped(indent, timings.join(', ')),
    ...(retried === '' ? [] : wrapped(indent, `then another endpoint was tried, for ${retried}`)),
    ...standingLines(each, indent),
  ]
}

const roles: Readonly<Record<string, string>> = {
  probe: ' (the one probe request of an ejected endpoint)',
  panic: ' (although it was ejected, for want of others)',
}

/** Who could have been picked, and who could not. */
function standingLines(standing: Fields, indent: string): readonly string[] {
  const candidates = textsOf(standing.candidates)
  const skipped = listOf(standing.skipped)
  const unnamed = Math.max(0, (numberOf(standing.skippedCount) ?? 0) - skipped.length)
  const others = Math.max(0, (numberOf(standing.candidateCount) ?? 0) - candidates.length)
  const more = unnamed + Math.max(0, skipped.length - named)
  return [
    ...(candidates.length === 0 ? [] : wrapped(indent, `candidates: ${someOf(candidates, named, others)}`)),
    ...skipped.slice(0, named).flatMap((each) => wrapped(`${indent}- `, skippedText(each))),
    ...(more === 0 ? [] : [`${indent}- and ${more} more`]),
  ]
}

function skippedText({ endpoint, instance, why }: Fields): string {
  const [place, id] = [textOf(endpoint), textOf(instance)]
  const who = place === '' ? id : id === '' || id === place ? place : `${place} (${id})`
  return who === '' ? textOf(why) : `not ${who}: ${textOf(why)}`
}

function millis(ms: number | null): string {
  return ms === null ? '? ms' : ms < 10_000 ? `${Number(ms.toFixed(1))} ms` : durationText(ms)
}
