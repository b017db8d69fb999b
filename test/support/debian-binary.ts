/**
 * Where is a real `consul`, `prometheus` or `etcd` to test against? A variable that names it, PATH, this repository's
 * `.cache/`; else Debian's package is fetched into `.cache/`, through the mirror and the keyring that the system already
 * uses, without root and without touching the system's own package lists.
 */

import { execFile } from 'node:child_process'
import { access, chmod, constants, mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const run = promisify(execFile)
const CACHE = fileURLToPath(new URL('../../.cache/', import.meta.url))
const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg'

/** A package of Debian with programs in it. */
export interface DebianPackage {
  readonly name: string
  /** What is in it; the main one first. */
  readonly programs: readonly string[]
  /** The environment variable that may name the main program; the others are looked for beside it. */
  readonly variable: string
  /** The release to fetch it from; null: that of this machine. */
  readonly suite: string | null
}

const found = new Map<string, Promise<string>>()
/** By package: two of its programs are one download. */
const fetched = new Map<string, Promise<void>>()

/**
 * The path of one of the package's programs, executable.
 * @throws one sentence that says what to install
 */
export function findProgram(from: DebianPackage, program: string): Promise<string> {
  const known = found.get(program) ?? locate(from, program)
  found.set(program, known)
  return known
}

async function locate(from: DebianPackage, program: string): Promise<string> {
  const named = process.env[from.variable]
  if (named !== undefined && named !== '') {
    const path = program === from.programs[0] ? named : join(dirname(named), program)
    if (await executable(path)) return path
    throw new Error(`By ${from.variable} it is ${path}, which is not an executable file.`)
  }
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    const path = join(folder, program)
    if (folder !== '' && (await executable(path))) return path
  }
  const cached = join(CACHE, program)
  if (await executable(cached)) return cached
  try {
    const fetching = fetched.get(from.name) ?? fetchPackage(from)
    fetched.set(from.name, fetching)
    await fetching
  } catch (error) {
    const why = (error instanceof Error ? error.message : String(error)).trim().split('\n').at(-1)
    throw new Error(`These tests need ${from.name}: install it on PATH or set ${from.variable} to its binary (${why}).`)
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
async function fetchPackage({ name, programs, suite }: DebianPackage): Promise<void> {
  await unpacked([name], suite, async (root) => {
    for (const program of programs) {
      const binary = join(root, 'usr/bin', program)
      await chmod(binary, 0o755)
      await rename(binary, join(CACHE, program))
    }
  })
}

/**
 * A folder with these packages of Debian unpacked in it, as below `/`: `.cache/<name>/`. Nothing in them is run.
 * @param suite the release to fetch them from; null: that of this machine
 * @throws one sentence that says why they are not to be had
 */
export async function debianTree(name: string, packages: readonly string[], suite: string | null): Promise<string> {
  const target = join(CACHE, name)
  const isThere = () =>
    access(target).then(
      () => true,
      () => false,
    )
  if (await isThere()) return target
  try {
    await unpacked(packages, suite, async (root) => {
      await rename(root, target).catch(async (error: unknown) => {
        // Another worker was faster.
        if (!(await isThere())) throw error
      })
    })
  } catch (error) {
    const why = (error instanceof Error ? error.message : String(error)).trim().split('\n').at(-1)
    throw new Error(`${name} could not be fetched from Debian's archive (${why}).`)
  }
  return target
}

/** Fetches and unpacks packages; what `use` leaves of them is deleted. */
async function unpacked(
  packages: readonly string[],
  wanted: string | null,
  use: (root: string) => Promise<void>,
): Promise<void> {
  const mirror = await debianMirror()
  const suite = wanted ?? (await ownSuite())
  await mkdir(CACHE, { recursive: true })
  const folder = await mkdtemp(join(CACHE, 'fetch-'))
  try {
    for (const sub of ['lists/partial', 'cache/archives/partial']) await mkdir(join(folder, sub), { recursive: true })
    const list = join(folder, 'sources.list')
    await writeFile(list, `deb [signed-by=${KEYRING}] ${mirror} ${suite} main\n`)
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
    await run('apt-get', ['-qq', ...options, 'download', ...packages], { cwd: folder })
    const root = join(folder, 'root')
    const archives = (await readdir(folder)).filter((file) => file.endsWith('.deb'))
    if (archives.length < packages.length) throw new Error(`the mirror lacks one of ${packages.join(', ')} in ${suite}`)
    for (const archive of archives) await run('dpkg', ['-x', join(folder, archive), root])
    await use(root)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function ownSuite(): Promise<string> {
  const release = await readFile('/etc/os-release', 'utf8').catch(() => '')
  const name = /^VERSION_CODENAME="?([\w-]+)"?$/m.exec(release)?.[1]
  if (name === undefined) throw new Error('this system does not say which release of Debian it is')
  return name
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
