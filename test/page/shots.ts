/**
 * `node --import tsx test/page/shots.ts [FOLDER] [SECONDS]`: a healthy fleet, a sick one and an empty one, each as it
 * looks on a wide and on a narrow screen. Into docs/images unless said otherwise, after two minutes, when the
 * sparklines are full.
 */

import { mkdir, writeFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { scoped } from '../drills/scope.ts'
import { launchChromium } from './chromium.ts'
import { type Kind, startFleet } from './fleet.ts'
import { withPalette } from './png.ts'

const [folder = 'docs/images', seconds = '125'] = process.argv.slice(2)

const healthy: readonly Kind[] = [
  { name: 'accounts', instances: 3, perSecond: 24, latencyMs: 8 },
  { name: 'auth', instances: 4, perSecond: 40, latencyMs: 3 },
  { name: 'basket', instances: 3, perSecond: 12, latencyMs: 14 },
  { name: 'catalogue', instances: 6, perSecond: 35, latencyMs: 20 },
  { name: 'checkout', instances: 3, perSecond: 5, latencyMs: 60 },
  { name: 'documents', instances: 2, perSecond: 1, latencyMs: 120 },
  { name: 'frontend', instances: 8, perSecond: 60, latencyMs: 12 },
  { name: 'geo', instances: 2, perSecond: 6, latencyMs: 4 },
  { name: 'images', instances: 4, perSecond: 30, latencyMs: 25 },
  { name: 'invoices', instances: 2, perSecond: 0.5, latencyMs: 180 },
  { name: 'mail', instances: 2, perSecond: 0.3, latencyMs: 90 },
  { name: 'notifications', instances: 3, perSecond: 9, latencyMs: 7 },
  { name: 'orders', instances: 3, perSecond: 8, latencyMs: 30 },
  { name: 'payments', instances: 3, perSecond: 4, latencyMs: 140 },
  { name: 'prices', instances: 3, perSecond: 28, latencyMs: 5 },
  { name: 'quotes-service', instances: 3, perSecond: 18, latencyMs: 6 },
  { name: 'search', instances: 5, perSecond: 22, latencyMs: 45 },
  { name: 'sessions', instances: 3, perSecond: 33, latencyMs: 2 },
  { name: 'stock', instances: 3, perSecond: 11, latencyMs: 10 },
  { name: 'tracking', instances: 2, perSecond: 0, latencyMs: 10 },
]

const ills: Readonly<Record<string, NonNullable<Kind['ills']>>> = {
  payments: { 1: { kind: 'fails', share: 0.9 }, 2: { kind: 'fails', share: 0.9 }, 3: { kind: 'fails', share: 0.9 } },
  mail: { 1: { kind: 'critical' }, 2: { kind: 'maintenance' } },
  orders: { 2: { kind: 'fails', share: 1 } },
  search: { 4: { kind: 'silent' } },
  frontend: { 7: { kind: 'maintenance' } },
  images: { 3: { kind: 'fails', share: 0.02 } },
  checkout: { 3: { kind: 'critical' } },
}

const sick = healthy.map((kind) => ({ ...kind, ills: ills[kind.name] ?? {} }))
// The dark one where it is looked at by night.
const fleets = [
  { name: 'healthy', kinds: healthy, hash: '', colorScheme: 'light' },
  { name: 'sick', kinds: sick, hash: '#open=orders&open=search', colorScheme: 'dark' },
  { name: 'empty', kinds: [], hash: '', colorScheme: 'light' },
] as const
const sizes = [
  { width: 1440, height: 900 },
  { width: 390, height: 844 },
]

await mkdir(folder, { recursive: true })
await scoped(async (scope) => {
  const browser = await launchChromium()
  scope.onEnd(() => browser.close())
  const urls = await Promise.all(fleets.map(async ({ kinds }) => (await startFleet(scope, kinds)).url))
  await sleep(Number(seconds) * 1_000)
  for (const [index, { name, hash, colorScheme }] of fleets.entries()) {
    for (const viewport of sizes) {
      const page = await browser.newPage({ viewport, colorScheme })
      page.on('console', (message) => process.stderr.write(`${name}: ${message.text()}\n`))
      await page.goto(`${urls[index]}/${hash}`)
      await page.waitForSelector('.tiles')
      await sleep(2_500)
      await writeFile(`${folder}/page-${name}-${viewport.width}.png`, withPalette(await page.screenshot()))
      await page.close()
    }
  }
})
