import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { escapeHtml, renderPage, servicePath, styleHash } from '../../src/admin/page.ts'
import type { ServiceView } from '../../src/balancer/view.ts'
import { endpointView, plainCatalog, serviceView, suspect, tableView } from './fixtures.ts'

const hostile = `"><script>alert('x')</script><img src=x onerror=alert(1)>&amp;`

const catalog = { ...plainCatalog, suspects: [suspect('doubted', 82)] }

function pageOf(...services: readonly ServiceView[]): string {
  const readiness = { state: 'stale', ageMs: 61_000 } as const
  return renderPage({ version: '1.2.3', engine: 'wire', readiness, view: tableView(...services), catalog })
}

describe('the page for people', () => {
  it('allows exactly the style that it carries', () => {
    const style = /<style>(.*)<\/style>/s.exec(pageOf())?.[1] ?? ''
    expect(createHash('sha256').update(style).digest('base64')).toBe(styleHash)
  })

  it('shows every service with its counts, and how old the catalog is', () => {
    const html = pageOf(
      serviceView('quotes', { endpoints: [endpointView(80), endpointView(81, { state: 'ejected' })], pickSpread: 1 }),
      serviceView('gone', { inCatalog: false }),
    )
    expect(html).toContain('confirmed 61.0 s ago')
    expect(html).toContain('<a href="/api/services/quotes">quotes</a></td><td class="n">1</td><td class="n">1</td>')
    expect(html).toContain('gone</a> (left the catalog)')
  })

  it('tells which version and which engine is running', () => {
    expect(pageOf()).toContain('<h1>Evenkeel 1.2.3</h1>')
    expect(pageOf()).toContain('Engine: wire.')
  })

  it('tells why an endpoint is out of rotation, or an instance was never in it', () => {
    const html = pageOf(
      serviceView('quotes', {
        endpoints: [
          endpointView(80, { state: 'ejected', reason: 'consecutive-faults', ejectedForMs: 12_345 }),
          endpointView(81, { reason: 'fault-rate', withheld: 'cap' }),
        ],
        absent: [{ instance: 'q-3', address: '10.0.0.9:80', reason: 'in maintenance mode' }],
      }),
    )
    expect(html).toContain('ejected for consecutive-faults; the next probe may go in 12.3 s')
    expect(html).toContain('its ejection for fault-rate is due but withheld: cap')
    expect(html).toContain('in maintenance mode')
  })

  it('tells of an endpoint that is in rotation although the catalog leaves it out', () => {
    const html = pageOf(serviceView('doubted', { endpoints: [endpointView(82)] }))
    expect(html).toContain('held: an answer left this service without endpoints; decided in 6.0 s at the latest')
  })

  it.each(['service name', 'instance id', 'absent instance', 'absent address', 'reason'])(
    'shows markup in the %s as text',
    (where) => {
      const at = (name: string) => (where === name ? hostile : 'plain')
      const html = pageOf(
        serviceView(at('service name'), {
          endpoints: [endpointView(80, { instance: at('instance id'), state: 'probing', reason: 'fault-rate' })],
          absent: [{ instance: at('absent instance'), address: at('absent address'), reason: at('reason') }],
        }),
      )
      expect(html).not.toMatch(/<script|<img/i)
      expect(html).toContain(escapeHtml(hostile))
    },
  )

  it('names a service of any characters in a link that cannot be left', () => {
    expect(servicePath('a/b "c"')).toBe('/api/services/a%2Fb%20%22c%22')
    expect(servicePath('half \ud800 pair')).toBe('/api/services/half%20%EF%BF%BD%20pair')
    expect(pageOf(serviceView('x" onclick="y'))).not.toContain('onclick="')
  })
})
