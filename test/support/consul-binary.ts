/**
 * Where is a real `consul` to test against? `$CONSUL_BIN`, PATH, this repository's `.cache/`; else Debian's package is
 * fetched into `.cache/`, through the mirror and the keyring that the system already uses, without root and without
 * touching the system's own package lists.
 */

import { execFile } from 'node:child_process'
import { access, chmod, constants, mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const run = promisify(execFile)
const CACHE = fileURLToPath(new URL('../../.cache/', import.meta.url))
const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg'
/** The last Debian release that has the package: https://packages.debian.org/consul */
const SUITE = 'bullseye'

let found: Promise<string> | null = null

/**
 * The path of an executable `consul`.
 * @throws one sentence that says what to install
 */
export function findConsul(): Promise<string> {
  found ??= locate()
  return found
}

async function locate(): Promise<string> {
  const named = process.env.CONSUL_BIN
  if (named !== undefined && named !== '') {
    if (await executable(named)) return named
    throw new Error(`CONSUL_BIN is ${named}, which is not an executable file.`)
  }
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    const path = join(folder, 'consul')
    if (folder !== '' && (await executable(path))) return path
  }
  const cached = join(CACHE, 'consul')
  if (await executable(cached)) return cached
  try {
    await fetchPackage(cached)
  } catch (error) {
    const why = (error instanceof Error ? error.message : String(error)).trim().split('\n').at(-1)
    throw new Error(`These tests need Consul: install it on PATH or set CONSUL_BIN to its binary (${why}).`)
  }
  return cached
}

async function executable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  )
}

/** Builds in a folder of its own and renames the result into place, so that two test workers may do it at once. */
async function fetchPackage(target: string): Promise<void> {
  const mirror = await debianMirror()
  await mkdir(CACHE, { recursive: true })
  const folder = await mkdtemp(join(CACHE, 'fetch-'))
  try {
    for (const sub of ['lists/partial', 'cache/archives/partial']) await mkdir(join(folder, sub), { recursive: true })
    const list = join(folder, 'sources.list')
    await writeFile(list, `deb [signed-by=${KEYRING}] ${mirror} ${SUITE} main\n`)
    const settings = {
      'Dir::Etc::SourceList': list,
      'Dir::Etc::SourceParts': '-',
      'Dir::State::Lists': join(folder, 'lists'),
      'Dir::Cache': join(folder, 'cache'),
      'Acquire::Languages': 'none',
      'Acquire::IndexTargets::deb::DEP-11::DefaultEnabled': 'false',
      'Debug::NoLocking': '1',
    }
    const options = Object.entries(settings).flatMap(([name, value]) => ['-o', `${name}=${value}`])
    await run('apt-get', ['-qq', ...options, 'update'], { cwd: folder })
    await run('apt-get', ['-qq', ...options, 'download', 'consul'], { cwd: folder })
    const archive = (await readdir(folder)).find((name) => name.endsWith('.deb'))
    if (archive === undefined) throw new Error(`the mirror has no package consul in ${SUITE}`)
    await run('dpkg', ['-x', join(folder, archive), join(folder, 'root')])
    const binary = join(folder, 'root/usr/bin/consul')
    await chmod(binary, 0o755)
    await rename(binary, target)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function debianMirror(): Promise<string> {
  const parts = await readdir('/etc/apt/sources.list.d').catch(() => [])
  const files = ['/etc/apt/sources.list', ...parts.sort().map((name) => join('/etc/apt/sources.list.d', name))]
  for (const file of files) {
    if (!/\.(list|sources)$/.test(file)) continue
    const mirror = mirrorIn(await readFile(file, 'utf8').catch(() => ''))
    if (mirror !== null) return mirror
  }
  throw new Error('this system has no Debian mirror to fetch it from')
}

/**
 * The mirror that one of apt's files names, in either of its two formats (sources.list(5)); null: none. The archive of
 * security updates is another one and does not have the release itself.
 */
export function mirrorIn(text: string): string | null {
  const lines = text.split('\n').filter((line) => !line.trimStart().startsWith('#'))
  for (const line of lines) {
    const uri = /^\s*(?:deb\s+(?:\[[^\]]*\]\s+)?|URIs:\s*)(https?:\/\/\S+\/debian)\/?(?:\s|$)/i.exec(line)?.[1]
    if (uri !== undefined) return uri
  }
  return null
}
