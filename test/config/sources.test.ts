import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { flagProblems } from '../../src/config/load.ts'
import { formatProblem } from '../../src/config/problem.ts'
import { accepted, linesOf, load } from './support.ts'

type Env = Readonly<Record<string, string>>

let folder = ''
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'evenkeel-sources-'))
})
afterAll(() => rmSync(folder, { recursive: true }))

const written = (text: string, name = 'config.yaml'): string => {
  const file = join(folder, name)
  writeFileSync(file, text)
  return file
}

describe('defaults < file < environment < flags', () => {
  const port = (yaml: string, env: Env, flags: object) =>
    accepted(load({ file: written(yaml), env, flags })).listen.port
  const inFile = 'listen: {port: 1}'
  const inEnv = { EVENKEEL_LISTEN_PORT: '2' }

  test.each([
    ['nothing says a port', '', {}, {}, 8080],
    ['the file says one', inFile, {}, {}, 1],
    ['the environment says another', inFile, inEnv, {}, 2],
    ['a flag says a third', inFile, inEnv, { port: '3' }, 3],
    ['--set says a fourth, after the flag', inFile, inEnv, { port: '3', set: ['listen.port=4'] }, 4],
    ['--set says two: the last', '', {}, { set: ['listen.port=4', 'listen.port=5'] }, 5],
  ])('%s', (_, yaml, env, flags, expected) => {
    expect(port(yaml, env, flags)).toBe(expected)
  })

  test('what they say of different keys of one section is put together', () => {
    const file = written('upstream: {connectTimeout: 1s}\nservices: {a: {retry: {attempts: 1}}}')
    const env = { EVENKEEL_UPSTREAM_IDLE_TIMEOUT: '2s' }
    const flags = { set: ['upstream.responseTimeout=3s', 'services.a.upstream.keepAlive=true'] }
    const { upstream, services } = accepted(load({ file, env, flags }))
    expect(upstream).toEqual({
      keepAlive: false,
      close: 'fin',
      connectTimeoutMs: 1_000,
      idleTimeoutMs: 2_000,
      responseTimeoutMs: 3_000,
    })
    expect(services.a).toMatchObject({ retry: { attempts: 1 }, upstream: { keepAlive: true } })
  })

  test('a list is replaced, not added to', () => {
    const file = written('discovery: {consul: {include: [a, b]}}')
    const env = { EVENKEEL_DISCOVERY_CONSUL_INCLUDE: '["c"]' }
    expect(accepted(load({ file, env })).discovery.consul.include).toEqual(['c'])
  })

  test('the problems of all of them are told together, each with who said it', () => {
    const file = written('listen: {port: x}')
    const env = { EVENKEEL_RETRY_ATTEMPTS: 'y', EVENKEEL_LISTEN_PRT: '1' }
    const flags = { adminPort: 'z', set: ['upstream.keepAlive=w', 'nonsense'] }
    expect(linesOf(load({ file, env, flags }))).toEqual([
      'environment EVENKEEL_LISTEN_PRT: unknown variable, did you mean EVENKEEL_LISTEN_PORT?',
      'flag --set: must be key.path=value, e.g. --set upstream.keepAlive=true',
      `file ${file}:1: listen.port: found "x", must be a whole number from 0 to 65535`,
      'flag --admin-port: admin.port: found "z", must be a whole number from 0 to 65535',
      'flag --set upstream.keepAlive: upstream.keepAlive: found "w", must be true or false',
      'environment EVENKEEL_RETRY_ATTEMPTS: retry.attempts: found "y", must be a whole number from 0 to 10',
    ])
  })
})

describe('which file', () => {
  test('is named by EVENKEEL_CONFIG, and by --config before it', () => {
    const one = written('listen: {port: 1}', 'one.yaml')
    const two = written('listen: {port: 2}', 'two.yaml')
    const env = { EVENKEEL_CONFIG: one }
    expect(load({ env })).toMatchObject({ file: one, config: { listen: { port: 1 } } })
    expect(load({ env, file: two })).toMatchObject({ file: two, config: { listen: { port: 2 } } })
    expect(load({})).toMatchObject({ file: null })
  })
})

