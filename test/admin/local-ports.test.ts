import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readPortUse } from '../../src/admin/local-ports.ts'

let root = ''
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'evenkeel-proc-'))
})
afterAll(() => rm(root, { recursive: true, force: true }))

let made = 0

/** A folder like /proc; null: the file is not there. */
async function procWith(range: string | null, sockstat: string | null): Promise<string> {
  made += 1
  const proc = join(root, `${made}`)
  await mkdir(join(proc, 'sys/net/ipv4'), { recursive: true })
  await mkdir(join(proc, 'net'), { recursive: true })
  if (range !== null) await writeFile(join(proc, 'sys/net/ipv4/ip_local_port_range'), range)
  if (sockstat !== null) await writeFile(join(proc, 'net/sockstat'), sockstat)
  return proc
}

const sockstat = `sockets: used 15
TCP: inuse 1 orphan 0 tw 89 alloc 1 mem 0
UDP: inuse 0 mem 0
`

describe('what the kernel says of local ports', () => {
  it.each([
    ['both', '32768\t60999\n', sockstat, { localPorts: 28_232, timeWaitSockets: 89 }],
    ['a range of one port', '40000 40000\n', sockstat, { localPorts: 1, timeWaitSockets: 89 }],
    ['no range', null, sockstat, { localPorts: null, timeWaitSockets: 89 }],
    ['no sockets', '32768\t60999\n', null, { localPorts: 28_232, timeWaitSockets: null }],
    ['a range that is none', '60999 32768', 'TCP: inuse 1', { localPorts: null, timeWaitSockets: null }],
    ['another format', 'from 1 to 2', 'tw 5\nUDP: tw 7', { localPorts: null, timeWaitSockets: null }],
  ])('%s', async (_, range, sockets, expected) => {
    expect(await readPortUse(await procWith(range, sockets))).toEqual(expected)
  })

  it('nothing where there is no /proc', async () => {
    expect(await readPortUse(join(root, 'absent'))).toEqual({ localPorts: null, timeWaitSockets: null })
  })

  it.runIf(process.platform === 'linux')('numbers, on Linux', async () => {
    const { localPorts, timeWaitSockets } = await readPortUse()
    expect(localPorts).toBeGreaterThan(0)
    expect(timeWaitSockets).toBeGreaterThanOrEqual(0)
  })
})
