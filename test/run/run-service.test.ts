/** The story of a command and its registration, with a real command, over a registrar that only writes down what it is told. */

import { pino } from 'pino'
import { afterEach, expect, test } from 'vitest'
import type { Registered, Registrant } from '../../src/discovery/registrar.ts'
import { type RunDeps, type RunOptions, runService } from '../../src/run/run-service.ts'
import { freePort } from '../support/consul.ts'
import { waitFor } from '../support/wait.ts'
import { legacyService } from '../support/wrapped.ts'

const cleanups: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

type Call = 'keep' | 'suspend' | 'remove' | 'close'
type Answer = (signal: AbortSignal) => Promise<Registered>
const done: Answer = async () => ({ kind: 'done', changed: true })
const away: Answer = async () => {
  return { kind: 'failed', where: 'there', failure: { speed: 'away', message: 'nobody there', cure: 'start it' } }
}
/** As a registrar does whose request hangs. */
const hanging: Answer = (signal) =>
  new Promise((resolve) => {
    const end = () => resolve(away(signal))
    if (signal.aborted) end()
    signal.addEventListener('abort', end)
  })

interface World {
  readonly port: number
  /** Calls to the registrar, those that follow each other alike counted once. */
  readonly calls: readonly Call[]
  readonly registrants: readonly Registrant[]
  readonly logged: readonly { readonly msg: string; readonly why?: string }[]
  readonly complaints: readonly string[]
  readonly code: Promise<number>
  answers: Record<Exclude<Call, 'close'>, Answer>
  send(signal: NodeJS.Signals): void
  until(...calls: Call[]): Promise<unknown>
  says(msg: string): Promise<unknown>
  put(path: string): Promise<unknown>
}

async function world(
  words: readonly string[] = [],
  options: Partial<RunOptions> = {},
  deps: Partial<RunDeps> = {},
): Promise<World> {
  const port = await freePort()
  const calls: Call[] = []
  const registrants: Registrant[] = []
  const logged: World['logged'][number][] = []
  const complaints: string[] = []
  let listener: (signal: NodeJS.Signals) => void = () => {}
  const called = (call: Call) => calls.at(-1) !== call && calls.push(call)
  const answer = (call: Exclude<Call, 'close'>) => (signal: AbortSignal) => {
    called(call)
    return made.answers[call](signal)
  }
  const code = runService(
    {
      ...{ service: 'web', id: null, port, tags: ['a'], health: '/health', drainMs: 0 },
      command: [process.execPath, legacyService, `${port}`, 'silent', ...words],
      ...options,
    },
    {
      log: pino({ level: 'trace' }, { write: (line: string) => void logged.push(JSON.parse(line)) }),
      random: () => 0.5,
      address: async () => ({ kind: 'found', address: '127.0.0.1' }),
      isOwn: () => true,
      registrar(registrant) {
        registrants.push(registrant)
        const close = async () => void called('close')
        return {
          where: 'there',
          beatMs: 20,
          keep: answer('keep'),
          suspend: answer('suspend'),
          remove: answer('remove'),
          close,
        }
      },
      complain: (line) => void complaints.push(line),
      signals(wanted) {
        listener = wanted
        return () => {
          listener = () => {}
        }
      },
      timing: { startEveryMs: 10, everyMs: 10, failures: 2, leaveMs: 1000, hangUpMs: 50, patienceMs: 0 },
      ...deps,
    },
  )
  const made: World = {
    ...{ port, calls, registrants, logged, complaints, code },
    answers: { keep: done, suspend: done, remove: done },
    send: (signal) => listener(signal),
    until: (...expected) => waitFor(`${expected} of ${calls}`, () => `${calls}` === `${expected}`),
    says: (msg) => waitFor(msg, () => logged.some((line) => line.msg.startsWith(msg))),
    put: (path) => fetch(`http://127.0.0.1:${port}${path}`, { method: 'PUT' }).catch(() => {}),
  }
  cleanups.push(() => made.put('/crash'))
  return made
}

test('its health fails and is back: suspended meanwhile, registered again, and gone with it', async () => {
  const { until, put, send, code, registrants, port } = await world(['code=4'])
  await until('keep')
  expect(registrants).toEqual([
    { service: 'web', id: `web-127.0.0.1-${port}`, address: '127.0.0.1', port, tags: ['a'] },
  ])
  await put('/health/500')
  await until('keep', 'suspend')
  await put('/health/200')
  await until('keep', 'suspend', 'keep')
  send('SIGTERM')
  expect(await code).toBe(4)
  await until('keep', 'suspend', 'keep', 'remove', 'close')
})

test('a command that takes SIGHUP for "read your config again" is registered again', async () => {
  const { until, send, code } = await world(['stubborn'])
  await until('keep')
  send('SIGHUP')
  await until('keep', 'remove', 'close', 'keep')
  send('SIGTERM')
  expect(await code).toBe(0)
  await until('keep', 'remove', 'close', 'keep', 'remove', 'close')
})

