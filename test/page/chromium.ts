/** Where is a browser to look at the page with? A real Chromium, `$CHROMIUM_BIN` or the one on the PATH. */

import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import { type Browser, chromium } from 'playwright-core'

const names = ['chromium', 'chromium-browser', 'google-chrome', 'chrome']

/** Its path; null: there is none. */
export function findChromium(): string | null {
  const given = process.env.CHROMIUM_BIN
  if (given !== undefined && given !== '') return given
  const folders = (process.env.PATH ?? '').split(delimiter)
  const paths = folders.flatMap((folder) => names.map((name) => join(folder, name)))
  return paths.find(isExecutable) ?? null
}

/** Why tests with a browser cannot run here; null: they can. On a CI machine there is no excuse. */
export function whyNoBrowser(): string | null {
  if (findChromium() !== null || process.env.CI !== undefined) return null
  return 'no chromium on the PATH, nor in $CHROMIUM_BIN'
}

export function launchChromium(): Promise<Browser> {
  const executablePath = findChromium()
  if (executablePath === null) throw new Error('no chromium on the PATH, nor in $CHROMIUM_BIN: install it')
  // As root, and in containers, its own sandbox cannot be had.
  return chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-dev-shm-usage', '--disable-gpu'] })
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
