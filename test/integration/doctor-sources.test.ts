/** Does the doctor find what is wrong in each registry, in the real one, and between several of them? */

import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { doctor } from '../../src/commands/doctor.ts'
import { freePort, startConsul } from '../support/consul.ts'
import { startDnsmasq } from '../support/dnsmasq.ts'
import { dnsmasqLacks } from '../support/dnsmasq-binary.ts'
import { type EtcdCluster, startEtcd } from '../support/etcd.ts'
import { etcdLacks } from '../support/etcd-binary.ts'
import { type EurekaServerProcess, findEureka, startEureka } from '../support/eureka.ts'
import { listenOnLoopback } from '../support/loopback.ts'
import { waitFor } from '../support/wait.ts'
import { startZookeeper, type Zookeeper } from '../support/zookeeper.ts'
import { zookeeperLacks } from '../support/zookeeper-binary.ts'

const lacksEtcd = await etcdLacks()
const lacksDnsmasq = await dnsmasqLacks()
const lacksZookeeper = await zookeeperLacks()
const lacksEureka = await findEureka().then(
  () => null,
  (error: Error) => error.message,
)
const named = (what: string, lacks: string | null) => `${what}${lacks === null ? '' : ` (skipped: ${lacks})`}`

/** Whatever has to be ended after a test, and after all of them. */
const cleanups: (() => Promise<unknown>)[] = []
const lastly: (() => Promise<unknown>)[] = []
/** Where something answers, and where nothing does. */
let open = 0
let closed = 0

beforeAll(async () => {
  open = await listenOnLoopback(
    createServer((_, response) => void response.end()),
    lastly,
  )
  closed = await freePort()
})
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})
afterAll(async () => {
  for (const cleanup of lastly) await cleanup()
})

interface Found {
  readonly kind: string
  readonly severity: string
  readonly source?: string
  readonly service: string | null
  readonly what: string
  readonly cure: string
  readonly instances: readonly { readonly id: string; readonly note: string | null }[]
  readonly details?: readonly string[]
}

/** Asks for JSON, with these settings in place of a file. */
async function ask(set: readonly string[], service: string | null = null) {
  let text = ''
  const options = { kind: 'doctor', service, httpPath: null, watchMs: 0, json: true, file: null } as const
  const code = await doctor({ ...options, flags: { set } }, {}, (piece) => {
    text += piece
  })
  return {
    code,
    ...(JSON.parse(text) as { findings: Found[]; services: number; instances: number; sources: object[] }),
  }
}

/** Loopback is all that a test may connect to, and is told each time. */
function lines(findings: readonly Found[]): string[] {
  return findings
    .filter(({ kind }) => kind !== 'loopback-address')
    .map(({ severity, kind, service, instances }) => {
      return [severity, kind, service ?? '-', ...instances.map(({ id }) => id)].join(' ')
    })
    .sort()
}

function only(findings: readonly Found[], kind: string): Found {
  const found = findings.filter((each) => each.kind === kind)
  expect(found).toHaveLength(1)
  return found[0] as Found
}

