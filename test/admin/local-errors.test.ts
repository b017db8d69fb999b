import { describe, expect, it } from 'vitest'
import { createLocalErrorLog, localErrorCodes } from '../../src/admin/local-errors.ts'
import { isLocalError } from '../../src/balancer/outcome.ts'
import { createLog } from '../../src/log.ts'

const [a, b] = ['10.0.0.1:80', '10.0.0.2:80']

function setUp() {
  const written: string[] = []
  const { log } = createLog({ level: 'info', destination: { write: (line) => void written.push(line) } })
  let nowMs = 0
  const { onLocalError } = createLocalErrorLog(log, () => nowMs)
  return {
    onLocalError,
    advance: (ms: number) => {
      nowMs += ms
    },
    /** The lines since the last time. */
    lines: () => written.splice(0).map((line) => JSON.parse(line) as Record<string, unknown>),
  }
}

describe('an error of this machine', () => {
  it.each([
    ['EADDRNOTAVAIL', /no free local port.*ip_local_port_range.*upstream\.keepAlive.*upstream\.close: rst/],
    ['EADDRINUSE', /no free local port.*ip_local_port_range/],
    ['EMFILE', /no file descriptor left for this process.*ulimit -n/],
    ['ENFILE', /no file descriptor left on this machine.*fs\.file-max/],
    ['ENOBUFS', /no memory for a socket.*tcp_mem/],
    ['ENOMEM', /no memory for a socket.*more memory/],
  ])('%s is told with what is lacking, towards whom, and what to do', (code, message) => {
    const { onLocalError, lines } = setUp()
    onLocalError(code, a)
    expect(lines()).toEqual([
      { level: 'error', time: expect.any(String), code, endpoint: a, count: 1, msg: expect.stringMatching(message) },
    ])
  })

  it('is known under exactly the codes that the balancer holds against nobody', () => {
    const others = ['ECONNREFUSED', 'ECONNRESET', 'EHOSTUNREACH', 'ENETUNREACH', 'ETIMEDOUT', 'EPIPE', 'EACCES']
    expect([...localErrorCodes, ...others].filter(isLocalError)).toEqual(localErrorCodes)
    const { onLocalError, lines } = setUp()
    for (const code of others) onLocalError(code, a)
    expect(lines()).toEqual([])
  })

  it('is told once in 10 s, whatever the endpoint, with the number of those since the last line', () => {
    const { onLocalError, lines, advance } = setUp()
    for (let i = 0; i < 1_000; i += 1) onLocalError('EMFILE', a)
    expect(lines()).toMatchObject([{ count: 1, endpoint: a }])
    advance(9_999)
    onLocalError('EMFILE', b)
    expect(lines()).toEqual([])
    advance(1)
    onLocalError('EMFILE', b)
    expect(lines()).toMatchObject([{ count: 1_001, endpoint: b }])
    advance(10_000)
    onLocalError('EMFILE', a)
    expect(lines()).toMatchObject([{ count: 1, endpoint: a }])
  })

  it('of one code keeps none of another code from being told', () => {
    const { onLocalError, lines } = setUp()
    onLocalError('EMFILE', a)
    onLocalError('EADDRNOTAVAIL', a)
    onLocalError('EMFILE', a)
    expect(lines()).toMatchObject([{ code: 'EMFILE' }, { code: 'EADDRNOTAVAIL' }])
  })
})
