/**
 * Where is a real `dnsmasq` to test against? `$DNSMASQ_BIN`, PATH or where Debian puts it, this repository's `.cache/`;
 * else Debian's package is fetched into `.cache/`, with those of its libraries that are seldom there already, through the
 * mirror and the keyring that the system already uses, without root.
 */

import { execFile } from 'node:child_process'
import { access, constants } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { debianTree } from './debian-binary.ts'

const run = promisify(execFile)
const CACHE = fileURLToPath(new URL('../../.cache/', import.meta.url))
const SUITE = 'bookworm'
const PACKAGES = [
  ...['dnsmasq-base', 'libnftables1', 'libnetfilter-conntrack3', 'libnftnl11', 'libmnl0', 'libxtables12'],
  ...['libjansson4', 'libedit2', 'libnfnetlink0', 'libbsd0', 'libmd0', 'libidn2-0', 'libunistring2', 'libdbus-1-3'],
  ...['libnettle8', 'libhogweed6', 'libgmp10'],
]

export interface Dnsmasq {
  readonly path: string
  /** Where its libraries are, besides the system's own; empty: nowhere. */
  readonly libraries: string
}

let found: Promise<Dnsmasq> | null = null

/**
 * A `dnsmasq` that runs.
 * @throws one sentence that says what to install
 */
export function findDnsmasq(): Promise<Dnsmasq> {
  found ??= locate()
  return found
}

/** Why there is none to be had here, for a test to be skipped with; null: there is one, or it must be there. */
export async function dnsmasqLacks(): Promise<string | null> {
  if (process.env.CI !== undefined && process.env.CI !== '') return null
  return findDnsmasq().then(
    () => null,
    (error: Error) => error.message,
  )
}

async function locate(): Promise<Dnsmasq> {
  const named = process.env.DNSMASQ_BIN
  if (named !== undefined && named !== '') {
    if (await executable(named)) return { path: named, libraries: '' }
    throw new Error(`DNSMASQ_BIN is ${named}, which is not an executable file.`)
  }
  for (const folder of [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin']) {
    const path = join(folder, 'dnsmasq')
    if (folder !== '' && (await executable(path))) return { path, libraries: '' }
  }
  const root = join(CACHE, 'dnsmasq')
  const cached = { path: join(root, 'usr/sbin/dnsmasq'), libraries: join(root, 'usr/lib/x86_64-linux-gnu') }
  try {
    await debianTree('dnsmasq', PACKAGES, SUITE)
    await run(cached.path, ['--version'], { env: { ...process.env, LD_LIBRARY_PATH: cached.libraries } })
  } catch (error) {
    const why = (error instanceof Error ? error.message : String(error)).trim().split('\n').at(-1)
    throw new Error(`These tests need dnsmasq: install dnsmasq-base or set DNSMASQ_BIN to its binary (${why}).`)
  }
  return cached
}

async function executable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  )
}
