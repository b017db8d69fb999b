import { describe, expect, test } from 'vitest'
import { redactedConfig } from '../../src/config/convert.ts'
import { parseConfig } from '../../src/config/load.ts'
import { restartOnlyChanges } from '../../src/config/reload.ts'
import { accepted, configOf } from './support.ts'

describe('the redacted config', () => {
  const odd = `
    listen: {host: "::1", port: 1}
    discovery: {source: static, consul: {datacenter: d, exclude: [], tag: t}, static: {services: {a: ["10.0.0.1:80"]}}}
    routing: {basePath: /api, stripPrefix: false}
    upstream: {keepAlive: true, close: rst, connectTimeout: 250ms}
    outlier: {enforce: false, faultStatuses: [429, 500-599, 502, 599], faultRate: null, maxEjectedShare: 0.5%}
    retry: {budget: 7%, statuses: [503]}
    limits: {headerBytes: 1000B, bodyBytes: 2GiB}
    trustedProxies: [10.0.0.0/8]
    shutdown: {drainDelay: 90s}
    services: {b: {outlier: {faultRate: {threshold: 10%}}, routing: {stripPrefix: true}}, "c.d": {}}`

  test.each([
    ['of all defaults', ''],
    ['of a config that is odd in every section', odd],
  ])('%s is a file that says the same', (_, yaml) => {
    const shown = redactedConfig(configOf(yaml))
    const again = parseConfig(JSON.stringify(shown), 'again.json')
    expect(redactedConfig(accepted(again))).toEqual(shown)
  })

  test('is in the units and under the names of the file', () => {
    const shown = redactedConfig(configOf(odd))
    expect(shown).toMatchObject({
      upstream: { close: 'rst', connectTimeout: '250ms', idleTimeout: '1m' },
      outlier: { faultStatuses: [429, '500-599'], faultRate: null, maxEjectedShare: '0.5%' },
      limits: { headerBytes: '1000B', bodyBytes: '2GiB' },
      services: { b: { outlier: { faultRate: { threshold: '10%', minRequests: 20, window: '10s' } } } },
    })
  })

  test('has no secret', () => {
    const { discovery, ...rest } = configOf('discovery: {consul: {token: secret-1}}')
    const tls = { ca: 'PEM of the CA', cert: 'PEM of us', key: 'secret-2' }
    const consul = { ...discovery.consul, tls, address: 'https://me:secret-3@host' }
    const shown = redactedConfig({ ...rest, discovery: { ...discovery, consul } })
    expect(JSON.stringify(shown)).not.toContain('secret')
    expect(shown).toMatchObject({
      discovery: {
        consul: { address: 'https://***@host', token: '***', tls: { key: '***', ca: '(PEM text of 13 characters)' } },
      },
    })
  })

  test('has no secret of a registry, and reads as a config again', () => {
    const shown = redactedConfig(
      configOf(`
discovery:
  eureka: { user: ops, password: s3cret }
  etcd: { user: ops, password: s3cret }
  zookeeper: { auth: 'ops:s3:cret' }
`),
    )
    expect(JSON.stringify(shown)).not.toMatch(/s3|cret/)
    expect(shown).toMatchObject({
      discovery: { eureka: { password: '***' }, etcd: { password: '***' }, zookeeper: { auth: 'ops:***' } },
    })
    expect(redactedConfig(configOf(JSON.stringify(shown)))).toEqual(shown)
  })

  test.each(['me:a98765@host', 'me:9@98765@host', 'me:"98765@host', "me:'98765@host", '98765@host'])(
    'has nothing of the credentials in the URL of a server: %s',
    (authority) => {
      const { discovery } = configOf(
        JSON.stringify({ discovery: { eureka: { urls: [`http://${authority}/eureka`] } } }),
      )
      expect(new URL(discovery.eureka.urls[0] ?? '').hostname).toBe('host')
      const shown = redactedConfig({ ...configOf(''), discovery })
      expect(shown).toMatchObject({ discovery: { eureka: { urls: ['http://***@host/eureka'] } } })
    },
  )
})

describe('a change needs a restart', () => {
  test.each([
    ['of nothing', '', []],
    ['of a port', 'listen: {port: 1}', ['listen.port']],
    ['of both hosts', 'listen: {host: "::"}\nadmin: {host: "::"}', ['listen.host', 'admin.host']],
    ['of no source', 'discovery: {source: [static, consul]}', []],
    ['of limits', 'limits: {bodyBytes: 1MiB, headerCount: 5}', ['limits.headerCount', 'limits.bodyBytes']],
    ['of nothing in Consul', 'discovery: {consul: {address: "http://a:1", token: t}}', []],
    ['of no static service', 'discovery: {static: {services: {a: ["10.0.0.1:80"]}}}', []],
    [
      'of nothing that requests are treated by',
      'routing: {basePath: /a}\nupstream: {keepAlive: true, close: rst}\noutlier: {enforce: false}\nretry: {attempts: 0}',
      [],
    ],
    [
      'of nothing else',
      'trustedProxies: [10.0.0.1]\naccessLog: {query: true}\nlog: {level: warn}\nshutdown: {drainDelay: 1s}\nservices: {a: {}}',
      [],
    ],
  ])('%s', (_, yaml, paths) => {
    expect(restartOnlyChanges(configOf(''), configOf(yaml))).toEqual(paths)
    expect([...restartOnlyChanges(configOf(yaml), configOf(''))].sort()).toEqual([...paths].sort())
  })
})