describe.skipIf(lacksEtcd !== null)(named('a real etcd', lacksEtcd), () => {
  let etcd: EtcdCluster
  let lease = ''
  let tests = 0
  beforeAll(async () => {
    etcd = await startEtcd()
    lastly.push(etcd.stop)
    lease = await etcd.lease(600)
  }, 60_000)

  /** Each test has a prefix of its own. */
  function below() {
    tests += 1
    const prefix = `/test-${tests}`
    return {
      put: (key: string, value: string, on: string | undefined = lease) => etcd.put(`${prefix}/${key}`, value, on),
      loose: (key: string, value: string) => etcd.put(`${prefix}/${key}`, value),
      source: (...more: string[]) => [
        ...['discovery.source=etcd', `discovery.etcd.endpoints=['${etcd.url}']`, `discovery.etcd.prefix=${prefix}`],
        ...more,
      ],
      prefix,
    }
  }

  test('keys on leases that lead somewhere are well, and so says the exit code', async () => {
    const { put, source } = below()
    await put('well/a', `127.0.0.1:${open}`)
    const { code, findings, services, instances } = await ask(source())
    // Who asks over the loopback address may mean it.
    expect([code, findings.map(({ kind }) => kind), services, instances]).toEqual([1, ['loopback-address'], 1, 1])
  })

  test('a key without a lease, a closed port, one place twice, a value that is none, a key that names nothing', async () => {
    const { put, loose, source, prefix } = below()
    await loose('web/kept', `127.0.0.1:${open}`)
    await put('web/gone', `127.0.0.1:${closed}`)
    await put('twice/a', `127.0.0.1:${open}`)
    await put('twice/b', `127.0.0.1:${open}`)
    await put('odd/a', 'out of order')
    await put('stray', 'no service')
    const { code, findings } = await ask(source())
    expect([code, lines(findings)]).toEqual([
      1,
      [
        'error none-in-rotation odd a',
        'error refused web gone',
        'error shared-address twice a b',
        'warning bad-entries -',
        'warning bad-registration odd a',
        'warning permanent-entry web kept',
      ],
    ])
    expect(only(findings, 'bad-entries').details?.[0]).toContain(`${prefix}/stray`)
    expect(only(findings, 'refused').what).toContain('etcd has its key all the same')
    expect(findings.every((each) => each.source === 'etcd')).toBe(true)
  })

  test('a prefix below which there is nothing is told with the prefix', async () => {
    const { source, prefix } = below()
    const { findings } = await ask(source())
    expect(lines(findings)).toEqual(['error empty-catalog -'])
    expect(findings[0]).toMatchObject({
      what: expect.stringContaining(`${prefix}/`),
      cure: expect.stringContaining('discovery.etcd.prefix'),
    })
  })

  test('one that is left out is told when it is asked for, and is left out else', async () => {
    const { put, source } = below()
    await put('left/a', `127.0.0.1:${closed}`)
    await put('web/a', `127.0.0.1:${open}`)
    const leave = "discovery.etcd.exclude=['le*']"
    expect(lines((await ask(source(leave), 'left')).findings)).toEqual(['error excluded left', 'error refused left a'])
    const { findings, services, sources } = await ask(source(leave))
    expect([lines(findings), services, sources]).toMatchObject([[], 1, [{ excluded: 1 }]])
    expect(lines((await ask(source(), 'wbe')).findings)).toEqual(['error unknown-service wbe'])
  })

  test('a member that does not answer is a warning beside one that does, an error alone', async () => {
    const { put, source } = below()
    await put('web/a', `127.0.0.1:${open}`)
    const dead = `http://127.0.0.1:${closed}`
    const both = await ask(source(`discovery.etcd.endpoints=['${dead}','${etcd.url}']`))
    expect(lines(both.findings)).toEqual(['warning unreadable -'])
    const alone = await ask(source(`discovery.etcd.endpoints=['${dead}']`))
    expect(lines(alone.findings)).toEqual(['error unreadable -'])
    expect(alone.findings[0]?.cure).toContain('discovery.etcd.endpoints')
  })
})

