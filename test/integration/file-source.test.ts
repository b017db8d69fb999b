/** Is a real file followed, however it is replaced, and does the catalog stay when it is broken, gone or half written? */

import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, open, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { pino } from 'pino'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createFileSource, type FileOptions, type FileTiming } from '../../src/discovery/file/file-source.ts'
import { type Followed, followSource } from '../discovery/follow.ts'
import { waitFor } from '../support/wait.ts'

let folder = ''
let path = ''
let followed: Followed | null = null

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'evenkeel-file-'))
  path = join(folder, 'catalog.yaml')
})
afterEach(async () => {
  await followed?.stop()
  followed = null
  await rm(folder, { recursive: true, force: true })
})

/** Looking now and then is out of reach, so that what is seen is seen by being told. */
const toldOnly: Partial<FileTiming> = { pollMs: 3_600_000 }
const lookedAt: Partial<FileTiming> = { pollMs: 50 }

function follow(timing: Partial<FileTiming>, options: Partial<FileOptions> = {}): Followed {
  const log = pino({ level: 'silent' })
  const all = { path, include: ['*'], exclude: [], tag: null }
  followed = followSource(createFileSource({ ...all, ...options }, { log, random: Math.random, timing }))
  return followed
}

const web = (...places: string[]) => `services:\n  web: ${JSON.stringify(places)}\n`

async function replace(text: string): Promise<void> {
  await writeFile(`${path}.new`, text)
  await rename(`${path}.new`, path)
}

describe('is seen at once when', () => {
  test('another one is renamed over it', async () => {
    await writeFile(path, web('a:1'))
    const { until } = follow(toldOnly)
    await until('web', ['a:1*1'])
    await replace(web('a:1', 'b:2'))
    await until('web', ['a:1*1', 'b:2*1'])
    await replace('services: {}\n')
    await until('web', undefined)
    expect(followed?.source.describe?.().wakeups.useful).toBe(2)
  })

  test('it is written in place', async () => {
    await writeFile(path, web('a:1'))
    const { until } = follow(toldOnly)
    await until('web', ['a:1*1'])
    await writeFile(path, web('b:2'))
    await until('web', ['b:2*1'])
  })

  test('it is moved away and written anew, as some editors do', async () => {
    await writeFile(path, web('a:1'))
    const { until } = follow(toldOnly)
    await until('web', ['a:1*1'])
    await rename(path, `${path}~`)
    await writeFile(path, web('b:2'))
    await until('web', ['b:2*1'])
  })

  test('a link on the way to it is exchanged, as Kubernetes does for a ConfigMap', async () => {
    const version = async (name: string, text: string) => {
      await mkdir(join(folder, name))
      await writeFile(join(folder, name, 'catalog.yaml'), text)
      await symlink(name, join(folder, '..data_tmp'))
      await rename(join(folder, '..data_tmp'), join(folder, '..data'))
    }
    await version('..2026_01', web('a:1'))
    await symlink('..data/catalog.yaml', path)
    const { until } = follow(toldOnly)
    await until('web', ['a:1*1'])
    await version('..2026_02', web('b:2'))
    await until('web', ['b:2*1'])
  })

  test('it is a link, and the file that it leads to is replaced in another directory', async () => {
    const elsewhere = join(folder, 'elsewhere')
    await mkdir(elsewhere)
    await writeFile(join(elsewhere, 'real.yaml'), web('a:1'))
    await symlink('elsewhere/real.yaml', path)
    const { until } = follow(toldOnly)
    await until('web', ['a:1*1'])
    await writeFile(join(elsewhere, 'new'), web('b:2'))
    await rename(join(elsewhere, 'new'), join(elsewhere, 'real.yaml'))
    await until('web', ['b:2*1'])
  })
})

