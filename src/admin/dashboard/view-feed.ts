/** What has happened of late? The newest on top. */

import { html, nothing, type TemplateResult } from 'lit-html'
import { repeat } from 'lit-html/directives/repeat.js'
import { clockText } from './format.ts'
import type { FeedEvent, Tone } from './messages.ts'
import type { Store } from './store.ts'
import type { Actions } from './view.ts'

const marks: Readonly<Record<Tone, string>> = { bad: '✕', warn: '!', good: '✓', plain: '·' }

export function feedView({ feed }: Store, actions: Actions): TemplateResult {
  return html`<aside class="feed" aria-labelledby="feed-title">
    <h2 id="feed-title">Events</h2>
    ${feed.length === 0 ? html`<p class="none">Nothing has happened since the proxy was started.</p>` : nothing}
    <ol role="log" aria-label="Events, newest first" tabindex="0">${repeat(
      feed,
      ({ id }) => id,
      (event) => eventView(event, actions),
    )}</ol>
  </aside>`
}

function eventView({ atMs, kind, tone, service, text }: FeedEvent, actions: Actions): TemplateResult {
  return html`<li class="event t-${tone}">
    <time>${clockText(atMs)}</time>
    <span class="tone" aria-hidden="true">${marks[tone]}</span>
    <span class="what"><b>${kind}</b>
      ${service === null ? nothing : html`<button class="plain" title="Show this service" @click=${() => actions.filter(service)}>${service}</button>`}
      <span class="text">${text}</span></span>
  </li>`
}
