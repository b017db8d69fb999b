import { describe, expect, test } from 'vitest'
import { readCommandLine } from '../../src/commands/usage.ts'

const words = (line: string) => line.split(' ').filter((word) => word !== '')
const run = (line: string) => readCommandLine(words(`run ${line}`))

test('all that is left out has a default', () => {
  expect(run('--service web --port 80 -- ./server')).toEqual({
    kind: 'run',
    ...{ service: 'web', port: 80, to: 'consul', id: null, at: null, tags: [], health: null, drainMs: 2000 },
    ...{ command: ['./server'], file: null, flags: { consul: undefined, set: undefined } },
  })
})

test.each([
  ['--to etcd', { to: 'etcd' }],
  ['--to eureka', { to: 'eureka' }],
  ['--to zookeeper', { to: 'zookeeper' }],
  ['--health /up?deep=1', { health: '/up?deep=1' }],
  ['--tag a --tag b=c', { tags: ['a', 'b=c'] }],
  ['--id web-1', { id: 'web-1' }],
  ['--address 127.0.0.1', { at: { address: '127.0.0.1' } }],
  ['--address [FD00::5]', { at: { address: 'fd00::5' } }],
  ['--address Web.example', { at: { address: 'web.example' } }],
  ['--interface eth0', { at: { interface: 'eth0' } }],
  ['--drain 40s', { drainMs: 40_000 }],
  ['--drain 0s', { drainMs: 0 }],
  ['--config c.yaml --set a.b=1 --set c=2', { file: 'c.yaml', flags: { set: ['a.b=1', 'c=2'] } }],
  ['--consul http://h:1', { flags: { consul: 'http://h:1' } }],
])('%s', (flags, expected) => {
  expect(run(`--service web --port 80 ${flags} -- ./server`)).toMatchObject(expected)
})

test('what is behind the dashes is the command, whatever it looks like', () => {
  const read = run('--service web --port 80 -- node --port 81 -- --help')
  expect(read).toMatchObject({ port: 80, command: ['node', '--port', '81', '--', '--help'] })
  expect(run('--help')).toMatchObject({ kind: 'help', text: expect.stringContaining('evenkeel run --service NAME') })
})

describe('wrong usage is one line that says what to do', () => {
  test.each([
    ['', 'run needs --service NAME: evenkeel run --help'],
    ['--service web -- a', 'run needs --port N, where the command listens: evenkeel run --help'],
    ['--port 80 -- a', 'run needs --service NAME: evenkeel run --help'],
    ['--service a/b --port 80 -- a', '--service must be a name without slashes or blanks, not "a/b"'],
    ['--service . --port 80 -- a', '--service must be a name without slashes or blanks, not "."'],
    ['--service web --port 0 -- a', '--port must be a whole number from 1 to 65535, not "0"'],
    ['--service web --port 65536 -- a', '--port must be a whole number from 1 to 65535, not "65536"'],
    ['--service web --port 8o -- a', '--port must be a whole number from 1 to 65535, not "8o"'],
    ['--service web --port 80 --to nomad -- a', '--to must be one of consul, eureka, etcd, zookeeper, not "nomad"'],
    ['--service web --port 80 --health up -- a', '--health must be a path such as /health, not "up"'],
    ['--service web --port 80 --tag= -- a', '--tag must be a text of at most 255 signs, not ""'],
    ['--service web --port 80 --id a/b -- a', '--id must be a name without slashes or blanks, not "a/b"'],
    ['--service web --port 80 --address 0.0.0.0 -- a', ownAddress('0.0.0.0')],
    ['--service web --port 80 --address a:80 -- a', ownAddress('a:80')],
    ['--service web --port 80 --address a --interface b -- a', 'run takes either --address or --interface'],
    ['--service web --port 80 --interface= -- a', '--interface needs the name of a network interface'],
    ['--service web --port 80 --drain 2 -- a', '--drain must be a duration of at most 10m such as 2s, not "2"'],
    ['--service web --port 80 --drain 11m -- a', '--drain must be a duration of at most 10m such as 2s, not "11m"'],
    ['--service web --port 80 --config= -- a', '--config needs the name of a file'],
    ['--service web --port 80', 'run needs a command after --: evenkeel run --service NAME --port N -- command'],
    ['--service web --port 80 --', 'run needs a command after --: evenkeel run --service NAME --port N -- command'],
    ['--service web --port 80 ./server', 'run takes no argument such as "./server": evenkeel run --help'],
    ['--sevice web --port 80 -- a', 'run has no option --sevice: did you mean --service?'],
    ['--service web --prot 80 -- a', 'run has no option --prot: did you mean --port?'],
  ])('evenkeel run %s', (line, message) => {
    expect(run(line)).toEqual({ kind: 'wrong', message })
  })
})

function ownAddress(found: string): string {
  return `--address must be an IP address or a host name that others reach, without a port, not "${found}"`
}
