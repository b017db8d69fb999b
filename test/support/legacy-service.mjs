/**
 * A service that registers itself nowhere, for tests of `evenkeel run`. Arguments: its port, and how it is to behave:
 * `patient` listens only after SIGUSR2, `code=N` exits with it when a signal ends it, `stubborn` outlives SIGHUP, `silent`
 * writes nothing, `ask=URL` is what it asks when a signal comes. It tells what happens to it in lines of JSON.
 * `GET /signals` lists those that came. `PUT /health/503` makes `GET /health` answer so from then on, `PUT /crash` ends it at
 * once.
 */

import { createServer } from 'node:http'

const [, , port, ...words] = process.argv
const word = (name) => words.find((each) => each.startsWith(`${name}=`))?.slice(name.length + 1)
const tell = (event) => words.includes('silent') || process.stdout.write(`${JSON.stringify(event)}\n`)
const signals = []
let health = 200

const server = createServer((request, answer) => {
  const [, first, second] = request.url.split('/')
  if (request.method === 'PUT' && first === 'crash') process.exit(9)
  if (request.method === 'PUT' && first === 'health') health = Number(second)
  answer.writeHead(request.method === 'GET' && first === 'health' ? health : 200)
  answer.end(first === 'signals' ? signals.join() : `served by ${port}`)
})
const listen = () => server.listen(Number(port), '127.0.0.1', () => tell({ event: 'listening' }))
if (!words.includes('patient')) listen()

for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGUSR2']) {
  process.on(signal, async () => {
    signals.push(signal)
    const url = word('ask')
    const registry =
      url === undefined ? null : await fetch(url).then(async (said) => (await said.text()).trim(), String)
    tell({ event: 'signal', signal, registry })
    if (signal === 'SIGUSR2' && words.includes('patient')) listen()
    if (signal === 'SIGUSR2' || (signal === 'SIGHUP' && words.includes('stubborn'))) return
    server.close(() => process.exit(Number(word('code') ?? 0)))
  })
}
// Nobody is left who would end it.
setTimeout(() => process.exit(99), 120_000).unref()
process.stdin.on('end', () => words.includes('silent') || process.exit(98)).resume()
tell({ event: 'started', pid: process.pid, terminal: process.stdin.isTTY === true })
