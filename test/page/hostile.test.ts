/**
 * What if whoever may register a service puts markup into everything that the page shows? From a real Consul, through
 * the whole proxy, into a real browser: nothing of it may run, load or become an element, and all of it is to be read.
 */

import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { type App, startApp } from '../../src/app.ts'
import { loadConfig } from '../../src/config/load.ts'
import { createLog } from '../../src/log.ts'
import { type ConsulAgent, startConsul } from '../support/consul.ts'
import { waitFor } from '../support/wait.ts'
import { closeBrowser, closePages, openPage, violationsOf } from './browser.ts'
import { whyNoBrowser } from './chromium.ts'

const why = whyNoBrowser()
const cleanups: (() => Promise<unknown>)[] = []

/** Each place has a number of its own, by which one sees which of them it was. */
const evil = (place: number): string =>
  `"><img src=x${place} onerror="window.owned=${place}"><script>window.owned=${place}</script>`

/** Names are part of a path, so the most hostile one has no slash in it. */
const evilName = '"><img src=x1 onerror=window.owned=1>\'{{7*7}}'

/** A proxy that follows this Consul. */
async function follow(consul: ConsulAgent): Promise<App> {
  const set = ['listen.host=127.0.0.1', 'accessLog.enabled=false']
  const loaded = loadConfig({ env: {}, flags: { port: '0', adminPort: '0', consul: consul.url, set } })
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems))
  const { log, setLevel } = createLog({ level: 'silent' })
  const app = await startApp({ config: loaded.config, log, setLogLevel: setLevel, version: '1.0.0' })
  cleanups.push(() => app.close())
  return app
}

describe.skipIf(why !== null)(`markup out of a catalog${why === null ? '' : ` (skipped: ${why})`}`, () => {
  afterEach(async () => {
    await closePages()
    for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
  })
  afterAll(closeBrowser)

  it('is text on the page, and nothing else, in every place', async () => {
    const consul = await startConsul()
    cleanups.push(() => consul.stop())
    const tag = evil(2)
    await consul.register({
      Name: evilName,
      ID: 'in-rotation',
      Address: '127.0.0.1',
      Port: 9,
      Tags: [tag],
    })
    await consul.register({ Name: evilName, ID: evil(3), Address: '127.0.0.2', Port: 9, Tags: [tag] })
    await consul.register({ Name: evilName, ID: 'no-address', Address: evil(4), Port: 9 })
    await consul.register({
      ...{ Name: evilName, ID: 'critical', Address: '127.0.0.3', Port: 9 },
      Check: { CheckID: 'evil-check', Name: evil(5), TTL: '60m', Status: 'passing' },
    })
    // Consul passes an output on at once only with another status.
    await consul.setCheck('evil-check', 'fail', evil(6))
    await consul.register({ Name: evilName, ID: 'in-maintenance', Address: '127.0.0.4', Port: 9 })
    await consul.maintenance('in-maintenance', true, evil(7))

    const app = await follow(consul)
    await app.ready

    const { page, complaints, requested } = await openPage(`http://127.0.0.1:${app.adminPort}`)
    await page.locator('.detail .endpoint').first().waitFor()
    // What comes by an event takes another way than what was there before.
    await consul.register({ Name: evilName, ID: evil(8), Address: '127.0.0.5', Port: 9, Tags: [tag] })
    await page.locator('.event', { hasText: evil(8).slice(0, 30) }).waitFor()
    await page.locator('.detail .endpoint', { hasText: evil(8) }).waitFor()
    await page.locator('#filter').fill(evilName)

    const shown = await page.locator('body').innerText()
    // Some of it is cut.
    for (const place of [3, 4, 5, 6, 7, 8]) expect(shown).toContain(evil(place).slice(0, 60))
    const tags = await page.locator('.detail .instance').first().getAttribute('title')
    expect(tags).toContain(evil(2).slice(0, 60))
    expect(await page.locator('.service .open').textContent()).toBe(evilName)
    expect(await page.locator('img, body script, iframe, object, embed, [onerror], [onload]').count()).toBe(0)
    expect(await page.evaluate('window.owned ?? null')).toBeNull()
    expect(await violationsOf(page)).toEqual([])
    expect(complaints).toEqual([])
    expect(requested.filter((url) => new URL(url).origin !== `http://127.0.0.1:${app.adminPort}`)).toEqual([])

    // The way to the JSON of that very service.
    const href = (await page.locator('.detail .more a').getAttribute('href')) ?? ''
    expect(href).toBe(`/api/services/${encodeURIComponent(evilName)}`)
    const answer = await fetch(`http://127.0.0.1:${app.adminPort}${href}`)
    expect(await answer.json()).toMatchObject({ name: evilName })
  })

  it('would not run if it got in: the policy stops it', async () => {
    const consul = await startConsul()
    cleanups.push(() => consul.stop())
    const app = await follow(consul)
    const { page } = await openPage(`http://127.0.0.1:${app.adminPort}`)
    await page.locator('.empty').waitFor()
    // Each is a hole that such a page could have; what is tried runs in the page's own world.
    const attempt = (code: string) =>
      page.evaluate<string>(`(() => { try { ${code}; return 'done' } catch (error) { return error.name } })()`)
    expect(await attempt(`document.body.innerHTML = '<img src=x onerror="window.owned=1">'`)).toBe('TypeError')
    expect(await attempt(`trustedTypes.createPolicy('lit-html', { createHTML: (text) => text })`)).toBe('TypeError')
    expect(await attempt(`setTimeout('window.owned = 2')`)).not.toBe('done')
    await attempt(`
      const made = document.createElement('img')
      made.setAttribute('src', 'http://127.0.0.1:9/leak')
      document.body.append(made)`)
    await waitFor('the foreign image is blocked', async () =>
      (await violationsOf(page)).some((text) => /^img-src/.test(text)),
    )
    expect(await page.evaluate('window.owned ?? null')).toBeNull()
  })
})
