import { describe, expect, test } from 'vitest'
import { readCommandLine } from '../../src/commands/usage.ts'

const words = (line: string) => line.split(' ').filter((word) => word !== '')

describe('one command is read', () => {
  test.each([
    ['serve', { kind: 'serve', file: null }],
    ['serve --config x.yaml', { kind: 'serve', file: 'x.yaml' }],
    ['serve --port 0 --admin-port=1', { kind: 'serve', flags: { port: '0', adminPort: '1' } }],
    ['serve --set a.b=1 --set c=2', { kind: 'serve', flags: { set: ['a.b=1', 'c=2'] } }],
    ['serve --workers 1 --engine e --consul u', { kind: 'serve', flags: { workers: '1', engine: 'e', consul: 'u' } }],
    ['check x.yaml', { kind: 'check', file: 'x.yaml' }],
    ['check -- -x.yaml', { kind: 'check', file: '-x.yaml' }],
    ['demo', { kind: 'demo', port: null, adminPort: null }],
    ['demo --port 0 --admin-port 65535', { kind: 'demo', port: 0, adminPort: 65_535 }],
    ['explain web', { kind: 'explain', about: { kind: 'service', service: 'web', endpoint: null }, json: false }],
    ['explain web --endpoint a:1', { kind: 'explain', about: { kind: 'service', service: 'web', endpoint: 'a:1' } }],
    ['explain --request r-1 --json', { kind: 'explain', about: { kind: 'request', id: 'r-1' }, json: true }],
    ['doctor', { kind: 'doctor', service: null, httpPath: null, watchMs: 3_000 }],
    ['doctor --service web --http', { kind: 'doctor', service: 'web', httpPath: '/' }],
    ['doctor --http-path /up --watch 10s', { kind: 'doctor', httpPath: '/up', watchMs: 10_000 }],
    ['drain web a:1 --by anna', { kind: 'hand', action: 'drain', service: 'web', endpoint: 'a:1', by: 'anna' }],
    ['restore web a:1 --admin h:1', { kind: 'hand', action: 'restore', admin: 'h:1', tokenFile: null }],
    ['eject --help', { kind: 'help', text: expect.stringContaining('evenkeel eject SERVICE ENDPOINT') }],
    ['--version', { kind: 'version' }],
    ['-v', { kind: 'version' }],
    ['', { kind: 'nothing', text: expect.stringContaining('Usage: evenkeel <command>') }],
    ['--help', { kind: 'help', text: expect.stringContaining('Usage: evenkeel <command>') }],
    ['serve --help', { kind: 'help', text: expect.stringContaining('--set key.path=value') }],
    ['serve -h --port', { kind: 'wrong' }],
    ['check --help', { kind: 'help', text: expect.stringContaining('the file alone') }],
    ['demo --help', { kind: 'help', text: expect.stringContaining('evenkeel demo') }],
  ])('evenkeel %s', (line, expected) => {
    expect(readCommandLine(words(line))).toMatchObject(expected)
  })
})

describe('wrong usage is one line that says what to do', () => {
  test.each([
    ['srve', 'no command "srve": did you mean serve?'],
    ['elephant', 'no command "elephant": evenkeel --help lists the commands'],
    ['--port 1', 'no command before --port: evenkeel --help lists the commands'],
    ['serve --prot 1', 'serve has no option --prot: did you mean --port?'],
    ['serve --elephant', 'serve has no option --elephant: evenkeel serve --help lists the options'],
    ['serve -p 1', 'serve has no option -p: evenkeel serve --help lists the options'],
    ['serve --port', "Option '--port <value>' argument missing: evenkeel serve --help"],
    ['serve --port --admin-port 1', "Option '--port' argument is ambiguous: evenkeel serve --help"],
    ['explain', 'explain needs a service, or --request ID'],
    ['explain web --request r', 'explain takes either a service or --request ID: evenkeel explain --help'],
    ['explain web --endpont a:1', 'explain has no option --endpont: did you mean --endpoint?'],
    ['explain web --endpoint=', '--endpoint needs an address:port, or the id of an instance'],
    ['explain web --admin 8081', '--admin must be http://host:port, not "8081"'],
    ['explain web --admin https://h:1', '--admin must be http://host:port, not "https://h:1"'],
    ['drain web a:1 --admin h:1/api', '--admin must be http://host:port, not "h:1/api"'],
    ['drain web', 'drain needs a service and an endpoint: evenkeel drain SERVICE ADDRESS:PORT'],
    ['doctor web', 'doctor takes no argument such as "web": evenkeel doctor --help'],
    ['doctor --service=', '--service needs the name of a service'],
    ['doctor --watch soon', '--watch must be a duration of at most 10m such as 3s, not "soon"'],
    ['doctor --http-path up', '--http-path must be a path such as /health, not "up"'],
    ['serve x.yaml', 'serve takes no argument such as "x.yaml": evenkeel serve --help'],
    ['serve --config=', '--config needs the name of a file'],
    ['check', 'check needs a file: evenkeel check FILE'],
    ['check a b', 'check takes one file, not 2: evenkeel check FILE'],
    ['check --port 1 a', 'check has no option --port: evenkeel check --help lists the options'],
    ['demo --port x', '--port must be a whole number from 0 to 65535, not "x"'],
    ['demo --admin-port 65536', '--admin-port must be a whole number from 0 to 65535, not "65536"'],
    ['demo --adminport 1', 'demo has no option --adminport: did you mean --admin-port?'],
  ])('evenkeel %s', (line, message) => {
    expect(readCommandLine(words(line))).toEqual({ kind: 'wrong', message })
  })
})
