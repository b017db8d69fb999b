/** Snapshots on a real file system: what is ours is replaced whole, and what is not ours is not touched. */

import { execFileSync, spawn, spawnSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Catalog } from '../../src/balancer/endpoint.ts'
import { decodeSnapshot, encodeSnapshot, snapshotPieces } from '../../src/discovery/snapshot.ts'
import { MAX_SNAPSHOT_BYTES, snapshotDisk } from '../../src/discovery/snapshot-disk.ts'
import { openSnapshot, type SnapshotFile } from '../../src/discovery/snapshot-file.ts'
import type { SourceError } from '../../src/discovery/source.ts'
import { guardChild } from '../drills/children.ts'
import { waitFor } from '../support/wait.ts'
import { catalogOf, largeCatalog } from './catalogs.ts'

const atMs = Date.UTC(2026, 0, 31, 12)
let folder: string
let path: string
let errors: SourceError[]
let files: SnapshotFile[]

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'evenkeel-snapshot-'))
  path = join(folder, 'catalog.json')
  errors = []
  files = []
})
afterEach(async () => {
  for (const file of files) await file.close()
  rmSync(folder, { recursive: true })
})

function open(at = path, epochNow = Date.now): SnapshotFile {
  const file = openSnapshot(at, { now: () => performance.now(), epochNow, onError: (error) => errors.push(error) })
  files.push(file)
  return file
}

/** Opens, writes and closes, as a process would that lives shortly. */
async function writeOnce(catalog: Catalog, at = path, epochNow = Date.now): Promise<void> {
  const file = open(at, epochNow)
  file.write(catalog, atMs)
  await file.close()
}

describe('what was written', () => {
  test('is read by the next process, with its age, and nothing else is left in the directory', async () => {
    await writeOnce(catalogOf(8080, 8081))
    expect(errors).toEqual([])
    expect(await open(path, () => atMs + 5_000).read()).toEqual({
      kind: 'read',
      catalog: catalogOf(8080, 8081),
      confirmedAtMs: atMs,
      ageMs: 5_000,
    })
    expect(readdirSync(folder)).toEqual(['catalog.json'])
  })

  test('is for its owner only, even over a file that was for everybody', async () => {
    await writeOnce(catalogOf(1))
    expect(lstatSync(path).mode & 0o777).toBe(0o600)
    chmodSync(path, 0o644)
    await writeOnce(catalogOf(2))
    expect(lstatSync(path).mode & 0o777).toBe(0o600)
  })

  test('from the future is as old as nothing', async () => {
    await writeOnce(catalogOf(1))
    expect(await open(path, () => atMs - 5_000).read()).toMatchObject({ confirmedAtMs: atMs - 5_000, ageMs: 0 })
  })

  test('is replaced by the next process, whether it read it or not', async () => {
    await writeOnce(catalogOf(1))
    await writeOnce(catalogOf(2))
    const file = open()
    expect(await file.read()).toMatchObject({ catalog: catalogOf(2) })
    file.write(catalogOf(3), atMs)
    await file.close()
    expect(await open().read()).toMatchObject({ catalog: catalogOf(3) })
    expect(errors).toEqual([])
  })

  test('is written again when somebody removed it', async () => {
    await writeOnce(catalogOf(1))
    const file = open()
    await file.read()
    rmSync(path)
    file.write(catalogOf(2), atMs)
    await file.close()
    expect(await open().read()).toMatchObject({ catalog: catalogOf(2) })
  })

  test('with many services comes in several pieces and comes back as it was', async () => {
    await writeOnce(largeCatalog(2_000))
    expect(await open().read()).toMatchObject({ kind: 'read', catalog: largeCatalog(2_000) })
  })
})

test('without a file there is nothing to read, with or without its directory', async () => {
  expect(await open().read()).toEqual({ kind: 'absent' })
  expect(await open(join(folder, 'none', 'catalog.json')).read()).toEqual({ kind: 'absent' })
})

