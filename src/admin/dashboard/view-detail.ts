/** What is shown of a service that is opened: each endpoint, its share against what is its due, its state and why. */

import { html, nothing, svg, type TemplateResult } from 'lit-html'
import { ageText, clockText } from './format.ts'
import { blockWord } from './levels.ts'
import type { Block, Detail, EndpointDetail } from './messages.ts'

const barWidth = 100

/** @param atMs the proxy's clock */
export function detailView(detail: Detail | undefined, atMs: number): TemplateResult {
  if (detail === undefined) return html`<div class="detail" role="row"><div role="cell">…</div></div>`
  const { path, endpoints, absent, concerns, more } = detail
  const most = Math.max(0.001, ...endpoints.map(({ share, idealShare }) => Math.max(share ?? 0, idealShare)))
  return html`<div class="detail" role="row"><div role="cell">
    ${concerns.map((each) => html`<p class="concern">${each}</p>`)}
    <ul class="endpoints" ?hidden=${endpoints.length + absent.length === 0}>
      ${endpoints.map((each) => endpointView(each, most, atMs))}
      ${absent.map((each) => line({ ...each, block: 'a' }, html`<span class="because">${each.why}</span>`))}
    </ul>
    <p class="more">${more > 0 ? `${more} more; ` : nothing}${path === null ? nothing : html`<a href=${path}>all of it as JSON</a>`}</p>
  </div></div>`
}

function endpointView(endpoint: EndpointDetail, most: number, atMs: number): TemplateResult {
  const { block, sinceMs, why, weight, inFlight, faults } = endpoint
  const since = sinceMs === 0 || (block === 'h' && faults.length === 0) ? '' : ` for ${ageText(atMs - sinceMs)}`
  const because = html`
    ${why === null ? nothing : html`<span class="because">${why}</span>`}
    ${weight === 1 ? nothing : html`<span class="note">weight ${weight}</span>`}
    ${
      faults.length === 0
        ? nothing
        : html`<span class="note">last faults: ${faults
            .slice(0, 3)
            .map((fault) => `${clockText(fault.atMs)} ${fault.what}`)
            .join(' · ')}</span>`
    }`
  // Of one that is out, only what it has yet to finish is worth a word.
  const flying = inFlight === 0 && (block === 'e' || block === 'd') ? null : inFlight
  return line(endpoint, because, since, shareView(endpoint, most), flying)
}

function line(
  { id, instance, tags, block }: Pick<EndpointDetail, 'id' | 'instance' | 'tags'> & { readonly block: Block },
  because: TemplateResult,
  since = '',
  share: TemplateResult | typeof nothing = nothing,
  inFlight: number | null = null,
): TemplateResult {
  return html`<li class="endpoint">
    <span class="at"><i class="b b-${block}" aria-hidden="true"></i><code>${id}</code>${instance === '' ? nothing : html` <span class="instance" title=${tags === '' ? nothing : `tags: ${tags}`}>${instance}</span>`}</span>
    <span class="is"><b>${blockWord(block)}</b>${since}</span>
    <span class="share">${share}</span>
    <span class="flying">${inFlight === null ? nothing : `${inFlight} in flight`}</span>
    <span class="why">${because}</span>
  </li>`
}

/** With a digit behind the point where it needs one: shares that should be the same differ by little. */
function percentText(share: number): string {
  return `${Number((share * 100).toFixed(1))} %`
}

/** A bar for what it got, and a line where its due is. */
function shareView({ share, idealShare }: EndpointDetail, most: number): TemplateResult {
  const x = (value: number): string => ((value / most) * (barWidth - 2)).toFixed(2)
  // Whoever is out of rotation has no due.
  if (idealShare === 0 && !(share !== null && share > 0)) return html`<span class="percent none-due">no share</span>`
  const got = share === null ? 'no requests yet' : percentText(share)
  const due = percentText(idealShare)
  return html`<svg class="bar" viewBox="0 0 ${barWidth} 10" preserveAspectRatio="none" aria-hidden="true">${svg`
      <rect class="track" width=${barWidth} height="10"/>
      <rect class="got" width=${x(share ?? 0)} height="10"/>
      <rect class="due" x=${x(idealShare)} width="1.4" height="10"/>`}</svg>
    <span class="percent">${got}<span class="due-text">${share === null ? '' : ` of ${due}`}</span></span>`
}
