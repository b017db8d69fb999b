import { describe, expect, test } from 'vitest'
import { configOf, problemsOf } from './support.ts'

const duration = 'must be a duration such as 250ms, 2s, 5m or 1h, from 1ms to 24h'
const status = 'must be a status from 100 to 599, or a range of them such as 500-599'
const url = 'must be an http:// or https:// URL of host and port only, e.g. http://127.0.0.1:8500'
const path =
  "must be '' or a path that starts with a slash and ends without one, without '..', '%' or blanks, e.g. /api"
const cidr = 'must be an IP address or a CIDR, e.g. 10.0.0.0/8, fd00::/8 or 127.0.0.1'
const hostPort = 'must be host:port or [IPv6]:port with a port from 1 to 65535'
const hostOnly = 'must be an address or a host name without a port, e.g. 0.0.0.0, :: or localhost'

describe('one value is refused', () => {
  test.each([
    ['listen: {port: 65536}', 'listen.port: found 65536, must be a whole number from 0 to 65535'],
    ['listen: {port: -1}', 'listen.port: found -1, must be a whole number from 0 to 65535'],
    ['listen: {port: 80.5}', 'listen.port: found 80.5, must be a whole number from 0 to 65535'],
    ['listen: {port: "80"}', 'listen.port: found "80", must be a whole number from 0 to 65535'],
    ['listen: {port: null}', 'listen.port: found null, must be a whole number from 0 to 65535'],
    ['listen: {host: "localhost:80"}', `listen.host: found "localhost:80", ${hostOnly}`],
    ['listen: {host: 1.2.3}', `listen.host: found "1.2.3", ${hostOnly}`],
    ['listen: {host: ""}', `listen.host: found "", ${hostOnly}`],
    ['listen: 80', 'listen: found 80, must be a section with the keys host, port'],
    ['listen: []', 'listen: found [], must be a section with the keys host, port'],
    ['workers: 4', 'workers: found 4, must be 1: several workers come in a later version'],
    ['workers: auto', 'workers: found "auto", must be 1: several workers come in a later version'],
    ['engine: wires', 'engine: found "wires", must be one of http-proxy, wire'],
    ['log: {level: loud}', 'log.level: found "loud", must be one of trace, debug, info, warn, error, fatal, silent'],
    [
      'discovery: {source: k8s}',
      'discovery.source: found "k8s", must be one of consul, eureka, etcd, zookeeper, swarm, dns, file, push, static, or a list of them, none of them twice',
    ],
    [
      'discovery: {source: []}',
      'discovery.source: found [], must be one of consul, eureka, etcd, zookeeper, swarm, dns, file, push, static, or a list of them, none of them twice',
    ],
    [
      'discovery: {source: [etcd, consul, etcd]}',
      'discovery.source: found ["etcd","consul","etcd"], must be one of consul, eureka, etcd, zookeeper, swarm, dns, file, push, static, or a list of them, none of them twice',
    ],
    ['discovery: {source: file}', 'discovery.file.path: found null, must name a file, for discovery.source has file'],
    [
      'discovery: {source: [consul, dns]}',
      'discovery.dns.services: found {}, must name a service at least, for discovery.source has dns',
    ],
    [
      'discovery: {dns: {services: {web: {a: web.example}}}}',
      'discovery.dns.services.web: found {"a":"web.example"}, must be { srv: NAME }, { a: NAME, port: N } or { aaaa: NAME, port: N }',
    ],
    [
      'discovery: {eureka: {urls: ["http://a:%zz@h/eureka"]}}',
      'discovery.eureka.urls[0]: found "http://***@h/eureka", must be an http:// or https:// URL, e.g. http://127.0.0.1:8761/eureka, with what is in it percent-encoded',
    ],
    ['discovery: {eureka: {urls: []}}', 'discovery.eureka.urls: found [], must be at least one URL'],
    ['discovery: {eureka: {user: a}}', 'discovery.eureka.password: found null, must be given along with user'],
    [
      'discovery: {etcd: {tls: {cert: null, key: null}, password: secret}}',
      'discovery.etcd.user: found null, must be given along with password',
    ],
    [
      'discovery: {zookeeper: {connect: "zk1:2181,:1"}}',
      'discovery.zookeeper.connect: found "zk1:2181,:1", must be host:port of each server, separated by commas, and perhaps a path behind them, e.g. zk1:2181,zk2:2181',
    ],
    ['discovery: {zookeeper: {auth: me}}', 'discovery.zookeeper.auth: found ***, must be null or user:password'],
    [
      'discovery: {swarm: {host: /var/run/docker.sock}}',
      'discovery.swarm.host: found "/var/run/docker.sock", must be unix:///path/of/docker.sock or tcp://host:port',
    ],
    ['upstream: {connectTimeout: 2}', `upstream.connectTimeout: found 2, ${duration}`],
    ['upstream: {connectTimeout: 0s}', `upstream.connectTimeout: found "0s", ${duration}`],
    ['upstream: {connectTimeout: 25h}', `upstream.connectTimeout: found "25h", ${duration}`],
    ['upstream: {connectTimeout: soon}', `upstream.connectTimeout: found "soon", ${duration}`],
    ['upstream: {keepAlive: 1}', 'upstream.keepAlive: found 1, must be true or false'],
    ['upstream: {close: reset}', 'upstream.close: found "reset", must be one of fin, rst'],
    ['outlier: {consecutiveFaults: 0}', 'outlier.consecutiveFaults: found 0, must be a whole number from 1 to 1000000'],
    ['outlier: {maxEjectedShare: 101%}', 'outlier.maxEjectedShare: found "101%", must be a share from 0% to 100%'],
    ['outlier: {maxEjectedShare: 0.5}', 'outlier.maxEjectedShare: found 0.5, must be a share from 0% to 100%'],
    [
      'outlier: {faultRate: {threshold: 0%}}',
      'outlier.faultRate.threshold: found "0%", must be a share above 0% and up to 100%',
    ],
    ['outlier: {faultStatuses: [600]}', `outlier.faultStatuses[0]: found 600, ${status}`],
    ['outlier: {faultStatuses: [500, 599-500]}', `outlier.faultStatuses[1]: found "599-500", ${status}`],
    ['outlier: {faultStatuses: [true]}', `outlier.faultStatuses[0]: found true, ${status}`],
    [
      'outlier: {faultStatuses: 500-599}',
      'outlier.faultStatuses: found "500-599", must be a list of statuses and ranges, e.g. [500-599, 429]',
    ],
    ['retry: {attempts: 11}', 'retry.attempts: found 11, must be a whole number from 0 to 10'],
    ['retry: {statuses: [200]}', 'retry.statuses[0]: found 200, must be a whole number from 400 to 599'],
    ['retry: {statuses: 502}', 'retry.statuses: found 502, must be a list, e.g. [502, 503, 504]'],
    [
      'limits: {headerBytes: 16KB}',
      'limits.headerBytes: found "16KB", must be a size such as 512B, 16KiB, 1MiB or 1GiB, from 512B to 1MiB',
    ],
    ['limits: {maxConnections: 0}', 'limits.maxConnections: found 0, must be a whole number from 1 to 1000000'],
    ['routing: {basePath: api}', `routing.basePath: found "api", ${path}`],
    ['routing: {basePath: /api/}', `routing.basePath: found "/api/", ${path}`],
    ['routing: {basePath: /}', `routing.basePath: found "/", ${path}`],
    ['routing: {basePath: //a}', `routing.basePath: found "//a", ${path}`],
    ['routing: {basePath: /a/../b}', `routing.basePath: found "/a/../b", ${path}`],
    ['routing: {basePath: /..}', `routing.basePath: found "/..", ${path}`],
    ['routing: {basePath: /a%20b}', `routing.basePath: found "/a%20b", ${path}`],
    ['routing: {basePath: "/a b"}', `routing.basePath: found "/a b", ${path}`],
    ['routing: {basePath: "/a?b"}', `routing.basePath: found "/a?b", ${path}`],
    ['trustedProxies: [10.0.0.0/33]', `trustedProxies[0]: found "10.0.0.0/33", ${cidr}`],
    ['trustedProxies: ["fd00::/129"]', `trustedProxies[0]: found "fd00::/129", ${cidr}`],
    ['trustedProxies: [10.0.0.0/]', `trustedProxies[0]: found "10.0.0.0/", ${cidr}`],
    ['trustedProxies: [10.0.0/8]', `trustedProxies[0]: found "10.0.0/8", ${cidr}`],
    ['trustedProxies: [localhost]', `trustedProxies[0]: found "localhost", ${cidr}`],
    ['discovery: {consul: {address: localhost:8500}}', `discovery.consul.address: found "localhost:8500", ${url}`],
    ['discovery: {consul: {address: "ftp://a"}}', `discovery.consul.address: found "ftp://a", ${url}`],
    ['discovery: {consul: {address: "http://a/b"}}', `discovery.consul.address: found "http://a/b", ${url}`],
    ['discovery: {consul: {address: "http://a?b"}}', `discovery.consul.address: found "http://a?b", ${url}`],
    ['discovery: {consul: {address: "http://a:0"}}', `discovery.consul.address: found "http://a:0", ${url}`],
    ['discovery: {consul: {address: "http://a:99999"}}', `discovery.consul.address: found "http://a:99999", ${url}`],
    ['discovery: {consul: {address: "http://u:p@a"}}', `discovery.consul.address: found "http://***@a", ${url}`],
    ['discovery: {consul: {include: [""]}}', 'discovery.consul.include[0]: found "", must be a text that is not empty'],
    ['discovery: {consul: {tag: ""}}', 'discovery.consul.tag: found "", must be null or a text that is not empty'],
    ['discovery: {static: {services: []}}', 'discovery.static.services: found [], must be a map of service names'],
    ['discovery: {static: {services: {a: [h]}}}', `discovery.static.services.a[0]: found "h", ${hostPort}`],
    ['discovery: {static: {services: {a: [h:0]}}}', `discovery.static.services.a[0]: found "h:0", ${hostPort}`],
    ['discovery: {static: {services: {a: ["::1:80"]}}}', `discovery.static.services.a[0]: found "::1:80", ${hostPort}`],
    ['services: {"a/b": {}}', 'services["a/b"]: found "a/b", must be a service name without slashes or blanks'],
    ['services: {a: {upstream: {idleTimeout: 0s}}}', `services.a.upstream.idleTimeout: found "0s", ${duration}`],
    [
      'services: {a: 1}',
      'services.a: found 1, must be a section with the keys upstream, outlier, retry, routing, balancing, failover',
    ],
  ])('%s', (yaml, line) => {
    expect(problemsOf(yaml)).toEqual([`file x.yaml:1: ${line}`])
  })
})