describe('refused and left byte for byte as it is', () => {
  const whole = encodeSnapshot(catalogOf(8080), atMs)
  const contents: readonly [string, string | Buffer, string][] = [
    ['an empty file', '', 'it is empty'],
    ['a snapshot cut short', whole.slice(0, -20), 'it is not JSON, or only part of it'],
    ['the zeros of a crash', Buffer.alloc(4096), 'it is not JSON, or only part of it'],
    ['somebody else’s notes', 'remember the milk\n', 'it is not JSON, or only part of it'],
    ['somebody else’s JSON', '{"services":[]}', `it is not a catalog of Evenkeel's`],
    ['bytes that are no text', Buffer.from([0x7b, 0xff, 0x7d]), 'it is not text in UTF-8'],
    ['a later version', whole.replace('"version": 1', '"version": 2'), 'its version is 2, and this Evenkeel reads 1'],
    ['a port that is none', whole.replace('8080,', '99999,'), 'services[0].endpoints[0].port is 99999'],
  ]

  test.each(contents)('%s, when it is there at the start', async (_, content, why) => {
    writeFileSync(path, content)
    const file = open()
    const read = await file.read()
    expect(read).toMatchObject({ kind: 'refused', why: expect.stringContaining(why), cure: expect.any(String) })
    file.write(catalogOf(1), atMs)
    file.confirmed(atMs)
    await file.close()
    expect(readFileSync(path).equals(Buffer.from(content))).toBe(true)
    expect(readdirSync(folder)).toEqual(['catalog.json'])
    // It was said by `read`.
    expect(errors).toEqual([])
  })

  test.each(contents)('%s, when it comes between the start and the first write', async (_, content, why) => {
    const file = open()
    expect(await file.read()).toEqual({ kind: 'absent' })
    writeFileSync(path, content)
    file.write(catalogOf(1), atMs)
    await waitFor('the refusal', () => errors.length > 0)
    file.write(catalogOf(2), atMs)
    await file.close()
    expect(readFileSync(path).equals(Buffer.from(content))).toBe(true)
    expect(readdirSync(folder)).toEqual(['catalog.json'])
    expect(errors).toEqual([
      { where: path, message: expect.stringContaining(why), cure: expect.stringContaining('discovery.snapshot') },
    ])
  })

  test('somebody’s notes that took the place of our file since', async () => {
    const file = open()
    file.write(catalogOf(1), atMs)
    await waitFor('the first write', () => existsSync(path))
    writeFileSync(path, 'remember the milk\n')
    file.write(catalogOf(2), atMs)
    await file.close()
    expect(readFileSync(path, 'utf8')).toBe('remember the milk\n')
    expect(errors).toHaveLength(1)
  })

  test.each<[string, string, () => void]>([
    ['a directory', 'it is a directory', () => mkdirSync(path)],
    ['a pipe that nobody writes to', 'it is not a regular file', () => execFileSync('mkfifo', [path])],
    ['a link to a snapshot', 'it is a symbolic link', () => link(encodeSnapshot(catalogOf(1), atMs))],
    ['a link to nothing', 'it is a symbolic link', () => symlinkSync(join(folder, 'nothing'), path)],
    ['more than 64 MiB', 'it is larger than 64 MiB', () => large(MAX_SNAPSHOT_BYTES + 1)],
  ])('%s', async (_, why, make) => {
    make()
    const before = readdirSync(folder)
    const file = open()
    expect(await file.read()).toMatchObject({ kind: 'refused', why })
    await writeOnce(catalogOf(2))
    expect(errors).toMatchObject([{ message: expect.stringContaining(why) }])
    expect(readdirSync(folder)).toEqual(before)
  })

  test('a socket', async () => {
    const server = createServer().listen(path)
    try {
      await waitFor('the socket', () => existsSync(path))
      expect(await open().read()).toMatchObject({ kind: 'refused', why: 'it is not a regular file' })
      await writeOnce(catalogOf(2))
      expect(errors).toHaveLength(1)
      await new Promise((resolve) => connect(path, () => resolve(null)).unref())
    } finally {
      server.close()
    }
  })

  test('a path through a file', async () => {
    writeFileSync(path, whole)
    const read = await open(join(path, 'catalog.json')).read()
    expect(read).toMatchObject({ kind: 'refused', why: expect.stringMatching(/^it cannot be read: ENOTDIR/) })
  })

  function link(content: string): void {
    writeFileSync(join(folder, 'elsewhere'), content)
    symlinkSync(join(folder, 'elsewhere'), path)
  }

  function large(bytes: number): void {
    writeFileSync(path, '')
    truncateSync(path, bytes)
  }
})

test('a directory may be a link', async () => {
  mkdirSync(join(folder, 'real'))
  symlinkSync(join(folder, 'real'), join(folder, 'link'))
  await writeOnce(catalogOf(1), join(folder, 'link', 'catalog.json'))
  expect(readdirSync(join(folder, 'real'))).toEqual(['catalog.json'])
})

