/**
 * Where is a real `etcd` to test against? `$ETCD_BIN`, PATH, this repository's `.cache/`; else Debian's package is fetched
 * into `.cache/`, as consul-binary.ts does it.
 */

import { execFile } from 'node:child_process'
import { access, chmod, constants, mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { mirrorIn } from './consul-binary.ts'

const run = promisify(execFile)
const CACHE = fileURLToPath(new URL('../../.cache/', import.meta.url))
const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg'
/** Has etcd 3.4: https://packages.debian.org/etcd-server */
const SUITE = 'bookworm'

let found: Promise<string> | null = null

/**
 * The path of an executable `etcd`.
 * @throws one sentence that says what to install
 */
export function findEtcd(): Promise<string> {
  found ??= locate()
  return found
}

/** Why there is no `etcd` to be had here, for a test to be skipped with; null: there is one, or it must be there. */
export async function etcdLacks(): Promise<string | null> {
  if (process.env.CI !== undefined && process.env.CI !== '') return null
  return findEtcd().then(
    () => null,
    (error: Error) => error.message,
  )
}

async function locate(): Promise<string> {
  const named = process.env.ETCD_BIN
  if (named !== undefined && named !== '') {
    if (await executable(named)) return named
    throw new Error(`ETCD_BIN is ${named}, which is not an executable file.`)
  }
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    const path = join(folder, 'etcd')
    if (folder !== '' && (await executable(path))) return path
  }
  const cached = join(CACHE, 'etcd')
  if (await executable(cached)) return cached
  try {
    await fetchPackage(cached)
  } catch (error) {
    const why = (error instanceof Error ? error.message : String(error)).trim().split('\n').at(-1)
    throw new Error(`These tests need etcd: install it on PATH or set ETCD_BIN to its binary (${why}).`)
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
    await run('apt-get', ['-qq', ...options, 'download', 'etcd-server'], { cwd: folder })
    const archive = (await readdir(folder)).find((name) => name.endsWith('.deb'))
    if (archive === undefined) throw new Error(`the mirror has no package etcd-server in ${SUITE}`)
    await run('dpkg', ['-x', join(folder, archive), join(folder, 'root')])
    const binary = join(folder, 'root/usr/bin/etcd')
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
