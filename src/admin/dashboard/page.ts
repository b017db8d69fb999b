/**
 * Where does the page begin? The stream feeds the store, and the store is drawn once a frame of the screen at most. Names
 * and reasons are anybody's: they only ever become text nodes and attribute values.
 */

import { render } from 'lit-html'
import { listenToKeys } from './keys.ts'
import { openable } from './opened.ts'
import type { SortKey } from './order.ts'
import { applyDetails, applyFrame, applyState, createStore, isOpened, reorder } from './store.ts'
import { createPageStream } from './stream.ts'
import { type Actions, pageView } from './view.ts'
import { titleOf } from './view-head.ts'

const root = document.querySelector<HTMLElement>('#app') as HTMLElement
const store = createStore()
/** More words than anybody types would be looked for in each name. */
const longestFilter = 200
const reloadedFor = 'evenkeel-reloaded-for'
/** Of the script that runs: the folder that it came from. */
const ownBuild = new URL(import.meta.url).pathname.split('/').at(-2) ?? ''
let isDue = false

function draw(): void {
  if (isDue) return
  isDue = true
  requestAnimationFrame(() => {
    isDue = false
    const focused = document.activeElement instanceof HTMLElement ? document.activeElement.dataset.name : undefined
    render(pageView(store, actions), root)
    // A row that was moved has lost the keyboard on its way.
    if (focused !== undefined && document.activeElement === document.body) goTo(focused)
    const words = store.link.kind === 'lost' ? 'connection lost' : titleOf(store)
    document.title = words === '' ? 'Evenkeel' : `${words} · Evenkeel`
  })
}

const stream = createPageStream({
  onState(state) {
    // After an update of the proxy the page is another one. Once only: something on the way may keep the old one.
    if (state.build !== ownBuild && sessionStorage.getItem(reloadedFor) !== state.build) {
      sessionStorage.setItem(reloadedFor, state.build)
      location.reload()
      return
    }
    store.link = { kind: 'live' }
    applyState(store, state)
    draw()
  },
  onFrame(frame) {
    applyFrame(store, frame)
    draw()
  },
  onDetails(details) {
    applyDetails(store, details)
    draw()
  },
  onLost(isFull) {
    store.link = { kind: 'lost', isFull }
    draw()
  },
})

const actions: Actions = {
  toggle(name) {
    const before = [...store.entries.keys()].filter((each) => isOpened(store, each) && each !== name)
    store.opened = openable(isOpened(store, name) ? before : [...before, name])
    store.current = name
    remember()
    stream.open(store.opened)
    draw()
  },
  focus(name) {
    if (store.current === name) return
    store.current = name
    draw()
  },
  sortBy(key) {
    store.sort = { key, isReversed: store.sort.key === key && !store.sort.isReversed }
    reorder(store)
    remember()
    draw()
  },
  filter(text) {
    store.filter = text.slice(0, longestFilter)
    reorder(store)
    draw()
    remember()
  },
  showMore() {
    store.rowsAtMost = Number.POSITIVE_INFINITY
    draw()
  },
}

function goTo(name: string): void {
  const button = root.querySelector<HTMLElement>(`[data-name="${CSS.escape(name)}"]`)
  button?.focus()
  button?.scrollIntoView({ block: 'nearest' })
}

/** In the address, so that a bookmark or a screen on a wall comes back to the same view. */
function remember(): void {
  const { filter, sort, opened } = store
  const parts = new URLSearchParams()
  if (filter !== '') parts.set('filter', filter)
  if (sort.key !== 'state' || sort.isReversed) parts.set('sort', `${sort.key}${sort.isReversed ? '-' : ''}`)
  if (opened !== null) for (const name of opened.size === 0 ? [''] : opened) parts.append('open', name)
  history.replaceState(null, '', parts.size === 0 ? location.pathname : `#${parts}`)
}

function recall(): void {
  const parts = new URLSearchParams(location.hash.slice(1))
  store.filter = (parts.get('filter') ?? '').slice(0, longestFilter)
  const [, key, reversed] = /^(state|name|rate|errors|p50|p99|flight)(-?)$/.exec(parts.get('sort') ?? '') ?? []
  store.sort = { key: (key as SortKey | undefined) ?? 'state', isReversed: reversed === '-' }
  store.opened = parts.has('open') ? openable(parts.getAll('open').filter((name) => name !== '')) : null
}

/** Another bookmark of the page, while it is open. */
addEventListener('hashchange', () => {
  recall()
  reorder(store)
  stream.open(store.opened)
  draw()
})

root.textContent = ''
recall()
draw()
listenToKeys({
  ...actions,
  names: () => store.order.slice(0, store.rowsAtMost),
  current: () => store.current,
  goTo,
})
stream.open(store.opened)