test('a second SIGHUP while the first one waits: it is registered again all the same', async () => {
  const { until, says, send, code } = await world(['stubborn'], { drainMs: 600_000 })
  await until('keep')
  send('SIGHUP')
  await says('deregistered')
  send('SIGHUP')
  await until('keep', 'remove', 'close', 'keep')
  send('SIGTERM')
  send('SIGTERM')
  expect(await code).toBe(0)
  await until('keep', 'remove', 'close', 'keep', 'remove', 'close')
})

test('a command that is not well yet is told so once, is not registered, and gets its signal at once', async () => {
  const { says, send, code, calls, logged } = await world([], { drainMs: 600_000, command: ['sleep', '60'] })
  await says('the command is not well yet')
  send('SIGTERM')
  expect(await code).toBe(128 + 15)
  expect(calls).toEqual(['close'])
  const told = logged.filter(({ msg }) => msg.startsWith('the command is not well yet'))
  expect(told).toMatchObject([{ why: 'ECONNREFUSED', cure: expect.stringContaining('does the command listen') }])
})

test('a registry that is away: the command runs, it is tried again and told once, and nobody waits for those who cannot notice', async () => {
  const made = await world([], { drainMs: 600_000 })
  made.answers.keep = away
  await made.says('the registry could not be told')
  const reached = await fetch(`http://127.0.0.1:${made.port}/`).then((answer) => answer.text())
  expect(reached).toBe(`served by ${made.port}`)
  made.answers.keep = done
  await made.says('registered')
  expect(made.logged.filter(({ msg }) => msg.startsWith('the registry could not'))).toHaveLength(1)
  made.answers.remove = hanging
  made.send('SIGTERM')
  expect(await made.code).toBe(0)
  expect(made.logged.map(({ msg }) => msg)).toEqual(
    expect.arrayContaining([
      'could not be deregistered; the registry forgets it by itself',
      'the signal was passed on',
    ]),
  )
})

test('a call that hangs when the signal comes is waited for, then cut off: ours is the last word', async () => {
  const made = await world()
  const lastWhenCut: unknown[] = []
  made.answers.keep = async (signal) => {
    const came = await hanging(signal)
    lastWhenCut.push(made.calls.at(-1))
    return came
  }
  await made.until('keep')
  made.send('SIGTERM')
  expect(await made.code).toBe(0)
  expect(made.calls).toEqual(['keep', 'remove', 'close'])
  expect(lastWhenCut).toEqual(['keep'])
})

test('a signal is not passed on before it is deregistered', async () => {
  const made = await world()
  await made.until('keep')
  let release = () => {}
  made.answers.remove = (signal) => new Promise((resolve) => (release = () => resolve(done(signal))))
  const signals = () => fetch(`http://127.0.0.1:${made.port}/signals`).then((answer) => answer.text())
  made.send('SIGTERM')
  await made.until('keep', 'remove')
  for (let asked = 0; asked < 5; asked += 1) expect(await signals()).toBe('')
  release()
  expect(await made.code).toBe(0)
})

test('the second signal is passed on at once, also while the proxies are given time to notice', async () => {
  const { until, says, send, code, logged } = await world([], { drainMs: 600_000 })
  await until('keep')
  send('SIGTERM')
  await says('deregistered')
  expect(logged.some(({ msg }) => msg === 'the signal was passed on')).toBe(false)
  send('SIGINT')
  expect(await code).toBe(0)
  expect(logged.map(({ msg }) => msg)).toContain('another signal: it is passed on at once')
})

test('an address that is not known at first is asked for again; meanwhile the command runs', async () => {
  let asked = 0
  const address: RunDeps['address'] = async () => {
    asked += 1
    return asked === 1 ? { kind: 'unknown', why: 'no network' } : { kind: 'found', address: '10.0.0.5' }
  }
  const made = await world([], {}, { address, isOwn: () => false })
  await made.says('the address to register is not known yet')
  await made.until('keep')
  // Of somebody in front of this machine: the health is looked at here.
  expect(made.registrants).toMatchObject([{ address: '10.0.0.5', id: `web-10.0.0.5-${made.port}` }])
  made.send('SIGTERM')
  expect(await made.code).toBe(0)
})

test.each([
  ['no such program', ['evenkeel-has-no-such-program'], 127, 'there is no such program on PATH'],
  ['no such file', ['./no-such-file'], 127, 'there is no such file'],
  ['no executable file', [legacyService], 126, 'it is not an executable file'],
  ['a folder', ['/tmp'], 126, 'it is not an executable file'],
  ['a name with a NUL', ['a\0b'], 126, 'null bytes'],
] as const)('%s is one line, and the exit code of a shell', async (_, command, code, line) => {
  const made = await world([], { command })
  expect(await made.code).toBe(code)
  expect(made.complaints).toEqual([expect.stringContaining(line)])
  expect(made.calls).toEqual([])
})
