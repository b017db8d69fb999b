/** How does one service look: its row, and when it is opened what there is to tell of it? */

import { html, nothing, type TemplateResult } from 'lit-html'
import { guard } from 'lit-html/directives/guard.js'
import { latencyText, rateText, shareText } from './format.ts'
import { blocksInWords, inRotation } from './levels.ts'
import { type Entry, isOpened, type Store } from './store.ts'
import type { Actions } from './view.ts'
import { detailView } from './view-detail.ts'
import { levelWord, shape, sparkView } from './view-head.ts'

export function serviceView(store: Store, name: string, isCurrent: boolean, actions: Actions): TemplateResult {
  const entry = store.entries.get(name)
  if (entry === undefined) return html``
  const isOpen = isOpened(store, name)
  return html`<div class="service lv-${entry.level}" role="rowgroup">
    ${guard([entry, isOpen, isCurrent], () => row(entry, isOpen, isCurrent, actions))}
    ${isOpen ? detailView(store.details.get(name), store.atMs) : nothing}
  </div>`
}

function row(entry: Entry, isOpen: boolean, isCurrent: boolean, actions: Actions): TemplateResult {
  const { row, level, reason, spark } = entry
  const { name, blocks, errorShare, inFlight } = row
  const more = inRotation(row).all - blocks.length
  const errors = errorShare === null || errorShare < 0.01 ? '' : 'bad'
  return html`<div class="row" role="row" @click=${() => actions.toggle(name)}>
    <div role="cell" class="state">${shape(level)}<b>${levelWord(level)}</b></div>
    <div role="rowheader" class="name">
      <button class="open" aria-expanded=${isOpen} tabindex=${isCurrent ? 0 : -1} data-name=${name} @focus=${() => actions.focus(name)}>${name}</button>
      <span class="reason" title=${reason}>${reason}</span>
    </div>
    <div role="cell" class="blocks" aria-label=${blocksInWords(row)} title=${blocksInWords(row)}>
      ${Array.from(blocks, (block) => html`<i class="b b-${block}"></i>`)}${more > 0 ? html`<span class="more">+${more}</span>` : nothing}
    </div>
    <div role="cell" class="number rate">${rateText(row.rate)}<span class="unit"> /s</span></div>
    <div role="cell" class="trend">${sparkView(spark)}</div>
    <div role="cell" class="number errors ${errors}"><span class="unit">errors </span>${shareText(errorShare)}</div>
    <div role="cell" class="number p50"><span class="unit">p50 </span>${latencyText(row.p50Ms)}</div>
    <div role="cell" class="number p99"><span class="unit">p99 </span>${latencyText(row.p99Ms)}</div>
    <div role="cell" class="number flight">${inFlight}<span class="unit"> in flight</span></div>
  </div>`
}