describe('an unknown key is refused', () => {
  test.each([
    ['upstream: {conectTimeout: 2s}', 'upstream.conectTimeout: found "2s", unknown key, did you mean connectTimeout?'],
    ['connectTimeout: 2s', 'connectTimeout: found "2s", unknown key, did you mean upstream.connectTimeout?'],
    ['services: {a: {retry: {atempts: 1}}}', 'services.a.retry.atempts: found 1, unknown key, did you mean attempts?'],
    ['services: {__proto__: {}}', 'services.__proto__: found {}, unknown key'],
    ['listen: {__proto__: {port: 1}}', 'listen.__proto__: found {"port":1}, unknown key'],
    ['listen: {constructor: 1}', 'listen.constructor: found 1, unknown key, here may stand host, port'],
  ])('%s', (yaml, line) => {
    expect(problemsOf(yaml)).toEqual([`file x.yaml:1: ${line}`])
  })
})

describe('values that contradict one another', () => {
  test.each([
    [
      'listen: {port: 81}\nadmin: {port: 81}',
      'file x.yaml:2: admin.port: found 81, must differ from listen.port: both listeners would want the same one',
    ],
    [
      'outlier: {baseEjectionTime: 10m}',
      'file x.yaml:1: outlier.maxEjectionTime: found "5m", must be at least baseEjectionTime, 10m',
    ],
    [
      'services: {a: {outlier: {maxEjectionTime: 10s}}}',
      'file x.yaml:1: services.a.outlier.maxEjectionTime: found "10s", must be at least baseEjectionTime, 30s',
    ],
  ])('%j', (yaml, line) => {
    expect(problemsOf(yaml)).toEqual([line])
  })

  test.each([
    ['any free port twice', 'listen: {port: 0}\nadmin: {port: 0}'],
    ['one port on two addresses', 'listen: {port: 81, host: 10.0.0.1}\nadmin: {port: 81}'],
  ])('%s do not', (_, yaml) => {
    expect(problemsOf(yaml)).toEqual([])
  })
})