describe.skipIf(lacksEureka !== null)(named('a real Eureka server', lacksEureka), () => {
  let eureka: EurekaServerProcess
  const source = (...more: string[]) => ['discovery.source=eureka', `discovery.eureka.urls=['${eureka.url}']`, ...more]
  beforeAll(async () => {
    eureka = await startEureka()
    lastly.push(eureka.stop)
  }, 120_000)

  /** Registers instances, one a line, and waits until its cache of answers has all; they are gone after the test. */
  async function register(...all: readonly [app: string, id: string, port: number, fields?: object][]): Promise<void> {
    const answers = () => eureka.send('GET', '/apps')
    const isShown = async (wanted: boolean) => {
      const text = await answers()
      return all.every(([, id]) => text.includes(`"${id}"`) === wanted)
    }
    cleanups.push(async () => {
      for (const [app, id] of all) await eureka.send('DELETE', `/apps/${app}/${id}`)
      await waitFor('they are gone from the answers', () => isShown(false))
    })
    for (const [app, id, port, fields = {}] of all) {
      const own = { hostName: '127.0.0.1', vipAddress: app.toLowerCase(), leaseInfo: { durationInSecs: 600 } }
      await eureka.register(app, id, port, { ...own, ...fields })
    }
    await waitFor('they are in the answers', () => isShown(true))
  }
  const secure = { port: { $: 80, '@enabled': 'false' }, securePort: { $: 443, '@enabled': 'true' } }

  test('one that has just been started knows nobody', async () => {
    const { findings } = await ask(source())
    expect(lines(findings)).toEqual(['error empty-catalog -'])
    expect(findings[0]?.cure).toContain('restarted')
  })

  test('tells of each instance when it beat last, which is what missed beats are told by', async () => {
    await register(['WEB', 'web-1', open], ['WEB', 'web-2', open])
    const beats = async () => {
      const { applications } = JSON.parse(await eureka.send('GET', '/apps'))
      const instances: { instanceId: string; leaseInfo: { lastRenewalTimestamp: number } }[] =
        applications.application[0].instance
      return new Map(instances.map(({ instanceId, leaseInfo }) => [instanceId, leaseInfo.lastRenewalTimestamp]))
    }
    const before = (await beats()).get('web-1') ?? 0
    expect(before).toBeGreaterThan(0)
    // Another status makes its cache anew, which a beat does not.
    await eureka.send('PUT', '/apps/WEB/web-1')
    await eureka.send('PUT', '/apps/WEB/web-2/status?value=DOWN')
    await waitFor('the beat is seen', async () => ((await beats()).get('web-1') ?? 0) > before)
  })

  test('all DOWN or STARTING, a closed port, only a secure port, another vipAddress, none', async () => {
    await register(
      ['WELL', 'well-1', open],
      ['SHUT', 'shut-1', closed],
      ['ILL', 'ill-1', open, { status: 'DOWN' }],
      ['ILL', 'ill-2', closed, { status: 'STARTING' }],
      ['SAFE', 'safe-1', 80, secure],
      ['OTHER', 'other-1', open, { vipAddress: 'shop' }],
      ['BARE', 'bare-1', open, { vipAddress: undefined }],
    )
    const { findings } = await ask(source())
    expect(lines(findings)).toEqual([
      'error none-in-rotation ill ill-1 ill-2',
      'error none-in-rotation safe safe-1',
      'error refused shut shut-1',
      'warning answers-though-critical ill ill-1',
      'warning other-vip other',
      'warning secure-port-only safe safe-1',
    ])
    expect(only(findings, 'other-vip').what).toContain('"shop"')
    const down = findings.find(({ service }) => service === 'ill')
    expect(down?.instances.map(({ note }) => note)).toEqual(['its status is DOWN', 'its status is STARTING'])
    const byVip = await ask(source('discovery.eureka.name=vip'))
    expect(lines(byVip.findings)).toContain('warning no-vip - BARE/bare-1')
    expect(lines(byVip.findings)).not.toContain('warning other-vip other')
  })

  test('and what it shares with Consul and with a file is compared: a half-made move, and a place with two names', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'evenkeel-doctor-'))
    cleanups.push(() => rm(folder, { recursive: true }))
    const consul = await startConsul()
    cleanups.push(consul.stop)
    const [second, third] = [createServer(), createServer()]
    const ports = [await listenOnLoopback(second, cleanups), await listenOnLoopback(third, cleanups)] as const
    const check = { TTL: '60m', Status: 'passing' as const }
    const put = (id: string, name: string, port: number) =>
      consul.register({ Name: name, ID: id, Address: '127.0.0.1', Port: port, Check: check })
    await register(['WELL', 'well-1', open], ['SAFE', 'safe-1', 80, secure])
    await put('well-9', 'well', open)
    await put('well-8', 'well', ports[0])
    await put('safe-9', 'safe', ports[0])
    await put('renamed-1', 'renamed', ports[1])
    const path = join(folder, 'catalog.yaml')
    await writeFile(path, `services: { old-name: ['127.0.0.1:${ports[1]}'] }\n`)
    const { findings, sources } = await ask([
      ...source(`discovery.consul.address=${consul.url}`, `discovery.file.path=${path}`),
      ...['discovery.source=[consul, eureka, file]'],
    ])
    expect(lines(findings)).toEqual([
      'warning half-moved well well-8',
      'warning none-in-rotation safe safe-1',
      'warning secure-port-only safe safe-1',
      'warning two-names renamed renamed-1',
    ])
    expect(only(findings, 'half-moved')).toMatchObject({
      what: 'several sources have it, with different endpoints: 2 endpoints in consul, 1 endpoint in eureka',
      instances: [{ note: 'in consul, not in eureka' }],
    })
    expect(only(findings, 'two-names').what).toContain('"old-name" in file')
    expect(sources).toMatchObject([
      { source: 'consul', services: 3, instances: 4 },
      { source: 'eureka', services: 2 },
      { source: 'file', from: path, services: 1, instances: 1 },
    ])
  })
})

describe.skipIf(lacksZookeeper !== null)(named('a real ZooKeeper', lacksZookeeper), () => {
  let all: Zookeeper
  let tests = 0
  const source = ({ connect }: Zookeeper) => ['discovery.source=zookeeper', `discovery.zookeeper.connect=${connect}`]
  /** Each test has a part of its own. */
  const part = () => {
    tests += 1
    return all.below(`/test-${tests}`)
  }
  beforeAll(async () => {
    all = await startZookeeper()
    lastly.push(all.stop)
  }, 120_000)

  test('a node that is not ephemeral, a closed port, data that names nothing', async () => {
    const zk = part()
    await zk.put('/services/web/kept', `127.0.0.1:${open}`)
    await zk.put('/services/odd', '')
    const session = await zk.session()
    await session.create('/services/web/gone', `127.0.0.1:${closed}`)
    await session.create('/services/odd/a', 'out of order')
    const { findings } = await ask(source(zk))
    expect(lines(findings)).toEqual([
      'error none-in-rotation odd a',
      'error refused web gone',
      'warning bad-registration odd a',
      'warning permanent-entry web kept',
    ])
  })

  test('a path that is not there is told with its cure, one below which there is nothing with its path', async () => {
    const zk = part()
    const [missing] = (await ask(source(zk))).findings
    expect(missing).toMatchObject({ kind: 'unreadable', cure: expect.stringContaining('discovery.zookeeper.path') })
    await zk.put('/services', '')
    const { findings } = await ask(source(zk))
    expect(lines(findings)).toEqual(['error empty-catalog -'])
    expect(findings[0]?.what).toContain('/services): nothing is there')
  })
})

