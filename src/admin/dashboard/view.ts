/** How does the whole page look? Head, services and events, drawn from the store. */

import { html, nothing, type TemplateResult } from 'lit-html'
import { repeat } from 'lit-html/directives/repeat.js'
import { clockText } from './format.ts'
import { blockWord } from './levels.ts'
import type { Block } from './messages.ts'
import type { SortKey } from './order.ts'
import type { Store } from './store.ts'
import { feedView } from './view-feed.ts'
import { headView } from './view-head.ts'
import { serviceView } from './view-service.ts'

export interface Actions {
  readonly toggle: (name: string) => void
  readonly focus: (name: string) => void
  readonly sortBy: (key: SortKey) => void
  readonly filter: (text: string) => void
  readonly showMore: () => void
}

export function pageView(store: Store, actions: Actions): TemplateResult {
  return html`
    ${banner(store)}
    ${headView(store)}
    <main>
      <section class="services" aria-label="Services">
        ${store.header === null ? nothing : store.entries.size === 0 ? empty(store) : services(store, actions)}
      </section>
      ${feedView(store, actions)}
    </main>
    ${foot(store)}`
}

function banner({ link, atMs }: Store): TemplateResult {
  const isLost = link.kind === 'lost'
  const data = atMs === 0 ? 'no data yet' : `data from ${clockText(atMs)}`
  const what = isLost && link.isFull ? 'Too many pages are open: close one. Retrying' : 'Connection lost, retrying'
  return html`<div class="banner" role="status" ?hidden=${!isLost}>${isLost ? `${what} (${data})` : ''}</div>`
}

const columns: readonly (readonly [SortKey | null, string, string])[] = [
  ['state', 'State', 's'],
  ['name', 'Service', 'n'],
  [null, 'Endpoints', ''],
  ['rate', 'Requests/s', 'r'],
  [null, 'Last 2 min', ''],
  ['errors', 'Errors', 'e'],
  ['p50', 'p50', ''],
  ['p99', 'p99', 'p'],
  ['flight', 'In flight', 'f'],
]

/** The key on the keyboard that sorts by it. */
export const sortKeys: ReadonlyMap<string, SortKey> = new Map(
  columns.flatMap(([key, , letter]) => (key === null || letter === '' ? [] : [[letter, key] as const])),
)

function services(store: Store, actions: Actions): TemplateResult {
  const { order, rowsAtMost, entries, filter } = store
  const shown = order.slice(0, rowsAtMost)
  const more = order.length - shown.length
  const current = store.current !== null && shown.includes(store.current) ? store.current : shown[0]
  return html`
    <div class="tools">
      <label class="find"><span class="hide">Filter services</span>
        <input id="filter" type="search" placeholder="Filter by name or state" autocomplete="off" spellcheck="false"
          .value=${filter} @input=${(event: Event) => actions.filter((event.target as HTMLInputElement).value)}>
      </label>
      <span class="count" role="status">${filter === '' ? '' : `${order.length} of ${entries.size}`}</span>
      ${sortMenu(store, actions)}
    </div>
    <div class="table" role="table" aria-label="Services" aria-rowcount=${order.length + 1}>
      <div role="rowgroup"><div class="row heads" role="row">${columns.map((column) => headCell(column, store, actions))}</div></div>
      ${repeat(
        shown,
        (name) => name,
        (name) => serviceView(store, name, name === current, actions),
      )}
    </div>
    ${order.length === 0 ? html`<p class="none">No service matches “${filter}”. Escape clears the filter.</p>` : nothing}
    ${more > 0 ? html`<p class="none"><button class="plain" @click=${actions.showMore}>Show ${more} more</button></p>` : nothing}`
}

function headCell([key, title, letter]: (typeof columns)[number], { sort }: Store, actions: Actions): TemplateResult {
  if (key === null)
    return html`<div role="columnheader" class="head h-${title.split(' ')[0]?.toLowerCase()}">${title}</div>`
  const isSorted = sort.key === key
  const isUpwards = (key === 'name') !== sort.isReversed
  const direction = isSorted ? (isUpwards ? 'ascending' : 'descending') : 'none'
  const mark = isSorted ? (isUpwards ? '▲' : '▼') : ''
  const hint = letter === '' ? `Sort by ${title}` : `Sort by ${title} (key ${letter})`
  return html`<div role="columnheader" class="head h-${key}" aria-sort=${direction}>
    <button title=${hint} @click=${() => actions.sortBy(key)}>${title}<span class="mark" aria-hidden="true">${mark}</span></button>
  </div>`
}

/** On a narrow screen there are no heads to click. */
function sortMenu({ sort }: Store, actions: Actions): TemplateResult {
  const choose = (event: Event): void => actions.sortBy((event.target as HTMLSelectElement).value as SortKey)
  return html`<label class="sort"><span class="hide">Sort by</span>
    <select @change=${choose}>${columns.flatMap(([key, title]) =>
      key === null ? [] : [html`<option value=${key} .selected=${sort.key === key}>${title}</option>`],
    )}</select></label>`
}

function empty({ header }: Store): TemplateResult {
  if (header?.readiness === 'starting') {
    return html`<div class="empty">
      <h2>Waiting for the catalog</h2>
      <p>Its source has not answered yet, and nothing is served until it does.</p>
      <ul>
        <li>Is the registry running where <code>discovery</code> says? <a href="/api/config">/api/config</a> shows it.</li>
        <li>Evenkeel’s own log says what failed, and what to do about it.</li>
      </ul>
    </div>`
  }
  return html`<div class="empty">
    <h2>No services yet</h2>
    <p>The catalog was read, and there is nothing in it for this proxy. As soon as a service is registered, it shows up here.</p>
    <pre>consul services register -name=web -address=10.0.0.5 -port=8080
curl http://PROXY:8080/web/</pre>
    <ul>
      <li>Something is registered? <code>include</code>, <code>exclude</code> and <code>tag</code> of the source, below
        <code>discovery</code>, decide what is taken: <a href="/api/config">/api/config</a>.</li>
      <li>What the proxy has read, and when: <a href="/api/catalog">/api/catalog</a>.</li>
    </ul>
  </div>`
}

const legend: readonly Block[] = ['h', 'f', 'u', 'p', 'e', 'd', 'a']

function foot({ version, engine }: Store): TemplateResult {
  return html`<footer>
    <ul class="legend" aria-label="What the blocks stand for">${legend.map(
      (block) => html`<li><i class="b b-${block}" aria-hidden="true"></i>${blockWord(block)}</li>`,
    )}</ul>
    <p class="keys"><kbd>/</kbd> filter <kbd>↑</kbd><kbd>↓</kbd> move <kbd>Enter</kbd> open · sort:
      ${[...sortKeys].map(([letter, key]) => html`<kbd>${letter}</kbd> ${key === 'flight' ? 'in flight' : key} `)}</p>
    <p class="links">Evenkeel ${version}, engine ${engine} ·
      ${['/metrics', '/readyz', '/livez', '/api/services', '/api/catalog', '/api/config'].map(
        (path) => html`<a href=${path}>${path}</a> `,
      )}</p>
  </footer>`
}