test('all problems are told at once, each with its own line', () => {
  const yaml = 'listen:\n  prot: 80\n  host: 5\nretry:\n  budget: much\ntrustedProxies:\n  - 10.0.0.1\n  - nobody\n'
  expect(problemsOf(yaml).map((line) => line.split(': found')[0])).toEqual([
    'file x.yaml:3: listen.host',
    'file x.yaml:2: listen.prot',
    'file x.yaml:5: retry.budget',
    'file x.yaml:8: trustedProxies[1]',
  ])
})

describe('no problem shows a secret', () => {
  test.each([
    ['a token of the wrong type', 'discovery: {consul: {token: 98765}}'],
    ['a token with a blank', 'discovery: {consul: {token: "a 98765"}}'],
    ['a misspelled token', 'discovery: {consul: {tokn: "98765"}}'],
    ['a token in the wrong section', 'listen: {consul: {token: "98765"}}'],
    ['a password in an address', 'discovery: {consul: {address: "https://me:98765@host"}}'],
    ['a password with an @ in an address', 'discovery: {consul: {address: "https://me:9@98765@host"}}'],
    ['a password with a quote', `discovery: {etcd: {endpoints: ['https://me:"98765@host']}}`],
    ['a password with a slash', 'discovery: {eureka: {urls: ["https://me:a/98765@host/eureka"]}}'],
    ['a password with a blank', 'discovery: {eureka: {urls: ["https://me:98765 a@host/eureka"]}}'],
    [
      'passwords in a list that is none',
      'discovery: {eureka: {urls: "https://me:98765@a/eureka,https://me:98765@b/eureka"}}',
    ],
    ['an address without its scheme', 'discovery: {etcd: {endpoints: ["me:98765@host:2379"]}}'],
    ['a password that no address of ZooKeeper has', 'discovery: {zookeeper: {connect: "me:98765@host:2181"}}'],
    ['a password under another name', 'discovery: {etcd: {pass: "98765", pwd: "98765"}}'],
    [
      'a key pasted into one line where its path belongs',
      'discovery: {etcd: {tls: {key: "-----BEGIN 98765", cert: c}}}',
    ],
    ['a key pasted where its path belongs', 'discovery: {consul: {tls: {key: "-----BEGIN\\n98765"}}}'],
  ])('%s', (_, yaml) => {
    const lines = problemsOf(yaml)
    expect(lines.join('\n')).toContain('***')
    expect(lines.join('\n')).not.toContain('98765')
  })

  test.each(['*98765', '!98765', '!!98765', '!98765!', '!<98765>', '|98765', '>98765'])(
    'nor does the parser: a password without the quotes that it needs, %s',
    (password) => {
      const [line = '', ...more] = problemsOf(`discovery:\n  etcd:\n    password: ${password}\n`)
      expect(line).toContain('needs quotes')
      expect([line, ...more].join('\n')).not.toContain('98765')
    },
  )

  test('and a long value is cut', () => {
    expect(problemsOf(`engine: ${'x'.repeat(500)}`)[0]?.length).toBeLessThan(200)
  })
})

