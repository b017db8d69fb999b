import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { type AccessLogOptions, createAccessLog, createLog, type LogLevel } from '../src/log.ts'
import { record } from './admin/fixtures.ts'

function setUp(level: LogLevel = 'info') {
  const written: string[] = []
  const log = createLog({ level, destination: { write: (line) => void written.push(line) } })
  return { ...log, written, lines: () => written.map((line) => JSON.parse(line) as Record<string, unknown>) }
}

describe('a line', () => {
  it('has its time in ISO form, its level by name, and nothing that was not asked for', () => {
    const { log, lines } = setUp()
    log.info({ service: 'quotes' }, 'applied')
    expect(lines()).toEqual([{ level: 'info', time: expect.any(String), service: 'quotes', msg: 'applied' }])
    const time = String(lines()[0]?.time)
    expect(new Date(time).toISOString()).toBe(time)
  })

  it('is one line, whatever is in it', () => {
    const { log, written } = setUp()
    log.info({ 'a\nb': 'c\r\n{"level":"fatal"}\u001b[2J' }, 'x\ny')
    expect(written).toHaveLength(1)
    // biome-ignore lint/suspicious/noControlCharactersInRegex: that none is there is the point
    expect(written[0]).toMatch(/^[^\u0000-\u001f]*\n$/)
  })

  it.each([
    ['a token', { token: 's3cret' }],
    ['a token deep inside a configuration', { config: { discovery: { consul: { token: 's3cret' } } } }],
    ['headers of a request to Consul', { headers: { 'X-Consul-Token': 's3cret', Authorization: 's3cret' } }],
    ['cookies, inside a list', { requests: [{ cookie: 's3cret' }, { 'set-cookie': ['s3cret'] }] }],
    ['other words for it', { aclToken: 's3cret', client_secret: 's3cret', password: 's3cret' }],
    ['secrets of an unknown form', { token: { value: ['s3cret'] } }],
    ['the request that hangs on an error', { err: Object.assign(new Error('x'), { options: { token: 's3cret' } }) }],
    ['an error under another name', { failure: Object.assign(new Error('x'), { token: 's3cret' }) }],
    ['the cause of an error', { err: new Error('x', { cause: { headers: { authorization: 's3cret' } } }) }],
    [
      'something too deep to be searched',
      { a: { a: { a: { a: { a: { a: { a: { a: { a: { x: 's3cret' } } } } } } } } } },
    ],
  ])('never shows %s', (_, fields) => {
    const { log, written } = setUp()
    log.warn(fields, 'm')
    expect(written.join('')).not.toContain('s3cret')
    expect(written).toHaveLength(1)
  })

  it('shows that a token is not set, and what only sounds like one', () => {
    const { log, lines } = setUp()
    log.info({ token: null, tokenFile: '/run/t', cookies: 3 }, 'm')
    expect(lines()[0]).toMatchObject({ token: null, tokenFile: '/run/t', cookies: 3 })
  })

  it('tells of an error with its type, code, stack and cause', () => {
    const { log, lines } = setUp()
    const cause = Object.assign(new TypeError('inner'), { code: 'ECONNREFUSED' })
    log.error(new Error('outer', { cause }))
    expect(lines()[0]).toMatchObject({
      msg: 'outer',
      err: {
        type: 'Error',
        message: 'outer',
        stack: expect.stringContaining('log.test'),
        cause: { type: 'TypeError', code: 'ECONNREFUSED' },
      },
    })
  })

  it('survives an error that causes itself, and an object in a circle', () => {
    const { log, written } = setUp()
    const error = new Error('round')
    error.cause = error
    const circle: { self?: unknown } = {}
    circle.self = circle
    log.error({ err: error, circle }, 'm')
    expect(written).toHaveLength(1)
  })
})

describe('the level', () => {
  it('changes for loggers made before the change, too', () => {
    const { log, setLevel, lines } = setUp('warn')
    const child = log.child({ part: 'consul' })
    child.info('unseen')
    setLevel('info')
    child.info('seen')
    log.info('seen')
    setLevel('error')
    child.info('unseen')
    expect(lines().map((line) => line.msg)).toEqual(['seen', 'seen'])
  })
})