describe.skipIf(lacksDnsmasq !== null)(named('a real dnsmasq', lacksDnsmasq), () => {
  test('a name that is not there, one of another kind, a time to live of 0, and resolvers that differ or are away', async () => {
    const records = ['host-record=web.test,127.0.0.1,0', 'srv-host=_http._tcp.shop.test,web.test,1']
    const [one, other] = [await startDnsmasq(records), await startDnsmasq(records.slice(1))]
    cleanups.push(one.stop, other.stop)
    const services = {
      web: { a: 'web.test', port: open },
      shut: { a: 'web.test', port: closed },
      typo: { a: 'wbe.test', port: open },
      kind: { srv: 'web.test' },
      six: { aaaa: 'web.test', port: open },
    }
    const set = (resolvers: readonly string[], more: object = {}) => [
      ...['discovery.source=dns', `discovery.dns.resolvers=${JSON.stringify(resolvers)}`],
      `discovery.dns.services=${JSON.stringify({ ...services, ...more })}`,
    ]
    const alone = await ask(set([one.resolver]))
    expect(lines(alone.findings)).toEqual([
      'error no-such-name kind',
      'error no-such-name six',
      'error no-such-name typo',
      'error refused shut web.test',
      'warning short-ttl shut',
      'warning short-ttl web',
    ])
    const dead = `127.0.0.1:${closed}`
    const both = await ask(set([dead, one.resolver, other.resolver]), 'web')
    expect(lines(both.findings)).toEqual([
      'error resolvers-differ web',
      'warning resolver-failing -',
      'warning short-ttl web',
    ])
    expect(only(both.findings, 'resolvers-differ').what).toBe(
      `${one.resolver} knows the name, ${other.resolver} does not`,
    )
    const none = await ask(set([dead]), 'web')
    expect(lines(none.findings)).toEqual(['error resolver-failing -', 'error unreadable web'])
  })
})

describe('a file', () => {
  async function file(text: string): Promise<readonly string[]> {
    const folder = await mkdtemp(join(tmpdir(), 'evenkeel-doctor-'))
    cleanups.push(() => rm(folder, { recursive: true }))
    const path = join(folder, 'catalog.yaml')
    await writeFile(path, text)
    return ['discovery.source=file', `discovery.file.path=${path}`]
  }

  test('in which nothing is wrong', async () => {
    const { code, findings, instances } = await ask(await file(`services: { web: ['127.0.0.1:${open}'] }\n`))
    expect([code, lines(findings), instances]).toEqual([0, [], 1])
  })

  test('that is wrong: every problem, each with its line', async () => {
    const text = `services:\n  web: ['127.0.0.1:${open}', 'nowhere']\n  api:\n    - { address: 127.0.0.1, prot: 1 }\n`
    const { code, findings } = await ask(await file(text))
    expect([code, lines(findings)]).toEqual([1, ['error bad-file -']])
    const { details = [] } = only(findings, 'bad-file')
    expect(details.map((line) => line.slice(0, 8))).toEqual(['line 4: ', 'line 4: ', 'line 2: '])
    expect(details.join('\n')).toContain('nowhere')
  })

  test('that is not there', async () => {
    const [source = ''] = await file('')
    const { findings } = await ask([source, 'discovery.file.path=/nonexistent/evenkeel.yaml'])
    expect(lines(findings)).toEqual(['error unreadable -'])
    expect(findings[0]?.what).toContain('there is no such file')
  })
})

test('no password of a registry is told', async () => {
  const { findings, sources } = await ask([
    ...['discovery.source=[eureka, etcd]', `discovery.eureka.urls=['http://anna:s3cret-1@127.0.0.1:${closed}/eureka']`],
    ...[`discovery.etcd.endpoints=['http://127.0.0.1:${closed}']`, 'discovery.etcd.user=anna'],
    'discovery.etcd.password=s3cret-2',
  ])
  expect(lines(findings)).toEqual(['error unreadable -', 'error unreadable -'])
  expect(JSON.stringify([findings, sources])).not.toContain('s3cret')
})

test('what was pushed cannot be judged where no proxy runs', async () => {
  const { code, findings } = await ask(['discovery.source=push', `admin.port=${closed}`])
  expect([code, lines(findings)]).toEqual([1, ['warning unreadable -']])
  expect(findings[0]?.what).toContain('cannot be judged')
})
