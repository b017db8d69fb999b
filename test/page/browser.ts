/** One browser for the tests of a file, and pages that keep to loopback and tell of everything that went wrong in them. */

import type { Browser, BrowserContextOptions, Page } from 'playwright-core'
import { launchChromium } from './chromium.ts'

export interface Watched {
  readonly page: Page
  /** Errors of scripts, what the console complains of, and what the policy has blocked. */
  readonly complaints: readonly string[]
  /** Every address that was asked for. */
  readonly requested: readonly string[]
}

let browser: Promise<Browser> | null = null
const open: Page[] = []

export async function openPage(url: string, options: BrowserContextOptions = {}): Promise<Watched> {
  browser ??= launchChromium()
  const context = await (await browser).newContext({ viewport: { width: 1440, height: 900 }, ...options })
  const page = await context.newPage()
  open.push(page)
  const complaints: string[] = []
  const requested: string[] = []
  page.on('pageerror', (error) => complaints.push(`script: ${error.message}`))
  page.on('dialog', (dialog) => {
    complaints.push(`dialog: ${dialog.message()}`)
    void dialog.dismiss()
  })
  page.on('console', (message) => {
    // A stream that breaks is told there too, and is no fault of the page.
    const isNetwork = /net::ERR_|Failed to load resource/.test(message.text())
    if (['error', 'warning'].includes(message.type()) && !isNetwork) complaints.push(message.text())
  })
  page.on('request', (request) => requested.push(request.url()))
  await page.addInitScript(`
    window.violations = []
    document.addEventListener('securitypolicyviolation', (event) => window.violations.push(event.violatedDirective + ' ' + event.blockedURI))`)
  await page.goto(url)
  return { page, complaints, requested }
}

/** For `afterEach`. */
export async function closePages(): Promise<void> {
  await Promise.all(open.splice(0).map((page) => page.context().close()))
}

/** For `afterAll`. */
export async function closeBrowser(): Promise<void> {
  await (await browser)?.close()
  browser = null
}

/** What the page's policy has blocked. */
export function violationsOf(page: Page): Promise<readonly string[]> {
  return page.evaluate('window.violations')
}
