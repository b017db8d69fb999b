/** What is the state of the whole fleet, to be read from across the room? */

import { html, nothing, svg, type TemplateResult } from 'lit-html'
import { ageText, rateText, shareText, sparkHeight, sparkWidth } from './format.ts'
import { inRotation, type Level } from './levels.ts'
import type { Header } from './messages.ts'
import type { Spark, Store } from './store.ts'

export function headView(store: Store): TemplateResult {
  const { header, entries } = store
  if (header === null) return html`<header class="head-bar"><h1><span class="brand">Evenkeel</span></h1></header>`
  const worst = worstOf(store, header)
  let serving = 0
  let all = 0
  for (const { row } of entries.values()) {
    const one = inRotation(row)
    serving += one.serving
    all += one.all
  }
  return html`<p class="hide" role="status">${titleOf(store)}</p>
  <header class="head-bar lv-${worst.level} ${store.link.kind === 'lost' ? 'old' : ''}">
    <h1>
      ${shape(worst.level)}
      <span class="brand">Evenkeel</span>
      <span class="word">${worst.words.map(
        ([each, words]) => html`<span class="part lv-${each}">${words}</span> `,
      )}</span>
      <span class="sub">${worst.sub}</span>
    </h1>
    <dl class="tiles">
      ${tile('Requests/s', html`${rateText(header.rate)}${sparkView(store.spark)}`, 'wide')}
      ${tile('Errors', shareText(header.errorShare), (header.errorShare ?? 0) >= 0.01 ? 'bad' : '')}
      ${tile('In rotation', html`${serving}<small> of ${all}</small>`, '')}
      ${catalogTile(header)}
    </dl>
  </header>`
}

const levelWords: Readonly<Record<Level, string>> = {
  down: 'DOWN',
  failing: 'FAILING',
  sick: 'SICK',
  held: 'HELD',
  reduced: 'REDUCED',
  gone: 'GONE',
  ok: 'OK',
}

export function levelWord(level: Level): string {
  return levelWords[level]
}

/** The state as a shape, so that it does not hang on its colour. */
export function shape(level: Level | 'wait'): TemplateResult {
  return html`<svg class="shape" aria-hidden="true"><use href="#s-${level}"></use></svg>`
}

export function sparkView(spark: Spark | null): TemplateResult {
  const paths =
    spark === null
      ? svg`<path class="flat" d="M0 ${sparkHeight - 1}H${sparkWidth}"/>`
      : svg`<path class="area" d=${spark.area}/><path class="line" d=${spark.line}/>${
          spark.errors === null ? nothing : svg`<path class="errors" d=${spark.errors}/>`
        }`
  return html`<svg class="spark" viewBox="0 0 ${sparkWidth} ${sparkHeight}" preserveAspectRatio="none" aria-hidden="true">${paths}</svg>`
}

function countLevels({ entries }: Store): ReadonlyMap<Level, number> {
  const count = new Map<Level, number>()
  for (const { level } of entries.values()) count.set(level, (count.get(level) ?? 0) + 1)
  return count
}

interface Worst {
  readonly level: Level | 'wait'
  /** Each with the level that it is of. */
  readonly words: readonly (readonly [Level | 'wait', string])[]
  readonly sub: string
}

/** The same in one line, for the browser's tab; empty: nothing is known yet. */
export function titleOf(store: Store): string {
  if (store.header === null) return ''
  return worstOf(store, store.header)
    .words.map(([, words]) => words)
    .join(', ')
}

function worstOf(store: Store, header: Header): Worst {
  const count = countLevels(store)
  const services = store.entries.size
  const named = (wanted: readonly Level[]) =>
    wanted.flatMap((level) => (count.has(level) ? [[level, `${count.get(level)} ${levelWords[level]}`] as const] : []))
  const one = (level: Level | 'wait', words: string, sub: string): Worst => ({ level, words: [[level, words]], sub })
  if (header.readiness === 'draining') return one('held', 'DRAINING', 'this proxy takes no new requests and will stop')
  if (services === 0) {
    return header.readiness === 'starting'
      ? one('wait', 'STARTING', 'waiting for the first catalog')
      : one('wait', 'EMPTY', 'no services in the catalog')
  }
  const all = `${services} ${services === 1 ? 'service' : 'services'}`
  const bad = named(['down', 'failing', 'sick'])
  const other = named(['held', 'reduced', 'gone'])
  const catalog = header.readiness === 'stale' ? [['held', 'CATALOG STALE'] as const] : []
  const [worst] = [...bad, ...catalog, ...other]
  if (worst === undefined) return one('ok', 'ALL WELL', all)
  if (bad.length === 0) return { level: worst[0], words: [...catalog, ...other], sub: `of ${all}: all of them serve` }
  const rest = [...other.map(([, words]) => words), `${count.get('ok') ?? 0} OK`].join(', ')
  return { level: worst[0], words: [...bad, ...catalog], sub: `of ${all}: ${rest}` }
}

function tile(title: string, value: TemplateResult | string, kind: string): TemplateResult {
  return html`<div class="tile ${kind}"><dt>${title}</dt><dd>${value}</dd></div>`
}

function catalogTile({ readiness, ageMs, held, kept, fromSnapshot }: Header): TemplateResult {
  const notes = [
    ...(fromSnapshot ? ['from the snapshot'] : []),
    ...(held > 0 ? [`${held} held`] : []),
    ...(kept > 0 ? [`${kept} kept`] : []),
  ]
  const age = ageMs === null ? 'never confirmed' : `confirmed ${ageText(ageMs)} ago`
  const value = html`${readiness}<small>${[age, ...notes].join(' · ')}</small>`
  return tile('Catalog', value, `catalog ${readiness === 'fresh' && notes.length === 0 ? '' : 'warn'}`)
}