describe('the access log', () => {
  const all: AccessLogOptions = { enabled: true, sample: 1, query: false }
  const fields = [
    ...['requestId', 'method', 'path', 'service', 'endpoint', 'status', 'outcome', 'attempts', 'trail'],
    ...['durationMs', 'connectMs', 'firstByteMs', 'bytesIn', 'bytesOut', 'clientIp', 'protocol', 'traceId'],
  ]

  it('writes exactly the fields of the contract, in its order', () => {
    const { log, lines } = setUp()
    createAccessLog(log, () => all, Math.random).onRequestEnd(record({ query: '?token=s3cret', durationMs: 1.23456 }))
    const [line] = lines()
    expect(Object.keys(line ?? {})).toEqual(['level', 'time', ...fields, 'msg'])
    expect(line).toMatchObject({ level: 'info', msg: 'request', path: '/quotes/api', durationMs: 1.235 })
  })

  it('writes the query only when told to', () => {
    const { log, lines } = setUp()
    createAccessLog(log, () => ({ ...all, query: true }), Math.random).onRequestEnd(record({ query: '?a=1' }))
    expect(Object.keys(lines()[0] ?? {}).sort()).toEqual(['level', 'time', ...fields, 'query', 'msg'].sort())
    expect(lines()[0]?.query).toBe('?a=1')
  })

  it('keeps what is not known as null', () => {
    const { log, lines } = setUp()
    createAccessLog(log, () => all, Math.random).onRequestEnd(
      record({ service: null, endpoint: null, connectMs: null, firstByteMs: null, outcome: 'refused', status: 400 }),
    )
    expect(lines()[0]).toMatchObject({ service: null, endpoint: null, connectMs: null, firstByteMs: null })
  })

  it('bounds what the client chose', () => {
    const { log, written } = setUp()
    createAccessLog(log, () => all, Math.random).onRequestEnd(record({ path: `/${'x'.repeat(100_000)}\n` }))
    expect(written.join('').length).toBeLessThan(3000)
  })

  it('takes the sample that is asked for, and asks anew for each request', () => {
    const { log, lines } = setUp()
    let options = { ...all, sample: 0.25 }
    const drawn = [0, 0.2, 0.25, 0.9, 0.24]
    const access = createAccessLog(
      log,
      () => options,
      () => drawn.shift() ?? 0.99,
    )
    for (let i = 1; i <= 5; i += 1) access.onRequestEnd(record({ requestId: `r-${i}` }))
    options = { ...all, enabled: false }
    access.onRequestEnd(record())
    options = { ...all, sample: 0 }
    access.onRequestEnd(record())
    expect(lines().map((line) => line.requestId)).toEqual(['r-1', 'r-2', 'r-5'])
  })

  it('has a switch of its own: a log level of warn does not silence it, silent does', () => {
    const { log, setLevel, lines } = setUp('warn')
    const access = createAccessLog(log, () => all, Math.random)
    access.onRequestEnd(record({ requestId: 'r-1' }))
    setLevel('error')
    access.onRequestEnd(record({ requestId: 'r-2' }))
    setLevel('silent')
    access.onRequestEnd(record({ requestId: 'r-3' }))
    setLevel('warn')
    access.onRequestEnd(record({ requestId: 'r-4' }))
    expect(lines().map((line) => line.requestId)).toEqual(['r-1', 'r-2', 'r-4'])
  })
})

describe('stdout, in a process of its own', () => {
  const folder = mkdtempSync(join(tmpdir(), 'evenkeel-log-'))
  afterAll(() => rmSync(folder, { recursive: true }))

  const log = JSON.stringify(new URL('../src/log.ts', import.meta.url).href)
  const burst = (count: number) => `
    import { createLog } from ${log}
    const { log, close } = createLog({ level: 'info' })
    for (let i = 0; i < ${count}; i += 1) log.info({ i }, 'x'.repeat(100))`

  async function run(script: string, command = 'exec "$0" "$@"') {
    const node = [process.execPath, '--import', 'tsx', '--input-type=module', '-e', script]
    const child = spawn('/bin/sh', ['-c', command, ...node], { stdio: ['ignore', 'pipe', 'pipe'] })
    let [stdout, stderr] = ['', '']
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      stdout += chunk
    })
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
      stderr += chunk
    })
    const [code] = (await once(child, 'close')) as [number | null]
    return { code, stdout, stderr }
  }

  const numbers = (text: string) =>
    text
      .trimEnd()
      .split('\n')
      .map((line) => (JSON.parse(line) as { i: number }).i)
  const upTo = (count: number) => Array.from({ length: count }, (_, i) => i)

  it('loses no line of a burst when it is closed right after and the process exits', async () => {
    const { code, stdout, stderr } = await run(`${burst(20_000)}
      await close()
      process.exit(0)`)
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(numbers(stdout)).toEqual(upTo(20_000))
  })

  it('loses none into a file either', async () => {
    const file = join(folder, 'burst.log')
    const { code } = await run(`${burst(20_000)}\nawait close()\nprocess.exit(0)`, `exec "$0" "$@" > '${file}'`)
    expect(code).toBe(0)
    expect(numbers(readFileSync(file, 'utf8'))).toEqual(upTo(20_000))
  })

  it('loses none to a reader that is slow, as long as it reads', async () => {
    const slowly = '"$0" "$@" | { for i in 1 2 3 4; do sleep 0.4; head -c 262144; done; cat; }'
    const { code, stdout } = await run(`${burst(20_000)}\nawait close()\nprocess.exit(0)`, slowly)
    expect(code).toBe(0)
    expect(numbers(stdout)).toEqual(upTo(20_000))
  })

  it('shows a line soon, though nothing follows it and nobody closes', async () => {
    const child = spawn(
      process.execPath,
      ['--import', 'tsx', '--input-type=module', '-e', `${burst(1)}\nsetInterval(() => {}, 1000)`],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    )
    const [chunk] = (await once(child.stdout, 'data')) as [Buffer]
    child.kill()
    await once(child, 'close')
    expect(numbers(chunk.toString())).toEqual([0])
  })

  it('does not keep the process alive', async () => {
    const { code, stdout } = await run(burst(3))
    expect(code).toBe(0)
    expect(numbers(stdout)).toEqual([0, 1, 2])
  })

  it.runIf(process.platform === 'linux')('ends neither the process nor its closing when the disk is full', async () => {
    const script = `${burst(2000)}
      setTimeout(async () => {
        log.info('after the error')
        await close()
        log.info('after the end')
        process.stderr.write('closed')
        process.exit(0)
      }, 700)`
    expect(await run(script, 'exec "$0" "$@" > /dev/full')).toMatchObject({ code: 0, stderr: 'closed' })
  })

  it('outlives the reader of its lines', async () => {
    const script = `${burst(2000)}
      setTimeout(async () => {
        log.info('nobody reads')
        await close()
        process.stderr.write('closed')
        process.exit(0)
      }, 700)`
    expect(await run(script, '"$0" "$@" | head -n 1 > /dev/null')).toMatchObject({ code: 0, stderr: 'closed' })
  })
})
