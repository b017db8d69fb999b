/**
 * What does a person see who opens the admin port in a browser?
 *
 * One page of plain HTML without scripts. Names, ids and reasons come from the catalog, so from anybody who may
 * register a service: all of it is escaped, and the page's policy forbids whatever might get through.
 */

import type { ServiceView, TableView } from '../balancer/view.ts'
import { type CatalogStatus, suspectFinder } from './catalog.ts'
import { summarise, why } from './describe.ts'
import type { Readiness } from './readiness.ts'

const style =
  'body{font:15px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem}' +
  'table{border-collapse:collapse;width:100%}' +
  'th,td{text-align:left;padding:.25rem .75rem;border-bottom:1px solid #ccc}' +
  'td.n,th.n{text-align:right}code{overflow-wrap:anywhere}'

/** SHA-256 of `style`. A test keeps it true; it is written down because only here would the listener need crypto. */
export const styleHash = 'TIz2hEli7YpHxCMmyowpmwW/CLiG99ylkfTeEMAv3Fs='

/** Nothing may load, run, frame or be sent; only this page's own style applies. */
export const pagePolicy = `default-src 'none'; style-src 'sha256-${styleHash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`

export interface PageInput {
  readonly version: string
  readonly engine: string
  readonly readiness: Readiness
  readonly view: TableView
  readonly catalog: CatalogStatus
}

/** The whole page. */
export function renderPage({ version, engine, readiness, view, catalog }: PageInput): string {
  const find = suspectFinder(catalog)
  const out = view.services.flatMap((service) => outOfRotation(service, find))
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Evenkeel</title>
<style>${style}</style>
</head>
<body>
<h1>Evenkeel ${escapeHtml(version)}</h1>
<p>Catalog: <strong>${escapeHtml(readiness.state)}</strong>, ${escapeHtml(ageText(readiness.ageMs))}. Engine: ${escapeHtml(engine)}.</p>
<p><a href="/metrics">/metrics</a> · <a href="/livez">/livez</a> · <a href="/readyz">/readyz</a> ·
<a href="/api/services">/api/services</a> · <a href="/api/catalog">/api/catalog</a> · <a href="/api/config">/api/config</a></p>
<h2>Services</h2>
${table(
  ['Service', '#Healthy', '#Ejected', '#Probing', '#Absent', '#Suspect', '#In flight', '#Spread'],
  view.services.map((service) => serviceRow(service, find)),
)}
<h2>Out of rotation, failing, or in doubt</h2>
${table(['Service', 'Endpoint', 'Instance', 'Why'], out)}
</body>
</html>
`
}

const hourMs = 3_600_000
const dayMs = 24 * hourMs

/** How long ago the catalog was confirmed, in words: seconds for scripts, and for people what many seconds mean. */
export function ageText(ageMs: number | null): string {
  if (ageMs === null) return 'never confirmed'
  const seconds = `confirmed ${(ageMs / 1000).toFixed(1)} s ago`
  if (ageMs < 2 * hourMs) return seconds
  return `${seconds} (${ageMs < 2 * dayMs ? `${(ageMs / hourMs).toFixed(1)} h` : `${(ageMs / dayMs).toFixed(1)} d`})`
}

/** Safe between tags and inside a quoted attribute. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`)
}

/** Where the JSON of one service is. */
export function servicePath(name: string): string {
  // A lone surrogate, which JSON can carry, has no percent-encoding and would throw.
  return `/api/services/${encodeURIComponent(name.replace(/\p{Surrogate}/gu, '\ufffd'))}`
}

/** A head that starts with `#` is that of a column of numbers. */
function table(heads: readonly string[], rows: readonly string[]): string {
  if (rows.length === 0) return '<p>None.</p>'
  const head = heads.map((each) => (each.startsWith('#') ? `<th class="n">${each.slice(1)}</th>` : `<th>${each}</th>`))
  return `<table>\n<tr>${head.join('')}</tr>\n${rows.join('\n')}\n</table>`
}

type Find = ReturnType<typeof suspectFinder>

function serviceRow(service: ServiceView, find: Find): string {
  const { name, inCatalog, endpoints, absent, suspects, inFlight, pickSpread } = summarise(service, find)
  const link = `<a href="${escapeHtml(servicePath(name))}">${escapeHtml(name)}</a>${inCatalog ? '' : ' (left the catalog)'}`
  const numbers = [endpoints.healthy, endpoints.ejected, endpoints.probing, absent, suspects, inFlight, pickSpread]
  return `<tr><td>${link}</td>${numbers.map((each) => `<td class="n">${each}</td>`).join('')}</tr>`
}

function outOfRotation(service: ServiceView, find: Find): string[] {
  const failing = service.endpoints.flatMap((each) => {
    const reason = why(each, find(service.name, each.endpoint.id))
    return reason === null ? [] : [reasonRow(service.name, each.endpoint.id, each.endpoint.instance, reason)]
  })
  const absent = service.absent.map((each) => reasonRow(service.name, each.address, each.instance, each.reason))
  return [...failing, ...absent]
}

function reasonRow(...cells: readonly string[]): string {
  return `<tr>${cells.map((each) => `<td><code>${escapeHtml(each)}</code></td>`).join('')}</tr>`
}
