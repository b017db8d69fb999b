/** What if the file system hangs, as one over a network may? Made up by a mock of node:fs/promises; the file is real. */

import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { afterEach, expect, test, vi } from 'vitest'
import { createFileSource } from '../../../src/discovery/file/file-source.ts'
import { waitFor } from '../../support/wait.ts'
import { followSource } from '../follow.ts'

const hung = vi.hoisted(() => ({ names: [] as string[], calls: 0 }))
vi.mock('node:fs/promises', async (original) => {
  const real = await original<typeof import('node:fs/promises')>()
  const hanging =
    <T extends unknown[], R>(name: string, call: (...args: T) => Promise<R>) =>
    (...args: T): Promise<R> => {
      if (!hung.names.includes(name)) return call(...args)
      hung.calls += 1
      return new Promise(() => {})
    }
  return {
    ...real,
    ...{
      realpath: hanging('realpath', real.realpath),
      stat: hanging('stat', real.stat),
      open: hanging('open', real.open),
    },
  }
})

const cleanups: (() => Promise<void>)[] = []
afterEach(async () => {
  hung.names = []
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

test('a file system that hangs (mocked) is told, takes one thread for each kind of call, and the table stays', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'evenkeel-hang-'))
  cleanups.push(() => rm(folder, { recursive: true }))
  const path = join(folder, 'catalog.yaml')
  await writeFile(path, "services: { web: ['a:1'] }\n")
  const timing = { pollMs: 20, settleMs: 1, deadlineMs: 50 }
  const log = pino({ level: 'silent' })
  const source = createFileSource(
    { path, include: ['*'], exclude: [], tag: null },
    { log, random: Math.random, timing },
  )
  const followed = followSource(source)
  cleanups.push(followed.stop)
  await followed.until('web', ['a:1*1'])
  hung.names = ['realpath', 'stat', 'open']
  const error = await waitFor('it is told', () => followed.errors[0])
  expect(error).toMatchObject({ message: 'could not be read within 0 s', away: true })
  await waitFor('it is told again', () => followed.errors.length > 1)
  expect(hung.calls).toBe(2)
  expect(followed.catalogs).toHaveLength(1)
})
