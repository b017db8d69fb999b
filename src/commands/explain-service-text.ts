/**
 * How does an operator read why a service gets requests, or none? The answer of `GET /api/services/{name}` as text for a
 * terminal: the verdict, what concerns all, then instance by instance, those without requests first. Pure.
 */

import { durationText, percentText } from '../admin/words.ts'
import { type Fields, fieldsOf, listOf, numberOf, textOf } from './answer.ts'
import { columns, wrapped } from './terminal.ts'

/** True when this is an answer that `serviceText` can tell. */
export function isServiceAnswer(body: unknown): boolean {
  const { name, verdict, instances } = fieldsOf(body)
  return typeof name === 'string' && typeof verdict === 'string' && Array.isArray(instances)
}

/** The instances that an operator means by this: their address and port, or their id. */
export function instancesNamed(body: unknown, wanted: string): readonly Fields[] {
  return listOf(fieldsOf(body).instances).filter(
    ({ endpoint, address, instance }) => endpoint === wanted || address === wanted || instance === wanted,
  )
}

/**
 * The text, with a line end behind each line.
 * @param only tell of these instances; null: of all
 */
export function serviceText(body: unknown, only: readonly Fields[] | null): string {
  const answer = fieldsOf(body)
  const instances = only ?? listOf(answer.instances)
  const name = textOf(answer.name)
  const readAgoMs = numberOf(answer.readAgoMs)
  const lines = [
    ...wrapped('', `${name}: ${textOf(answer.verdict)}`),
    ...(readAgoMs === null ? [] : [`The registry was last read for it ${durationText(readAgoMs)} ago.`]),
    ...listOf(answer.concerns).flatMap((concern) => wrapped('! ', sentence(textOf(concern.text)))),
    ...(instances.length === 0 ? [] : ['', ...table(instances)]),
    ...(instances.some((each) => hasRequestId(each, instances.length === 1))
      ? ['', 'evenkeel explain --request ID tells where one of these requests went.']
      : []),
  ]
  return `${lines.join('\n')}\n`
}

const heads = ['ADDRESS', 'INSTANCE', 'REQUESTS', 'DUE', 'PICKS', 'IN FLIGHT'] as const
/** From here on columns are of numbers. */
const firstNumber = 2
const indent = '  '
/** What is over and longer ago than this is told only of an instance that is asked for alone. */
const historyMs = 3_600_000
/** What is said of an instance stands further in. */
const note = '      '

function table(instances: readonly Fields[]): readonly string[] {
  const inOrder = [...instances].sort((a, b) => rankOf(a) - rankOf(b))
  const cells = inOrder.map(cellsOf)
  const widths = heads.map((head, at) => Math.max(head.length, ...cells.map((row) => row[at]?.length ?? 0)))
  const line = (row: readonly string[]) =>
    `${indent}${row
      .map((cell, at) => (at < firstNumber ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0)))
      .join('  ')
      .trimEnd()}`
  const notes = inOrder.map((instance) => notesOf(instance, instances.length === 1))
  return [
    line(heads),
    ...inOrder.flatMap((_, at) => {
      // A line to breathe before what the next one has to say.
      const isApart = at > 0 && (notes[at - 1]?.length ?? 0) > 0
      return [...(isApart ? [''] : []), line(cells[at] ?? []), ...(notes[at] ?? [])]
    }),
  ]
}

/** Who gets no requests comes first, then whoever there is something to say of. */
function rankOf(instance: Fields): number {
  if (instance.getsRequests !== true) return 0
  return textOf(instance.decidedBy) === '' ? 2 : 1
}

function cellsOf(instance: Fields): readonly string[] {
  const { getsRequests, endpoint, share, idealShare, picks, inFlight } = instance
  const number = (value: unknown) => (typeof endpoint === 'string' ? `${numberOf(value) ?? '-'}` : '-')
  const [recent, due] = [numberOf(share), numberOf(idealShare)]
  return [
    textOf(instance.address) || '(no address)',
    shortened(textOf(instance.instance), 32),
    getsRequests !== true ? 'none' : recent === null ? '-' : percentText(recent),
    getsRequests !== true || due === null ? '-' : percentText(due),
    number(picks),
    number(inFlight),
  ]
}

/** What is to be said below an instance's line: nothing when all is well, unless it was asked for alone. */
function notesOf(instance: Fields, isAlone: boolean): readonly string[] {
  const verdict = textOf(instance.verdict)
  const causes = causesOf(instance, isAlone)
  const isWell = rankOf(instance) === 2
  if (isWell && causes.length === 0 && !isAlone) return []
  const place = placeOf(instance)
  return [
    ...(isWell && !isAlone ? [] : wrapped(note, verdict)),
    ...causes.flatMap((cause) => {
      const text = textOf(cause.text)
      return [...(verdict.includes(text) ? [] : wrapped(`${note}- `, sentence(text))), ...faultLines(cause)]
    }),
    ...(place === '' ? [] : wrapped(note, sentence(place))),
  ]
}

/** An ejection that was over long ago would stand below every instance, some day. */
function causesOf({ causes }: Fields, isAlone: boolean): readonly Fields[] {
  const isHistory = ({ kind, agoMs }: Fields) => kind === 'was-ejected' && (numberOf(agoMs) ?? 0) > historyMs
  return listOf(causes).filter((cause) => isAlone || !isHistory(cause))
}

/** Where it runs, of one that there is more to say of than that. */
function placeOf({ node, datacenter, sources, tags, checks, moreChecks }: Fields): string {
  const passing = listOf(checks).filter(({ status }) => status === 'passing')
  const more = numberOf(moreChecks) ?? 0
  const parts = [
    textOf(node) === '' ? '' : `node ${textOf(node)}`,
    textOf(datacenter) === '' ? '' : `datacenter ${textOf(datacenter)}`,
    Array.isArray(sources) && sources.length > 1 ? `named by ${sources.map(textOf).join(', ')}` : '',
    Array.isArray(tags) && tags.length > 0 ? `tags ${tags.map(textOf).join(', ')}` : '',
    passing.length === 0 ? '' : `passing: ${passing.map(({ check }) => textOf(check)).join(', ')}`,
    more === 0 ? '' : `${more} more checks`,
  ]
  return parts.filter((part) => part !== '').join('; ')
}

function hasRequestId(instance: Fields, isAlone: boolean): boolean {
  return causesOf(instance, isAlone).some(({ faults }) => listOf(faults).some(({ request }) => textOf(request) !== ''))
}

/** The requests that failed, oldest first: how long ago, how they ended, and their ids. */
function faultLines({ faults }: Fields): readonly string[] {
  const rows = listOf(faults).map(({ agoMs, outcome, request }) => ({
    ago: `${durationText(numberOf(agoMs) ?? 0).padStart(7)} ago`,
    outcome: textOf(outcome),
    request: textOf(request),
  }))
  // One that is very long stands apart, not all the others.
  const width = Math.min(40, Math.max(...rows.map(({ outcome }) => outcome.length)))
  return rows.flatMap(({ ago, outcome, request }) => {
    const first = `${note}  ${ago}  `
    const line = `${first}${outcome.padEnd(width)}  ${request}`.trimEnd()
    return line.length <= columns ? [line] : [...wrapped(first, outcome), ...wrapped(' '.repeat(first.length), request)]
  })
}

function sentence(clause: string): string {
  return clause === '' ? '' : `${clause.charAt(0).toUpperCase()}${clause.slice(1)}.`
}

function shortened(text: string, most: number): string {
  return text.length > most ? `${text.slice(0, most - 1)}…` : text
}
