/** Does the live page work in a real browser? Over a real admin listener, with a table that the test makes up. */

import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { mostStreams } from '../../src/admin/live-streams.ts'
import type { ServiceView } from '../../src/balancer/view.ts'
import { endpointView, serviceView } from '../admin/fixtures.ts'
import { openReader, startLiveWorld } from '../admin/live-world.ts'
import { closeAll } from '../admin/server-setup.ts'
import { waitFor } from '../support/wait.ts'
import { closeBrowser, closePages, openPage, violationsOf } from './browser.ts'
import { whyNoBrowser } from './chromium.ts'

const why = whyNoBrowser()

const healthy = serviceView('accounts', {
  endpoints: [endpointView(80, { idealShare: 0.5 }), endpointView(81, { idealShare: 0.5 })],
})
const ejected = endpointView(92, {
  state: 'ejected',
  reason: 'consecutive-faults',
  ejectedForMs: 20_000,
  stateForMs: 9_000,
  idealShare: 0,
  lastEjection: { reason: 'consecutive-faults', agoMs: 9_000, forMs: 30_000, by: null, faults: [] },
  faults: [{ agoMs: 9_000, outcome: { kind: 'connect-failed', code: 'ECONNREFUSED' }, request: 'r-1' }],
})
const sick = serviceView('quotes', {
  endpoints: [endpointView(90, { idealShare: 1, recentPicks: 10, inFlight: 3 }), ejected],
  absent: [{ instance: 'q-3', address: '10.0.0.9:80', reason: 'check "http" is critical' }],
})
const down = serviceView('mail', {
  absent: [{ instance: 'm-1', address: '10.0.0.8:25', reason: 'in maintenance mode' }],
})

function numbered(count: number): ServiceView[] {
  return Array.from({ length: count }, (_, at) =>
    serviceView(`service-${String(at).padStart(3, '0')}`, {
      endpoints: [80, 81, 82].map((port) => endpointView(port, { idealShare: 1 / 3 })),
    }),
  )
}

