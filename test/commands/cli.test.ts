import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

const root = fileURLToPath(new URL('../..', import.meta.url))

function evenkeel(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--import', 'tsx', 'src/main.ts', ...args], {
    cwd: root,
    encoding: 'utf8',
    env: { PATH: process.env.PATH },
    timeout: 15_000,
  })
  return { status, stdout, stderr }
}

describe('the exit code is', () => {
  test('0 for --help, on stdout', () => {
    const { status, stdout, stderr } = evenkeel('--help')
    expect([status, stderr]).toEqual([0, ''])
    expect(stdout).toContain('Usage: evenkeel <command>')
  })

  test('0 for --version, which is that of package.json', () => {
    const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
    expect(evenkeel('--version')).toEqual({ status: 0, stdout: `${version}\n`, stderr: '' })
  })

  test('2 for no command, with the help on stderr', () => {
    const { status, stdout, stderr } = evenkeel()
    expect([status, stdout]).toEqual([2, ''])
    expect(stderr).toContain('Usage: evenkeel <command>')
  })

  test.each([
    ['a wrong command', ['srve'], 'no command "srve": did you mean serve?'],
    [
      'a wrong value of a flag',
      ['serve', '--port', 'x'],
      'flag --port: listen.port: found "x", must be a whole number from 0 to 65535',
    ],
    [
      'a wrong key',
      ['serve', '--set', 'listen.prot=1'],
      'flag --set listen.prot: listen.prot: found 1, unknown key, did you mean port?',
    ],
  ])('2 for %s, with one line on stderr', (_, args, line) => {
    expect(evenkeel(...args)).toEqual({ status: 2, stdout: '', stderr: `evenkeel: ${line}\n` })
  })
})

describe('evenkeel check', () => {
  let folder = ''
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'evenkeel-check-'))
  })
  afterAll(() => rmSync(folder, { recursive: true }))

  test('exits 0 with one line for a good file', () => {
    expect(evenkeel('check', 'config/evenkeel.yaml')).toEqual({
      status: 0,
      stdout: 'config/evenkeel.yaml: ok\n',
      stderr: '',
    })
  })

  test('exits 1 with every problem of a bad one: where, what was found, what is allowed', () => {
    const file = join(folder, 'bad.yaml')
    writeFileSync(file, 'listen: { prot: 80 }\nretry: { attempts: many }\n')
    expect(evenkeel('check', file)).toEqual({
      status: 1,
      stdout:
        `file ${file}:1: listen.prot: found 80, unknown key, did you mean port?\n` +
        `file ${file}:2: retry.attempts: found "many", must be a whole number from 0 to 10\n`,
      stderr: '',
    })
  })
})