describe('a variable of a key', () => {
  const config = (env: Env) => accepted(load({ env }))

  test.each([
    ['takes a duration', { EVENKEEL_UPSTREAM_CONNECT_TIMEOUT: '1s' }, { upstream: { connectTimeoutMs: 1_000 } }],
    ['takes a share', { EVENKEEL_RETRY_BUDGET: '5%' }, { retry: { budget: 0.05 } }],
    ['takes true', { EVENKEEL_UPSTREAM_KEEP_ALIVE: 'true' }, { upstream: { keepAlive: true } }],
    ['takes the name of an engine', { EVENKEEL_ENGINE: 'wire' }, { engine: 'wire' }],
    ['takes a word', { EVENKEEL_UPSTREAM_CLOSE: 'rst' }, { upstream: { close: 'rst' } }],
    ['takes a list', { EVENKEEL_RETRY_STATUSES: '[502, 503]' }, { retry: { statuses: [502, 503] } }],
    ['takes null', { EVENKEEL_OUTLIER_FAULT_RATE: 'null' }, { outlier: { faultRate: null } }],
    [
      'takes a section, and one for a key of it wins',
      { EVENKEEL_LISTEN_PORT: '2', EVENKEEL_LISTEN: '{port: 1, host: 10.0.0.1}' },
      { listen: { port: 2, host: '10.0.0.1' } },
    ],
    [
      'takes a map of services',
      { EVENKEEL_DISCOVERY_STATIC_SERVICES: '{a: ["10.0.0.1:80"]}' },
      { discovery: { static: { services: { a: ['10.0.0.1:80'] } } } },
    ],
    ['that is empty counts as absent', { EVENKEEL_LISTEN_PORT: '' }, { listen: { port: 8080 } }],
    ['takes a number where a text is wanted', { EVENKEEL_DISCOVERY_CONSUL_TAG: '12' }, tagged('12')],
    ['takes what YAML reads as a list', { EVENKEEL_DISCOVERY_CONSUL_TAG: '[a]' }, tagged('[a]')],
    ['takes what is no YAML', { EVENKEEL_DISCOVERY_CONSUL_TAG: '@a: *b' }, tagged('@a: *b')],
    ['takes a text in quotes without them', { EVENKEEL_DISCOVERY_CONSUL_TAG: '"null"' }, tagged('null')],
    ['takes null where a text may be missing', { EVENKEEL_DISCOVERY_CONSUL_TAG: 'null' }, tagged(null)],
  ])('%s', (_, env, expected) => {
    expect(config(env as unknown as Env)).toMatchObject(expected)
  })

  test.each([
    ['EVENKEEL_UPSTREAM_CONECT_TIMEOUT', 'did you mean EVENKEEL_UPSTREAM_CONNECT_TIMEOUT?'],
    ['EVENKEEL_CONNECT_TIMEOUT', 'did you mean EVENKEEL_UPSTREAM_CONNECT_TIMEOUT?'],
    ['EVENKEEL_PORT', 'did you mean EVENKEEL_LISTEN_PORT?'],
    ['EVENKEEL_CONFG', 'did you mean EVENKEEL_CONFIG?'],
    ['EVENKEEL_ELEPHANT', 'config/evenkeel.yaml lists the keys'],
  ])('%s does not exist: %s', (name, advice) => {
    expect(linesOf(load({ env: { [name]: '1' } }))).toEqual([`environment ${name}: unknown variable, ${advice}`])
  })

  test('that is no YAML is a problem', () => {
    expect(linesOf(load({ env: { EVENKEEL_RETRY_STATUSES: '[502' } }))).toEqual([
      expect.stringMatching(/^environment EVENKEEL_RETRY_STATUSES: retry\.statuses: found "\[502", is no YAML value: /),
    ])
  })

  test('that Kubernetes makes for a Service called evenkeel, or evenkeel-admin, is passed over', () => {
    const link = (name: string, port: number) => ({
      [`${name}_SERVICE_HOST`]: '10.3.0.1',
      [`${name}_SERVICE_PORT`]: `${port}`,
      [`${name}_SERVICE_PORT_HTTP`]: `${port}`,
      [`${name}_PORT`]: `tcp://10.3.0.1:${port}`,
      [`${name}_PORT_${port}_TCP`]: `tcp://10.3.0.1:${port}`,
      [`${name}_PORT_${port}_TCP_PROTO`]: 'tcp',
      [`${name}_PORT_${port}_TCP_PORT`]: `${port}`,
      [`${name}_PORT_${port}_TCP_ADDR`]: '10.3.0.1',
    })
    const { listen, admin } = config({ ...link('EVENKEEL', 80), ...link('EVENKEEL_ADMIN', 81) })
    expect([listen.port, admin.port]).toEqual([8080, 8081])
  })
})

