import { PassThrough } from 'node:stream'
import { afterEach, describe, expect, test } from 'vitest'
import { createConsole } from '../../src/demo/console.ts'
import type { Fleet, InstanceView } from '../../src/demo/services.ts'
import { waitFor } from '../support/wait.ts'

/** A fleet that writes down what it is told (a stand-in: the real one is tested in services.test.ts). */
function fakeFleet(instances: InstanceView[] = []) {
  const told: string[] = []
  const say = (text: string, ids: string[]) => {
    told.push(text)
    return Promise.resolve(ids)
  }
  const fleet: Fleet = {
    scale: (service, count) => say(`scale ${service} ${count}`, ['accountservice-4']),
    kill: (service) => say(`kill ${service}`, service === 'accountservice' ? ['accountservice-1'] : []),
    sick: (service) => say(`sick ${service}`, ['accountservice-2']),
    heal: () => Promise.reject(new Error('the catalog is gone')),
    list: () => instances,
    close: () => Promise.resolve(),
  }
  return { fleet, told }
}

function talk(instances: InstanceView[] = [], isTerminal = false) {
  const input = new PassThrough()
  const output = new PassThrough()
  output.setEncoding('utf8')
  let shown = ''
  output.on('data', (piece) => {
    shown += piece
  })
  const terminal = createConsole(input, output, isTerminal)
  const { fleet, told } = fakeFleet(instances)
  const ended = terminal.run(fleet)
  return { input, terminal, told, ended, shown: () => shown }
}

const open: { close(): void }[] = []
afterEach(() => {
  for (const terminal of open.splice(0)) terminal.close()
})

describe('the prompt (with a fleet that only listens)', () => {
  test('does the commands in their order, says what was done, and ends with quit', async () => {
    const { input, told, ended, shown } = talk()
    input.write('scale accountservice 4\nkill accountservice\nkill quotes-service\nbogus\n\nheal\nquit\nlist\n')
    await ended
    expect(told).toEqual(['scale accountservice 4', 'kill accountservice', 'kill quotes-service'])
    expect(shown()).toBe(
      [
        'accountservice runs 4 instances now',
        'accountservice-1 was killed',
        'no quotes-service runs: type heal or scale',
        'no command "bogus": type one of scale, kill, sick, heal, list, help, quit',
        'that failed: the catalog is gone',
        '',
      ].join('\n'),
    )
  })

  test('ends when the input ends, a last line without an end included', async () => {
    const { input, told, ended } = talk()
    input.end('sick accountservice')
    await ended
    expect(told).toEqual(['sick accountservice'])
  })

  test('lists the instances in columns, and says what to type when there are none', async () => {
    const one = { service: 'accountservice', id: 'accountservice-1', at: '127.0.0.11:1', state: 'running' } as const
    const some = talk([one, { ...one, id: 'accountservice-10', at: '127.0.0.20:12345', state: 'sick' }])
    some.input.end('list\n')
    await some.ended
    expect(some.shown()).toBe(
      '  accountservice-1   127.0.0.11:1      running\n  accountservice-10  127.0.0.20:12345  sick\n',
    )
    const none = talk()
    none.input.end('list\n')
    await none.ended
    expect(none.shown()).toBe('no instance runs: type scale accountservice 3\n')
  })

  test('on a terminal, news is written above what is being typed, and the prompt comes again', async () => {
    const { input, terminal, shown } = talk([], true)
    open.push(terminal)
    await waitFor('the prompt', () => shown().includes('demo> '))
    input.write('half')
    await waitFor('the echo', () => shown().endsWith('half'))
    terminal.say('news\n')
    // The line is erased, the news takes its place, and below it prompt and typing are drawn anew.
    await waitFor('the prompt again', () => {
      const [, after = ''] = shown().split('\r\u001b[Knews\n')
      return after.includes('demo> half')
    })
  })
})

describe('without anybody to type', () => {
  test('text is still said, and the end is for others to decide', async () => {
    const output = new PassThrough()
    output.setEncoding('utf8')
    const terminal = createConsole(null, output, false)
    terminal.say('hello\n')
    terminal.close()
    expect(output.read()).toBe('hello\n')
    const first = await Promise.race([terminal.run(fakeFleet().fleet), Promise.resolve('not ended')])
    expect(first).toBe('not ended')
  })
})