describe('temporary files', () => {
  test('of a process that died are removed by the next that writes, and no others', async () => {
    const old = new Date(Date.now() - 120_000)
    const make = (name: string, at: Date) => {
      writeFileSync(join(folder, name), 'half')
      utimesSync(join(folder, name), at, at)
    }
    make('catalog.json.0123456789ab.tmp', old)
    make('catalog.json.0123456789ac.tmp', new Date())
    make('catalog.json.0123456789AD.tmp', old)
    make('catalog.json.bak.tmp', old)
    make('other.json.0123456789ab.tmp', old)
    mkdirSync(join(folder, 'catalog.json.0123456789ae.tmp'))
    await writeOnce(catalogOf(1))
    expect(readdirSync(folder).sort()).toEqual([
      'catalog.json',
      'catalog.json.0123456789AD.tmp',
      'catalog.json.0123456789ac.tmp',
      'catalog.json.0123456789ae.tmp',
      'catalog.json.bak.tmp',
      'other.json.0123456789ab.tmp',
    ])
  })

  test('go when a write fails in the middle, and the old file stays', async () => {
    await writeOnce(catalogOf(1))
    function* broken() {
      yield 'x'.repeat(1_000_000)
      throw new Error('in the middle')
    }
    await expect(snapshotDisk.replace(path, broken(), null)).rejects.toThrow('in the middle')
    function* endless() {
      for (;;) yield 'x'.repeat(1_000_000)
    }
    await expect(snapshotDisk.replace(path, endless(), null)).rejects.toMatchObject({
      code: 'too-large',
      message: 'the catalog takes more than 64 MiB',
    })
    expect(readdirSync(folder)).toEqual(['catalog.json'])
    expect(await open().read()).toMatchObject({ catalog: catalogOf(1) })
  })
})

test('without its directory the failure is told once, with a cure, and once it is there the file is written', async () => {
  const inside = join(folder, 'none', 'catalog.json')
  await writeOnce(catalogOf(1), inside)
  expect(errors).toEqual([{ where: inside, message: expect.stringMatching(/ENOENT/), cure: 'create its directory' }])
  mkdirSync(join(folder, 'none'))
  await writeOnce(catalogOf(1), inside)
  expect(errors).toHaveLength(1)
  expect(readdirSync(join(folder, 'none'))).toEqual(['catalog.json'])
})

/** A script in a process of its own. `path`, `open` (no pause lasts) and `catalog` are there for it. */
function script(body: string, at = path): string[] {
  const from = (name: string) => JSON.stringify(new URL(name, import.meta.url).href)
  const text = `
    import { setImmediate as turn } from 'node:timers/promises'
    import { snapshotDisk } from ${from('../../src/discovery/snapshot-disk.ts')}
    import { openSnapshot } from ${from('../../src/discovery/snapshot-file.ts')}
    import { largeCatalog as catalog } from ${from('./catalogs.ts')}
    setTimeout(() => process.exit(9), 60_000).unref()
    const path = ${JSON.stringify(at)}
    let nowMs = 0
    const onError = ({ message, cure }) => console.log(message + ' | ' + cure)
    const now = () => (nowMs += 60_000)
    const open = (more) => openSnapshot(path, { now, epochNow: Date.now, onError, sleep: () => turn(), ...more })
    ${body}`
  return [process.execPath, '--import', 'tsx', '--input-type=module', '-e', text]
}

test('a process that is killed while it writes leaves a whole file, whenever that happens', async () => {
  for (let round = 0; round < 3; round++) {
    const [node = '', ...args] = script(`
      const file = open()
      const catalogs = [300, 1_000].map((size) => catalog(size))
      for (let count = 0; ; count++) {
        file.write(catalogs[count % 2], 1_000_000_000 + count)
        await new Promise((resolve) => setTimeout(resolve, 1))
      }`)
    const child = spawn(node, args, { stdio: ['ignore', 'inherit', 'inherit'] })
    const gone = guardChild(child)
    const seen = new Set<string>()
    const whole = (): boolean => {
      const text = existsSync(path) ? readFileSync(path, 'utf8') : null
      if (text === null) return false
      expect(decodeSnapshot(text).kind).toBe('read')
      seen.add(text.slice(0, 120))
      return seen.size > 2 + round
    }
    try {
      await waitFor('several versions of the file', whole, 30_000)
      // So that the kill falls into a write, which is most of what it does.
      await waitFor('a write', () => readdirSync(folder).length > 1)
    } finally {
      child.kill('SIGKILL')
    }
    expect(await gone).toMatchObject({ signal: 'SIGKILL' })
    whole()
  }
  await writeOnce(catalogOf(1), path, () => Date.now() + 120_000)
  expect(readdirSync(folder)).toEqual(['catalog.json'])
  expect(errors).toEqual([])
}, 120_000)

