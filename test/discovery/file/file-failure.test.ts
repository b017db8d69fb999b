/** What is a person told when a catalog file cannot be read or used? */

import { expect, test } from 'vitest'
import { accessFailure, contentFailure } from '../../../src/discovery/file/file-failure.ts'

test.each([
  ['a vanished file is away, and the cure names the explicit empty catalog', 'ENOENT', 'away', 'services: {}'],
  ['a forbidden file is away', 'EACCES', 'away', 'let the user of this process read it'],
  ['a machine without free descriptors', 'EMFILE', 'away', 'ulimit -n'],
  ['anything else of the system', 'EIO', 'away', 'discovery.file.path'],
  ['what is no file stays so', '', 'wrong', 'discovery.file.path'],
])('%s', (_, code, speed, cure) => {
  const failure = accessFailure(code, 'i/o\nerror')
  expect(failure.speed).toBe(speed)
  expect(failure.cure).toContain(cure)
  expect(failure.message).not.toContain('\n')
})

test('one problem is said as it is, several are counted, and of too many the rest is a number', () => {
  expect(contentFailure([{ place: '', message: 'is empty' }]).message).toBe('is empty')
  const two = [1, 2].map((line) => ({ place: `line ${line}`, message: 'is odd' }))
  expect(contentFailure(two).message).toBe('2 problems: line 1: is odd; line 2: is odd')
  const many = Array.from({ length: 60 }, (_, at) => ({ place: `line ${at}`, message: 'is odd' }))
  expect(contentFailure(many).message).toMatch(/^60 problems: line 0: .*; line 49: is odd; and 10 more$/)
})
