/** What if the proxy runs out of file descriptors? It says so to whom it can, blames no endpoint, and goes on. */

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { waitFor } from '../support/wait.ts'

const descriptors = 200
const clients = 300

const cleanup: (() => unknown)[] = []
afterEach(async () => {
  for (const undo of cleanup.splice(0).reverse()) await undo()
})

const engines = ['http-proxy', 'wire']
test.each(engines)(
  '%s, out of file descriptors: 503, a log line and no ejection, and all is well after it',
  async (engine) => {
    const origin = createServer((_request, response) => response.end('here'))
    origin.listen(0, '127.0.0.1')
    await once(origin, 'listening')
    cleanup.push(() => origin.close())
    const originPort = (origin.address() as AddressInfo).port
    const { data, admin, logged } = await startProxy(originPort, engine)

    const answers: string[] = []
    const sockets: Socket[] = []
    for (let index = 0; index < clients; index++) {
      const socket = connect(data, '127.0.0.1', () => socket.write('GET /web/ HTTP/1.1\r\nHost: test\r\n\r\n'))
      socket.on('error', () => {})
      socket.once('data', (bytes) => answers.push(bytes.toString('latin1').slice(0, 12)))
      sockets.push(socket)
    }
    cleanup.push(() => {
      for (const socket of sockets) socket.destroy()
    })
    await waitFor('an answer for want of descriptors', () => answers.includes('HTTP/1.1 503'))
    expect(answers.filter((answer) => answer !== 'HTTP/1.1 503' && answer !== 'HTTP/1.1 200')).toEqual([])

    for (const socket of sockets) socket.destroy()
    const again = await waitFor('an ordinary answer', async () => {
      const response = await fetch(`http://127.0.0.1:${data}/web/`).catch(() => null)
      return response?.status === 200 && response.text()
    })
    expect(again).toBe('here')
    const metrics = await (await fetch(`http://127.0.0.1:${admin}/metrics`)).text()
    expect(metrics).toMatch(/^evenkeel_attempts_total\{.*outcome="connect-failed"\} [1-9]/m)
    expect(metrics).toMatch(/^evenkeel_local_errors_total\{code="EMFILE"\} [1-9]/m)
    const told = await waitFor('a line of the log', () => logged().find(({ code }) => code === 'EMFILE'))
    expect(told).toMatchObject({ level: 'error', endpoint: `127.0.0.1:${originPort}`, count: 1 })
    expect(told.msg).toMatch(/no file descriptor left for this process.*ulimit -n/)
    expect(metrics).toMatch(/^evenkeel_endpoints\{service="web",state="healthy"\} 1$/m)
    expect(metrics).not.toMatch(/^evenkeel_ejections(_withheld)?_total\{/m)
  },
)

async function startProxy(originPort: number, engine: string) {
  const services = `discovery.static.services={web: ["127.0.0.1:${originPort}"]}`
  const flags = `--engine ${engine} --port 0 --admin-port 0 --set discovery.source=static --set listen.host=127.0.0.1`
  const command = `ulimit -n ${descriptors} && exec node --import tsx src/main.ts serve ${flags} --set "$SERVICES"`
  const proxy: ChildProcess = spawn('sh', ['-c', command], {
    env: { ...process.env, SERVICES: services },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  cleanup.push(() => proxy.kill('SIGKILL'))
  let log = ''
  proxy.stdout?.on('data', (bytes) => {
    log += bytes
  })
  const port = (message: string) =>
    waitFor(message, () => {
      const line = log.split('\n').find((each) => each.includes(message))
      return line !== undefined && (JSON.parse(line) as { port: number }).port
    })
  return {
    /** The lines that are not of a request. */
    logged: () =>
      log
        .split('\n')
        .slice(0, -1)
        .map((line) => JSON.parse(line) as Record<string, unknown>)
        .filter(({ msg }) => msg !== 'request'),
    admin: await port('the admin listener is open'),
    data: await port('the data port is open'),
  }
}