describe('leaves the catalog as it is when', () => {
  test('it is broken: every problem is said with its line, and the mended one is taken', async () => {
    await writeFile(path, web('a:1'))
    const { until, errors, catalogs } = follow(lookedAt)
    await until('web', ['a:1*1'])
    await replace('services:\n  web:\n    - a\n    - {address: b}\n')
    const error = await waitFor('the problems are told', () => errors.at(-1))
    expect(error).toMatchObject({ where: `file ${path}`, cure: expect.stringContaining('mend the file') })
    expect(error.message).toMatch(/^2 problems: line 3: services\.web\[0\]: .*; line 4: services\.web\[1\]\.port: /)
    expect(error.away).toBeUndefined()
    expect(catalogs).toHaveLength(1)
    await replace(web('c:3'))
    await until('web', ['c:3*1'])
  })

  test('it vanishes, and is fresh again when it is back as it was', async () => {
    await writeFile(path, web('a:1'))
    const { until, errors, catalogs } = follow(lookedAt)
    await until('web', ['a:1*1'])
    await rm(path)
    expect(await waitFor('it is missed', () => errors[0])).toMatchObject({
      away: true,
      message: 'there is no such file',
    })
    const before = followed?.fresh ?? 0
    await writeFile(path, web('a:1'))
    await waitFor('it is fresh', () => (followed?.fresh ?? 0) > before)
    expect(catalogs).toHaveLength(1)
  })

  test('it is empty', async () => {
    await writeFile(path, web('a:1'))
    const { until, errors, catalogs } = follow(lookedAt)
    await until('web', ['a:1*1'])
    await writeFile(path, '')
    expect((await waitFor('it is told', () => errors[0])).message).toContain('services: {}')
    expect(catalogs).toHaveLength(1)
  })

  test('it is being written, slower than it is read: what is half there is never taken', async () => {
    await writeFile(path, web('a:1'))
    const { until, catalogs } = follow({ pollMs: 20, settleMs: 500 })
    await until('web', ['a:1*1'])
    const lines = ['services:', '  web:', ...Array.from({ length: 20 }, (_, at) => `    - b${at}:1`)]
    const file = await open(path, 'w')
    for (const line of lines) {
      await file.write(`${line}\n`)
      const written = performance.now()
      await waitFor('a moment passes', () => performance.now() - written > 20)
    }
    await file.close()
    await waitFor('all of it is there', () => followed?.endpoints('web')?.length === 20)
    expect(catalogs).toHaveLength(2)
  })
})

test('a file that is not there yet is an error, and followed once it is, with its directory', async () => {
  path = join(folder, 'later', 'catalog.yaml')
  const { until, errors, catalogs } = follow(lookedAt)
  await waitFor('it is missed', () => errors.length > 0)
  expect(catalogs).toHaveLength(0)
  await mkdir(join(folder, 'later'))
  await writeFile(path, web('a:1'))
  await until('web', ['a:1*1'])
})

test('a directory that is replaced by another of its name is listened to, once it has been looked at', async () => {
  const inner = join(folder, 'inner')
  path = join(inner, 'catalog.yaml')
  await mkdir(inner)
  await writeFile(path, web('a:1'))
  const { until } = follow({ pollMs: 100 })
  await until('web', ['a:1*1'])
  await rename(inner, join(folder, 'old'))
  await mkdir(inner)
  await writeFile(path, web('b:2'))
  await until('web', ['b:2*1'])
  await replace(web('c:3'))
  await until('web', ['c:3*1'])
})

test.each([
  ['a directory', async () => void (await mkdir(path)), 'not a regular file'],
  [
    'a pipe that nobody writes to',
    async () => void (await promisify(execFile)('mkfifo', [path])),
    'not a regular file',
  ],
  ['too large', () => writeFile(path, `# ${'x'.repeat(2 ** 21)}\n${web('a:1')}`), 'larger than 2 MiB'],
])('what is %s is an error', async (_, make, message) => {
  await make()
  const { errors, catalogs } = follow(lookedAt)
  expect((await waitFor('it is told', () => errors[0])).message).toContain(message)
  expect(catalogs).toHaveLength(0)
})

test('rereading takes in what is there now, before it resolves', async () => {
  await writeFile(path, web('a:1'))
  const { until, source, endpoints, catalogs } = follow({ pollMs: 3_600_000, settleMs: 1 })
  await until('web', ['a:1*1'])
  await replace(web('b:2'))
  expect(await source.reread?.(['web'], new AbortController().signal)).toBe(true)
  expect(endpoints('web')).toEqual(['b:2*1'])
  await rm(path)
  expect(await source.reread?.(['web'], new AbortController().signal)).toBe(false)
  expect(catalogs).toHaveLength(2)
  await followed?.stop()
  expect(await source.reread?.(['web'], new AbortController().signal)).toBe(false)
})

test('an equal catalog in other words is no news', async () => {
  await writeFile(path, web('a:1', 'b:2'))
  const { until, catalogs } = follow(lookedAt)
  await until('web', ['a:1*1', 'b:2*1'])
  await replace('{"services": {"web": ["b:2", {"address": "a", "port": 1, "tags": ["x"]}]}}')
  const before = followed?.fresh ?? 0
  await waitFor('it has been looked at', () => (followed?.fresh ?? 0) > before + 3)
  expect(catalogs).toHaveLength(1)
})