describe('the parsed options', () => {
  test('name each status that is a fault', () => {
    const { isFaultStatus } = configOf('outlier: {faultStatuses: [500-502, 429]}').outlier
    expect([428, 429, 430, 499, 500, 502, 503].filter(isFaultStatus)).toEqual([429, 500, 502])
    expect(configOf('outlier: {faultStatuses: []}').outlier.isFaultStatus(500)).toBe(false)
  })

  test('take the rest of a fault rate from the default, or have none', () => {
    expect(configOf('outlier: {faultRate: {threshold: 10%}}').outlier.faultRate).toEqual({
      threshold: 0.1,
      minRequests: 20,
      windowMs: 10_000,
    })
    expect(configOf('outlier: {faultRate: null}').outlier.faultRate).toBeNull()
  })

  test('of a service have what it names and nothing else', () => {
    const yaml = 'services: {a: {upstream: {keepAlive: true, idleTimeout: 1s}, routing: {stripPrefix: false}}, b: }'
    const { services } = configOf(yaml)
    expect(services.a).toEqual({
      upstream: { keepAlive: true, idleTimeoutMs: 1_000 },
      outlier: {},
      retry: {},
      routing: { stripPrefix: false },
      balancing: {},
      failover: [],
    })
    expect(services.b).toEqual({ upstream: {}, outlier: {}, retry: {}, routing: {}, balancing: {}, failover: [] })
  })

  test("of a service complete its fault rate from everybody's, or from the default where that is off", () => {
    const rate = (yaml: string) => configOf(yaml).services.a?.outlier.faultRate
    const own = 'services: {a: {outlier: {faultRate: {threshold: 10%}}}}'
    expect(rate(`outlier: {faultRate: {minRequests: 7}}\n${own}`)).toMatchObject({ threshold: 0.1, minRequests: 7 })
    expect(rate(`outlier: {faultRate: null}\n${own}`)).toMatchObject({ threshold: 0.1, minRequests: 20 })
    expect(rate('services: {a: {outlier: {faultRate: null}}}')).toBeNull()
  })

  test('of no service are found under the names that every object has', () => {
    const config = configOf('{}')
    expect(config.services.constructor).toBeUndefined()
    expect(config.discovery.static.services.toString).toBeUndefined()
    expect(configOf('services: {constructor: {retry: {attempts: 0}}}').services.constructor).toBeDefined()
  })

  test('have an address of Consul without its trailing slash', () => {
    expect(configOf('discovery: {consul: {address: "https://[::1]:8501/"}}').discovery.consul.address).toBe(
      'https://[::1]:8501',
    )
  })

  test('are frozen to their depths', () => {
    const config = configOf('services: {a: {retry: {statuses: [502]}}}\ntrustedProxies: [10.0.0.1]')
    const unfrozen = (value: unknown, at: string): string[] => {
      if (typeof value !== 'object' || value === null) return []
      const inner = Object.entries(value).flatMap(([key, item]) => unfrozen(item, `${at}.${key}`))
      return Object.isFrozen(value) ? inner : [at, ...inner]
    }
    expect(unfrozen(config, 'config')).toEqual([])
  })
})