describe("Consul's own variables", () => {
  const consul = (env: Env, yaml = '', flags: object = {}) =>
    accepted(load({ file: written(yaml), env, flags })).discovery.consul

  const fileSays = 'discovery: {consul: {address: "http://file:8500", token: from-file}}'
  test.each([
    ['an address without a scheme is http', '', { CONSUL_HTTP_ADDR: 'a:8500' }, 'http://a:8500'],
    ['an IPv6 address too', '', { CONSUL_HTTP_ADDR: '[::1]:8500' }, 'http://[::1]:8500'],
    ['SSL makes it https', '', { CONSUL_HTTP_ADDR: 'a:8501', CONSUL_HTTP_SSL: 'true' }, 'https://a:8501'],
    ['SSL wins over http', '', { CONSUL_HTTP_ADDR: 'http://a:1', CONSUL_HTTP_SSL: '1' }, 'https://a:1'],
    ['no SSL takes nothing back', '', { CONSUL_HTTP_ADDR: 'https://a:1', CONSUL_HTTP_SSL: 'false' }, 'https://a:1'],
    ['SSL alone is for the default address', '', { CONSUL_HTTP_SSL: 'T' }, 'https://127.0.0.1:8500'],
    ["and for the file's", fileSays, { CONSUL_HTTP_SSL: 'true' }, 'https://file:8500'],
    ['the environment wins over the file', fileSays, { CONSUL_HTTP_ADDR: 'a:1' }, 'http://a:1'],
    ['an empty variable is none', fileSays, { CONSUL_HTTP_ADDR: '', CONSUL_HTTP_SSL: '' }, 'http://file:8500'],
    [
      'our own variable wins over both, as it is written',
      fileSays,
      { CONSUL_HTTP_ADDR: 'a:1', CONSUL_HTTP_SSL: 'true', EVENKEEL_DISCOVERY_CONSUL_ADDRESS: 'http://own:1' },
      'http://own:1',
    ],
  ])('%s', (_, yaml, env, address) => {
    expect(consul(env as unknown as Env, yaml).address).toBe(address)
  })

  test('--consul wins over all of them', () => {
    const env = { CONSUL_HTTP_ADDR: 'a:1', EVENKEEL_DISCOVERY_CONSUL_ADDRESS: 'http://own:1' }
    expect(consul(env, fileSays, { consul: 'http://flag:1' }).address).toBe('http://flag:1')
  })

  test.each([
    [
      { CONSUL_HTTP_ADDR: 'unix:///run/consul.sock' },
      'environment CONSUL_HTTP_ADDR: discovery.consul.address: found "unix:///run/consul.sock", unix sockets are not supported, must be host:port or an http:// or https:// URL',
    ],
    [
      { CONSUL_HTTP_ADDR: 'http://a:1/prefix' },
      'environment CONSUL_HTTP_ADDR: discovery.consul.address: found "http://a:1/prefix", must be an http:// or https:// URL of host and port only, e.g. http://127.0.0.1:8500',
    ],
    [{ CONSUL_HTTP_SSL: 'yes' }, 'environment CONSUL_HTTP_SSL: found "yes", must be true or false'],
    [
      { CONSUL_HTTP_TOKEN_FILE: '/no/token' },
      expect.stringMatching(/^environment CONSUL_HTTP_TOKEN_FILE: cannot read \/no\/token: ENOENT/),
    ],
    [
      { CONSUL_CACERT: '/no/ca.pem' },
      expect.stringMatching(/^environment CONSUL_CACERT: discovery\.consul\.tls\.ca: .*cannot be read: ENOENT/),
    ],
  ])('%j is refused', (env, line) => {
    expect(linesOf(load({ env: env as unknown as Env }))).toEqual([line])
  })

  test('the token comes from the token file, else from the variable, else from the file', () => {
    const tokenFile = written('  secret-1\n', 'token')
    const empty = written('\n', 'empty')
    const variable = { CONSUL_HTTP_TOKEN: 'secret-2' }
    expect(consul({ ...variable, CONSUL_HTTP_TOKEN_FILE: tokenFile }, fileSays).token).toBe('secret-1')
    expect(consul({ ...variable, CONSUL_HTTP_TOKEN_FILE: empty }, fileSays).token).toBe('secret-2')
    expect(consul(variable, fileSays).token).toBe('secret-2')
    expect(consul({}, fileSays).token).toBe('from-file')
    expect(consul({}).token).toBeNull()
  })

  test('name the PEM files and the namespace', () => {
    const pem = written('-----BEGIN X-----', 'x.pem')
    const env = { CONSUL_CACERT: pem, CONSUL_CLIENT_CERT: pem, CONSUL_CLIENT_KEY: pem, CONSUL_NAMESPACE: 'team' }
    const { tls, namespace } = consul(env)
    expect(tls).toEqual({ ca: '-----BEGIN X-----', cert: '-----BEGIN X-----', key: '-----BEGIN X-----' })
    expect(namespace).toBe('team')
  })
})