const isRoot = process.getuid?.() === 0
/** A file system of its own, gone with the process. */
const canMount = isRoot && spawnSync('unshare', ['-m', 'mount', '-t', 'tmpfs', 'none', tmpdir()]).status === 0

function inMount(options: string, before: string, body: string): { said: string; left: string } {
  const mounted = join(folder, 'mounted')
  mkdirSync(mounted)
  const command = `mount -t tmpfs -o ${options} none "$0" && ${before} && "$@"; status=$?; ls "$0"; exit $status`
  const run = spawnSync(
    'unshare',
    ['-m', 'sh', '-c', command, mounted, ...script(body, join(mounted, 'catalog.json'))],
    { encoding: 'utf8' },
  )
  expect(run.stderr).toBe('')
  const [said = '', left = ''] = run.stdout.split('--\n')
  return { said, left }
}

test.runIf(canMount)(
  'on a full disk the old file stays, and the failure is told once until there is room',
  () => {
    const ran = inMount(
      'size=128k',
      'true',
      `const ended = { written: 0, failed: 0 }
    const replace = (...what) => snapshotDisk.replace(...what).then(
      (replaced) => (ended.written++, replaced),
      (error) => { ended.failed++; throw error },
    )
    const file = open({ disk: { ...snapshotDisk, replace } })
    const put = async (size, how) => {
      // The first failure from now on may still be that of the catalog before.
      const wanted = ended[how] + (how === 'failed' ? 2 : 1)
      file.write(catalog(size), 1)
      while (ended[how] < wanted) await turn()
      const read = await open().read()
      console.log(read.kind, read.catalog?.services.size)
    }
    await put(100, 'written')
    await put(2_000, 'failed')
    await put(2_001, 'failed')
    await put(101, 'written')
    await put(2_002, 'failed')
    await file.close()
    console.log('--')`,
    )
    const full = 'no snapshot is written: ENOSPC: no space left on device, write | make room on its file system\n'
    expect(ran.said).toBe(`read 100\n${full}read 100\nread 100\nread 101\n${full}read 101\n`)
    expect(ran.left).toBe('catalog.json\n')
  },
  60_000,
)

test.runIf(canMount)(
  'on a disk that cannot be written the snapshot is read, and the failure told',
  () => {
    const text = encodeSnapshot(catalogOf(1), atMs)
    writeFileSync(join(folder, 'template'), text)
    const ran = inMount(
      'size=128k',
      `cp '${folder}/template' "$0/catalog.json" && mount -o remount,ro "$0"`,
      `const file = open()
    console.log((await file.read()).kind)
    file.write(catalog(1), 1)
    await file.close()
    console.log('--')`,
    )
    expect(ran.said).toMatch(
      /^read\nno snapshot is written: EROFS: .* \| name a path on a file system that can be written.*\n$/,
    )
    expect(ran.left).toBe('catalog.json\n')
  },
  60_000,
)

test('a file that may not be read is refused and stays', () => {
  writeFileSync(path, encodeSnapshot(catalogOf(1), atMs), { mode: 0 })
  chmodSync(folder, 0o777)
  const [node = '', ...args] = script(`
    process.setuid?.(process.getuid() === 0 ? 65534 : process.getuid())
    const file = open()
    const { kind, why, cure } = await file.read()
    console.log(kind, why, '|', cure)
    file.write(catalog(1), 1)
    await file.close()`)
  const run = spawnSync(node, args, { encoding: 'utf8' })
  expect(run.stderr).toBe('')
  expect(run.stdout).toMatch(/^refused it cannot be read: EACCES: [^\n]* \| let the user of this process read[^\n]*\n$/)
  chmodSync(path, 0o600)
  expect(readFileSync(path, 'utf8')).toBe(encodeSnapshot(catalogOf(1), atMs))
}, 60_000)

test('what another process puts there is replaced if it is a snapshot', async () => {
  const file = open()
  file.write(catalogOf(1), atMs)
  await waitFor('the first write', () => existsSync(path))
  await snapshotDisk.replace(path, snapshotPieces({ catalog: catalogOf(2), confirmedAtMs: atMs }), null)
  file.write(catalogOf(3), atMs)
  await file.close()
  expect(await open().read()).toMatchObject({ catalog: catalogOf(3) })
})
