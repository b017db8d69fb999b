/**
 * What does a browser load that opens the admin port?
 *
 * One page, one script, one style sheet and an icon. The build has put the script into one file, with lit-html in it; in
 * a checkout, where no build was made, it is made in memory at the first request. Nothing comes from elsewhere, and the
 * policy forbids what might get in through a name out of the catalog (docs/decisions/025-live-page.md).
 */

import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'

/**
 * Nothing but the page's own files, and its own stream. Text that is to become markup or code needs a trusted type, and
 * only lit-html, which makes them from its templates, can make one.
 */
export const pagePolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  'trusted-types lit-html',
].join('; ')

export interface PageFile {
  readonly contentType: string
  readonly body: string
}

export interface Page {
  /** Of its files: the same as long as they are. */
  readonly build: string
  readonly html: string
  /** By path. What is there never changes. */
  readonly files: ReadonlyMap<string, PageFile>
}

const folder = new URL('./dashboard/', import.meta.url)

/** Loads it at the first call, and once only unless that fails. */
export function createPageLoader(): () => Promise<Page> {
  let page: Promise<Page> | null = null
  return () => {
    page ??= loadPage().catch((error: unknown) => {
      page = null
      throw error
    })
    return page
  }
}

/** Reads, and in a checkout builds, what the page consists of. Rejects when neither is possible. */
export async function loadPage(): Promise<Page> {
  const [html, icon, { script, css }] = await Promise.all([read('page.html'), read('icon.svg'), builtFiles()])
  const hash = createHash('sha256')
  for (const text of [html, icon, script, css]) hash.update(text)
  const build = hash.digest('hex').slice(0, 12)
  const base = `/assets/${build}`
  return {
    build,
    html: html.replaceAll('/assets', base),
    files: new Map([
      [`${base}/page.js`, { contentType: 'text/javascript; charset=utf-8', body: script }],
      [`${base}/page.css`, { contentType: 'text/css; charset=utf-8', body: css }],
      [`${base}/icon.svg`, { contentType: 'image/svg+xml', body: icon }],
    ]),
  }
}

interface BuiltFiles {
  readonly script: string
  readonly css: string
}

async function builtFiles(): Promise<BuiltFiles> {
  try {
    return { script: await read('page.js'), css: await read('page.css') }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    return bundle()
  }
}

/** As `npm run build:page` does it, with the same options. */
async function bundle(): Promise<BuiltFiles> {
  const { build } = await import('esbuild')
  const { outputFiles } = await build({
    entryPoints: ['page.ts', 'page.css'].map((name) => fileURLToPath(new URL(name, folder))),
    outdir: fileURLToPath(folder),
    ...{ bundle: true, minify: true, format: 'esm', target: 'es2022', write: false, logLevel: 'silent' },
  })
  const text = (end: string): string => outputFiles.find(({ path }) => path.endsWith(end))?.text ?? ''
  return { script: text('.js'), css: text('.css') }
}

function read(name: string): Promise<string> {
  return readFile(new URL(name, folder), 'utf8')
}