describe('flags', () => {
  test('each set their key', () => {
    const flags = { port: '0', adminPort: '1', consul: 'http://a:2', workers: '1', engine: 'wire' }
    const { listen, admin, discovery, engine } = accepted(load({ flags }))
    expect([listen.port, admin.port, discovery.consul.address, engine]).toEqual([0, 1, 'http://a:2', 'wire'])
  })

  test.each([
    ['--set takes an empty text in quotes', "routing.basePath=''", { routing: { basePath: '' } }],
    ['--set takes a value with an equals sign', 'routing.basePath=/a=b', { routing: { basePath: '/a=b' } }],
    ['--set takes a section', 'outlier.faultRate={threshold: 1%}', { outlier: { faultRate: { threshold: 0.01 } } }],
    ['--set takes null', 'outlier.faultRate=null', { outlier: { faultRate: null } }],
  ])('%s', (_, set, expected) => {
    expect(accepted(load({ flags: { set: [set] } }))).toMatchObject(expected)
  })

  test.each([
    ['upstream', 'flag --set: must be key.path=value, e.g. --set upstream.keepAlive=true'],
    ['=1', 'flag --set: must be key.path=value, e.g. --set upstream.keepAlive=true'],
    ['a..b=1', 'flag --set: must be key.path=value, e.g. --set upstream.keepAlive=true'],
    ['listen.prot=1', 'flag --set listen.prot: listen.prot: found 1, unknown key, did you mean port?'],
    ['__proto__.x=1', 'flag --set __proto__.x: __proto__: found {"x":1}, unknown key'],
    ['listen={port', expect.stringMatching(/^flag --set listen: listen: found "{port", is no YAML value: /)],
  ])('--set %s is refused', (set, line) => {
    expect(flagProblems({ set: [set] }).map(formatProblem)).toEqual([line])
    expect(linesOf(load({ flags: { set: [set] } }))).toEqual([line])
  })

  test('that are right for some file are no wrong usage', () => {
    const flags = { port: '8081', set: ['discovery.consul.tls.cert=x.pem', 'outlier.baseEjectionTime=1h'] }
    expect(flagProblems(flags)).toEqual([])
  })
})

function tagged(tag: string | null) {
  return { discovery: { consul: { tag } } }
}
