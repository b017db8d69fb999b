/** What may stand below `discovery`, a section for each registry, and what holds when it does not? */

import { z } from 'zod'
import {
  connectString,
  dnsName,
  dockerHost,
  duration,
  hostPort,
  listOf,
  nonEmpty,
  nonEmptyOrNull,
  origin,
  prefix,
  resolver,
  serverUrl,
  someOf,
  toggle,
  token,
  userAndPassword,
  whole,
  word,
} from './leaves.ts'
import { byService, keyed, orEmpty, section } from './sections.ts'

export const sourceNames = [
  ...(['consul', 'eureka', 'etcd', 'zookeeper', 'swarm', 'dns', 'file', 'push', 'static'] as const),
] as const
export type SourceName = (typeof sourceNames)[number]

const tls = section(
  { ca: nonEmptyOrNull, cert: nonEmptyOrNull, key: nonEmptyOrNull },
  { ca: null, cert: null, key: null },
)

const names = { include: listOf(nonEmpty, "['*']"), exclude: listOf(nonEmpty, '[legacy-*]') }
const allNames = { include: ['*'], exclude: [] }

const port = whole(1, 65_535)

/** What DNS is asked for a service: `{ srv: _http._tcp.web.example }`, or `{ a: tasks.api, port: 8080 }`, or `aaaa`. */
const dnsService = z.union([keyed({ srv: dnsName }), keyed({ a: dnsName, port }), keyed({ aaaa: dnsName, port })], {
  error: '{ srv: NAME }, { a: NAME, port: N } or { aaaa: NAME, port: N }',
})

export const discoverySection = orEmpty(
  keyed({
    source: someOf(sourceNames).prefault('consul'),
    snapshot: nonEmptyOrNull.prefault(null),
    consul: section(
      {
        address: origin,
        token: token.nullable(),
        datacenter: nonEmptyOrNull,
        namespace: nonEmptyOrNull,
        stale: toggle,
        include: listOf(nonEmpty, "['*']"),
        exclude: listOf(nonEmpty, '[consul]'),
        tag: nonEmptyOrNull,
        includeWarning: toggle,
        maxWatches: whole(0, 10_000),
        tls,
      },
      {
        address: 'http://127.0.0.1:8500',
        token: null,
        datacenter: null,
        namespace: null,
        stale: true,
        include: ['*'],
        exclude: ['consul'],
        tag: null,
        includeWarning: true,
        maxWatches: 128,
        tls: {},
      },
    ),
    eureka: section(
      {
        urls: listOf(serverUrl, "['http://127.0.0.1:8761/eureka']").min(1, { error: 'at least one URL' }),
        user: nonEmptyOrNull,
        password: nonEmptyOrNull,
        interval: duration(100),
        name: word('app', 'vip'),
        address: word('host-name', 'ip'),
        securePort: toggle,
        ...names,
        tls,
      },
      {
        urls: ['http://127.0.0.1:8761/eureka'],
        user: null,
        password: null,
        interval: '5s',
        name: 'app',
        address: 'host-name',
        securePort: false,
        ...allNames,
        tls: {},
      },
    ),
    etcd: section(
      {
        endpoints: listOf(origin, "['http://127.0.0.1:2379']").min(1, { error: 'at least one endpoint' }),
        prefix,
        user: nonEmptyOrNull,
        password: nonEmptyOrNull,
        tag: nonEmptyOrNull,
        ...names,
        tls,
      },
      {
        endpoints: ['http://127.0.0.1:2379'],
        prefix: '/services',
        user: null,
        password: null,
        tag: null,
        ...allNames,
        tls: {},
      },
    ),
    zookeeper: section(
      {
        connect: connectString,
        path: prefix,
        auth: userAndPassword.nullable(),
        sessionTimeout: duration(1000),
        ...names,
      },
      { connect: '127.0.0.1:2181', path: '/services', auth: null, sessionTimeout: '10s', ...allNames },
    ),
    swarm: section(
      { host: dockerHost, network: nonEmptyOrNull, label: nonEmpty, ...names, tls },
      { host: 'unix:///var/run/docker.sock', network: null, label: 'evenkeel.port', ...allNames, tls: {} },
    ),
    dns: section(
      {
        services: byService(dnsService),
        resolvers: listOf(resolver, "['10.0.0.2:53']"),
        minInterval: duration(100),
        maxInterval: duration(1000),
      },
      { services: {}, resolvers: [], minInterval: '1s', maxInterval: '30s' },
    ),
    file: section({ path: nonEmptyOrNull }, { path: null }),
    push: section({ maxInstances: whole(1, 100_000), maxTtl: duration(1000) }, { maxInstances: 10_000, maxTtl: '1h' }),
    static: orEmpty(keyed({ services: byService(listOf(hostPort, "['10.0.0.5:8080']")) })).prefault({}),
  }),
).prefault({})