describe.skipIf(why !== null)(`the page in Chromium${why === null ? '' : ` (skipped: ${why})`}`, () => {
  afterEach(async () => {
    await closePages()
    await closeAll()
  })
  afterAll(closeBrowser)

  const names = '.service .open'

  it('shows the fleet, what is sick on top, with words and not by colour alone', async () => {
    const world = await startLiveWorld([healthy, down, sick])
    for (let number = 0; number < 20; number++) world.request('accounts', 200, 12)
    const { page, complaints } = await openPage(world.url)
    await page.locator(names).first().waitFor()
    expect(await page.locator(names).allTextContents()).toEqual(['mail', 'quotes', 'accounts'])
    expect(await page.locator('.state b').allTextContents()).toEqual(['DOWN', 'SICK', 'OK'])
    expect((await page.locator('h1 .word').textContent())?.replace(/\s+/g, ' ').trim()).toBe('1 DOWN 1 SICK')
    expect(await page.title()).toBe('1 DOWN, 1 SICK · Evenkeel')
    expect(await page.locator('.lv-sick .blocks').getAttribute('aria-label')).toBe(
      '1 healthy, 1 ejected, 1 kept out by the catalog',
    )
    // A small fleet is opened by itself.
    const detail = page.locator('.lv-sick .detail')
    await detail.getByText('check "http" is critical').waitFor()
    expect(await detail.locator('.endpoint').count()).toBe(3)
    expect(await detail.textContent()).toContain('no connection: refused (ECONNREFUSED)')
    expect(await detail.textContent()).toContain(
      'Gets no requests: ejected 9.0 s ago for 30 s, because 5 requests in a row failed',
    )
    expect(complaints).toEqual([])
    expect(await violationsOf(page)).toEqual([])
  })

  it('shows what happens when it happens', async () => {
    const world = await startLiveWorld([healthy])
    const { page } = await openPage(world.url)
    await page.locator('.lv-ok .open').waitFor()
    world.table.services = [{ ...healthy, endpoints: [endpointView(80), ejected] }]
    world.live.observer.onEjected('accounts', '10.0.0.1:92', 'consecutive-faults', 30_000)
    await page.locator('.event.t-bad', { hasText: '10.0.0.1:92 for 30 s: 5 requests in a row failed' }).waitFor()
    await page.locator('.service.lv-sick .b-e').first().waitFor()
    expect(await page.locator('.event.t-bad b').textContent()).toBe('ejected')
  })

  it('filters by name and by state, and says how many are left', async () => {
    const world = await startLiveWorld([...numbered(20), sick])
    const { page } = await openPage(world.url)
    await page.locator(names).first().waitFor()
    await page.keyboard.press('/')
    await page.keyboard.type('Service-01')
    await waitFor('ten are left', async () => (await page.locator(names).count()) === 10)
    expect(await page.locator('.count').textContent()).toBe('10 of 21')
    await page.locator('#filter').fill('sick')
    await waitFor('one is left', async () => (await page.locator(names).allTextContents()).join() === 'quotes')
    await page.locator('#filter').fill('nonsense')
    await page.getByText('No service matches').waitFor()
    await page.keyboard.press('Escape')
    await waitFor('all are back', async () => (await page.locator(names).count()) === 21)
  })

  it('sorts by the heads and by letters', async () => {
    const world = await startLiveWorld([healthy, sick, down])
    for (let number = 0; number < 50; number++) world.request('accounts')
    for (let number = 0; number < 9; number++) world.request('mail', 503)
    const { page } = await openPage(world.url)
    const order = async () => (await page.locator(names).allTextContents()).join()
    await page.locator(names).first().waitFor()
    await page.locator('.head button', { hasText: 'Service' }).click()
    await waitFor('by name', async () => (await order()) === 'accounts,mail,quotes')
    await page.locator('.head button', { hasText: 'Service' }).click()
    await waitFor('by name, downwards', async () => (await order()) === 'quotes,mail,accounts')
    await page.keyboard.press('r')
    await waitFor('by rate', async () => (await order()) === 'accounts,mail,quotes')
    expect(await page.locator('.h-rate').getAttribute('aria-sort')).toBe('descending')
    await page.keyboard.press('e')
    await waitFor('by errors', async () => (await order()).startsWith('mail,'))
    await page.reload()
    await waitFor('the order is remembered', async () => (await order()).startsWith('mail,'))
    await page.keyboard.press('s')
    await waitFor('by state', async () => (await order()) === 'mail,quotes,accounts')
  })

  it('is used with the keyboard alone: walk, open, close', async () => {
    const world = await startLiveWorld(numbered(20))
    const { page } = await openPage(world.url)
    await page.locator(names).first().waitFor()
    const focused = () => page.evaluate<string | null>('document.activeElement.dataset.name ?? null')
    await page.keyboard.press('ArrowDown')
    expect(await focused()).toBe('service-000')
    await page.keyboard.press('j')
    await page.keyboard.press('ArrowDown')
    await page.keyboard.press('k')
    await waitFor('the second one', async () => (await focused()) === 'service-001')
    // One stop of the Tab key for all rows.
    expect(await page.locator('.open[tabindex="0"]').count()).toBe(1)
    await page.keyboard.press('Enter')
    await page.locator('.detail .endpoint').first().waitFor()
    expect(await page.locator('.detail .endpoint').count()).toBe(3)
    expect(await page.locator('.open[aria-expanded="true"]').textContent()).toBe('service-001')
    expect(await focused()).toBe('service-001')
    await page.keyboard.press('Enter')
    await waitFor('it is closed', async () => (await page.locator('.detail').count()) === 0)
  })

  it('keeps the keyboard where it is when rows change their places', async () => {
    const world = await startLiveWorld(numbered(20))
    const { page } = await openPage(world.url)
    await page.locator('[data-name="service-007"]').focus()
    world.table.services = numbered(20).map((each) =>
      each.name === 'service-007' ? { ...each, endpoints: [ejected, endpointView(80)] } : each,
    )
    world.live.observer.onEjected('service-007', '10.0.0.1:92', 'fault-rate', 30_000)
    await waitFor('it is on top', async () => (await page.locator(names).first().textContent()) === 'service-007')
    expect(await page.evaluate('document.activeElement.dataset.name ?? null')).toBe('service-007')
  })

  it('opens what a bookmark names, were it ten thousand services, and takes another one while it is open', async () => {
    const world = await startLiveWorld(numbered(30))
    const hash = Array.from(
      { length: 10_000 },
      (_, at) => `open=service-${String(at % 30).padStart(3, '0')}${at < 9_970 ? `-${at}` : ''}`,
    )
    const { page } = await openPage(`${world.url}/#${hash.join('&')}`)
    await waitFor('twenty are open', async () => (await page.locator('.detail .endpoint').count()) === 20 * 3)
    await page.evaluate("location.hash = 'open=service-003&filter=service-00&sort=name-'")
    await waitFor('one is open', async () => (await page.locator('.detail .endpoint').count()) === 3)
    expect(await page.locator(names).first().textContent()).toBe('service-009')
    expect(await page.locator('#filter').inputValue()).toBe('service-00')
  })

  it('can have twenty services open, whatever they are called', async () => {
    const foreign = numbered(20).map((each) => ({ ...each, name: `${each.name}${'漢'.repeat(100)}` }))
    const world = await startLiveWorld(foreign)
    const { page } = await openPage(world.url)
    await page.locator(names).first().waitFor()
    for (const { name } of foreign) await page.locator(`[data-name="${name}"]`).click()
    await page
      .locator(`.service:has([data-name="${foreign.at(-1)?.name}"]) .endpoint`)
      .first()
      .waitFor()
    expect(await page.locator('.banner').isVisible()).toBe(false)
  })

  it('says that the connection is lost, and of when its data are; goes on when the proxy is back', async () => {
    const world = await startLiveWorld([healthy])
    const { page } = await openPage(world.url)
    await page.locator('.lv-ok .open').waitFor()
    await world.close()
    const banner = page.locator('.banner')
    await banner.getByText(/Connection lost, retrying \(data from \d\d:\d\d:\d\d\)/).waitFor()
    // What was known stays in sight.
    expect(await page.locator(names).allTextContents()).toEqual(['accounts'])
    expect(await page.title()).toBe('connection lost · Evenkeel')
    expect(await page.locator('.head-bar.old').count()).toBe(1)
    await startLiveWorld([down], world.port)
    await page.locator('.lv-down .open').waitFor()
    expect(await banner.isVisible()).toBe(false)
    expect(await page.locator(names).allTextContents()).toEqual(['mail'])
  })

  it('says so when as many pages are open as there may be, and gets in when one is closed', async () => {
    const world = await startLiveWorld([healthy])
    const readers = await Promise.all(Array.from({ length: mostStreams }, () => openReader(world.port)))
    const { page } = await openPage(world.url)
    await page.locator('.banner').getByText('Too many pages are open').waitFor()
    readers[0]?.close()
    await page.locator('.lv-ok .open').waitFor()
    expect(await page.locator('.banner').isVisible()).toBe(false)
  })

  it('does not call all well what stands on a stale catalog', async () => {
    const world = await startLiveWorld([healthy])
    const { page } = await openPage(world.url)
    await page.locator('h1', { hasText: 'ALL WELL' }).waitFor()
    world.table.readiness = { state: 'stale', ageMs: 90_000 }
    world.live.onCatalog()
    await page.locator('h1', { hasText: 'CATALOG STALE' }).waitFor()
    expect(await page.title()).toBe('CATALOG STALE · Evenkeel')
  })

  it('says what to do when there is nothing to show', async () => {
    const world = await startLiveWorld([])
    const { page } = await openPage(world.url)
    await page.getByText('consul services register').waitFor()
    world.table.readiness = { state: 'starting', ageMs: null }
    await page.getByText('Waiting for the catalog').waitFor()
    world.table.services = [healthy]
    await page.locator('.lv-ok .open').waitFor()
  })

  it('asks nobody but the proxy, and few bytes of it', async () => {
    const world = await startLiveWorld(numbered(20))
    const { page, requested } = await openPage(world.url)
    await page.locator(names).first().waitFor()
    expect(requested.filter((url) => !url.startsWith(`${world.url}/`))).toEqual([])
    const files = new Set(requested.filter((url) => !url.includes('/api/live')))
    expect(files.size).toBeLessThanOrEqual(4)
    let bytes = 0
    for (const url of files) bytes += (await (await fetch(url)).arrayBuffer()).byteLength
    expect(bytes).toBeLessThan(70_000)
  })

  it.each(['light', 'dark'] as const)('is %s for those who like it so', async (colorScheme) => {
    const world = await startLiveWorld([healthy])
    const { page } = await openPage(world.url, { colorScheme })
    await page.locator(names).first().waitFor()
    const colour = await page.evaluate<string>('getComputedStyle(document.body).backgroundColor')
    const brightness = (colour.match(/\d+/g) ?? []).slice(0, 3).reduce((sum, part) => sum + Number(part), 0)
    if (colorScheme === 'light') expect(brightness).toBeGreaterThan(600)
    else expect(brightness).toBeLessThan(120)
  })

  it('keeps still for those who want no motion', async () => {
    const world = await startLiveWorld([healthy])
    world.live.observer.onRestored('accounts', '10.0.0.1:80')
    const { page } = await openPage(world.url, { reducedMotion: 'reduce' })
    await page.locator('.event').first().waitFor()
    expect(await page.evaluate("getComputedStyle(document.querySelector('.event')).animationName")).toBe('none')
  })

  it('fits on a narrow screen, whatever the names are', async () => {
    const long = 'x'.repeat(150)
    const wide = serviceView(`${long}-service`, {
      endpoints: Array.from({ length: 60 }, (_, at) => endpointView(1_000 + at, { instance: long })),
      absent: [{ instance: long, address: long, reason: long }],
    })
    const world = await startLiveWorld([wide, sick, down])
    world.live.observer.onDrained(wide.name, '10.0.0.1:1000', long)
    const { page } = await openPage(`${world.url}/#open=quotes&open=${'x'.repeat(119)}…`, {
      viewport: { width: 390, height: 844 },
    })
    await page.locator('.detail .endpoint').first().waitFor()
    const cutOff = `[document.documentElement, ...document.querySelectorAll('.service > .row')]
      .filter((each) => each.scrollWidth > each.clientWidth).map((each) => each.className)`
    // At 720 px is a wide screen at 200 %.
    for (const width of [390, 640, 720, 781, 900, 1001, 1280, 1341, 1440]) {
      await page.setViewportSize({ width, height: 844 })
      expect([width, await page.evaluate(cutOff)]).toEqual([width, []])
    }
  })

  it('goes on with five hundred services, and draws a bounded number of more', async () => {
    const world = await startLiveWorld(numbered(620))
    const { page } = await openPage(world.url)
    await waitFor('five hundred rows', async () => (await page.locator(names).count()) === 500)
    world.live.observer.onRestored('service-619', '10.0.0.1:80')
    await page.locator('.event', { hasText: 'service-619' }).waitFor()
    await page.locator('.event button', { hasText: 'service-619' }).click()
    await waitFor('it alone', async () => (await page.locator(names).allTextContents()).join() === 'service-619')
    await page.keyboard.press('Escape')
    await page.getByRole('button', { name: 'Show 120 more' }).click()
    await waitFor('all rows', async () => (await page.locator(names).count()) === 620)
  })

  it('says where the same is to be had without scripts', async () => {
    const world = await startLiveWorld([healthy])
    const { page } = await openPage(world.url, { javaScriptEnabled: false })
    expect(await page.locator('noscript a').first().getAttribute('href')).toBe('/api/services')
  })
})
