/**
 * What may stand in a config file, and what holds when it does not?
 *
 * The schema has the shape and the units of the file (`connectTimeout: 2s`); its output is in milliseconds, bytes and
 * shares, still under the file's names. `convert.ts` turns that into the options of the parts.
 */

import type { z } from 'zod'
import { discoverySection } from './discovery-schema.ts'
import {
  basePath,
  cidr,
  duration,
  host,
  listOf,
  nonEmpty,
  nonEmptyOrNull,
  only,
  origin,
  port,
  positiveShare,
  serviceNameText,
  share,
  size,
  statusRanges,
  toggle,
  token,
  whole,
  word,
} from './leaves.ts'
import { byService, complete, keyed, orEmpty, partial, section } from './sections.ts'

const upstream = {
  keepAlive: toggle,
  close: word('fin', 'rst'),
  connectTimeout: duration(1),
  responseTimeout: duration(1),
  idleTimeout: duration(1),
}

const faultRate = {
  threshold: positiveShare,
  minRequests: whole(1, 1_000_000),
  window: duration(10),
}

const completeFaultRate = complete(faultRate, { threshold: '50%', minRequests: 20, window: '10s' })

/** What a service starts from that names a part of its fault rate where all others have none. */
export const defaultFaultRate = completeFaultRate.parse({})

const outlier = {
  enforce: toggle,
  consecutiveFaults: whole(1, 1_000_000),
  consecutiveConnectFaults: whole(1, 1_000_000),
  faultStatuses: statusRanges,
  baseEjectionTime: duration(1),
  maxEjectionTime: duration(1),
  maxEjectedShare: share,
}

const retry = {
  attempts: whole(0, 10),
  budget: share,
  statuses: listOf(whole(400, 599), '[502, 503, 504]'),
}

const balancing = { slowStart: duration(1).nullable() }

const serviceSection = orEmpty(
  keyed({
    upstream: orEmpty(partial(upstream)).prefault({}),
    outlier: orEmpty(partial({ ...outlier, faultRate: partial(faultRate).nullable() })).prefault({}),
    retry: orEmpty(partial(retry)).prefault({}),
    routing: orEmpty(partial({ stripPrefix: toggle })).prefault({}),
    balancing: orEmpty(partial(balancing)).prefault({}),
    failover: listOf(nonEmpty, '[dc2]').prefault([]),
  }),
)

/** The whole file. Parsing `{}` gives every default. */
export const fileSchema = keyed({
  listen: section({ host, port }, { host: '0.0.0.0', port: 8080 }),
  admin: section({ host, port, token: token.nullable() }, { host: '127.0.0.1', port: 8081, token: null }),
  workers: only(1, 'several workers come in a later version').prefault(1),
  engine: word('http-proxy', 'wire').prefault('wire'),
  discovery: discoverySection,
  admission: section({ enabled: toggle, hold: duration(100) }, { enabled: true, hold: '10s' }),
  routing: section(
    { basePath, stripPrefix: toggle, fabioTags: toggle },
    { basePath: '', stripPrefix: true, fabioTags: false },
  ),
  balancing: section(balancing, { slowStart: null }),
  upstream: section(upstream, {
    keepAlive: false,
    close: 'fin',
    connectTimeout: '2s',
    responseTimeout: '30s',
    idleTimeout: '60s',
  }),
  outlier: section(
    { ...outlier, faultRate: completeFaultRate.nullable() },
    {
      enforce: true,
      consecutiveFaults: 5,
      consecutiveConnectFaults: 2,
      faultStatuses: ['500-599'],
      faultRate: {},
      baseEjectionTime: '30s',
      maxEjectionTime: '5m',
      maxEjectedShare: '50%',
    },
  ),
  retry: section(retry, { attempts: 2, budget: '20%', statuses: [] }),
  limits: section(
    {
      headerBytes: size(512, 2 ** 20),
      headerCount: whole(1, 10_000),
      targetBytes: size(16, 2 ** 20),
      bodyBytes: size(0, 2 ** 50).nullable(),
      clientHeaderTimeout: duration(1),
      clientIdleTimeout: duration(1),
      maxConnections: whole(1, 1_000_000),
    },
    {
      headerBytes: '16KiB',
      headerCount: 100,
      targetBytes: '8KiB',
      bodyBytes: null,
      clientHeaderTimeout: '10s',
      clientIdleTimeout: '65s',
      maxConnections: 10_000,
    },
  ),
  trustedProxies: listOf(cidr, "['10.0.0.0/8']").prefault([]),
  accessLog: section(
    { enabled: toggle, sample: share, query: toggle },
    { enabled: true, sample: '100%', query: false },
  ),
  metrics: section({ maxServices: whole(1, 100_000) }, { maxServices: 1_000 }),
  tracing: section({ enabled: toggle, sample: share }, { enabled: false, sample: '100%' }),
  log: section({ level: word('trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent') }, { level: 'info' }),
  shutdown: section({ drainDelay: duration(0), drainTimeout: duration(0) }, { drainDelay: '0s', drainTimeout: '20s' }),
  register: section(
    {
      enabled: toggle,
      name: serviceNameText,
      id: nonEmptyOrNull,
      tags: listOf(nonEmpty, '[edge]'),
      address: host.nullable(),
      port: whole(1, 65_535).nullable(),
      checkUrl: origin.nullable(),
      checkInterval: duration(1000),
      deregisterAfter: duration(60_000),
    },
    {
      enabled: false,
      name: 'evenkeel',
      id: null,
      tags: [],
      address: null,
      port: null,
      checkUrl: null,
      checkInterval: '5s',
      deregisterAfter: '10m',
    },
  ),
  services: byService(serviceSection),
})

/** A file that was accepted: the file's names, internal units. */
export type FileConfig = z.output<typeof fileSchema>
