import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type DecodedAnswer, decodeAnswer, type EurekaInstance } from '../../../src/discovery/eureka/eureka-answer.ts'
import { liveBytes } from '../../support/heap.ts'
import { answerJson, type Fields, instanceJson } from './eureka-answers.ts'

function decode(text: string): DecodedAnswer & { kind: 'answer' } {
  const decoded = decodeAnswer(text)
  if (decoded.kind !== 'answer') throw new Error(JSON.stringify(decoded))
  return decoded
}

function only(fields: Fields): EurekaInstance {
  const { entries } = decode(answerJson([instanceJson(fields)]))
  expect(entries).toHaveLength(1)
  return entries[0]?.instance as EurekaInstance
}

test('an instance is read with all that matters of it', () => {
  expect(decode(answerJson([instanceJson()]))).toEqual({
    kind: 'answer',
    hash: 'UP_1_',
    entries: [
      {
        instance: {
          key: '["WEB","web-1"]',
          app: 'WEB',
          id: 'web-1',
          status: 'UP',
          hostName: 'web-1.internal',
          ipAddr: '10.0.0.1',
          port: { number: 80, enabled: true },
          securePort: { number: 443, enabled: false },
          vipAddress: 'web.vip',
          updatedMs: 1000,
          leaseMs: 90_000,
        },
        isDeleted: false,
      },
    ],
    oddities: [],
  })
})

const xml = `<?xml version="1.0" encoding="UTF-8"?>
<applications>
  <versions__delta>1</versions__delta>
  <apps__hashcode>UP_1_</apps__hashcode>
  <application>
    <name>WEB</name>
    <instance>
      <instanceId>web-1</instanceId>
      <hostName>web-1.internal</hostName>
      <app>WEB</app>
      <ipAddr>10.0.0.1</ipAddr>
      <status>UP</status>
      <overriddenstatus>UNKNOWN</overriddenstatus>
      <port enabled="true">80</port>
      <securePort enabled="false">443</securePort>
      <dataCenterInfo class="com.netflix.appinfo.InstanceInfo$DefaultDataCenterInfo"><name>MyOwn</name></dataCenterInfo>
      <leaseInfo><renewalIntervalInSecs>30</renewalIntervalInSecs><durationInSecs>90</durationInSecs></leaseInfo>
      <metadata class="java.util.Collections$EmptyMap"/>
      <vipAddress>web.vip</vipAddress>
      <lastUpdatedTimestamp>1000</lastUpdatedTimestamp>
      <actionType>ADDED</actionType>
    </instance>
  </application>
</applications>`

test('XML says the same', () => {
  expect(decode(xml)).toEqual(decode(answerJson([instanceJson()])))
})

describe('the forms of an empty registry', () => {
  test.each([
    ['no list', '{"applications":{"versions__delta":"1","apps__hashcode":""}}'],
    ['an empty list', '{"applications":{"versions__delta":"1","apps__hashcode":"","application":[]}}'],
    ['null', '{"applications":{"versions__delta":"1","apps__hashcode":"","application":null}}'],
    ['XML', '<applications><versions__delta>1</versions__delta><apps__hashcode></apps__hashcode></applications>'],
  ])('%s', (_, text) => {
    expect(decode(text)).toEqual({ kind: 'answer', hash: '', entries: [], oddities: [] })
  })
})

test('lists of one without their brackets, as servers before 1.5 write them', () => {
  const application = { name: 'WEB', instance: instanceJson() }
  const text = JSON.stringify({ applications: { apps__hashcode: 'UP_1_', application } })
  expect(decode(text)).toEqual(decode(answerJson([instanceJson()])))
})

describe('what an instance is called', () => {
  test.each<[string, Fields, string]>([
    ['its instanceId', {}, '["WEB","web-1"]'],
    [
      'at Amazon the id of the machine, where servers know no instanceId',
      { instanceId: undefined, dataCenterInfo: { name: 'Amazon', metadata: { 'instance-id': 'i-77' } } },
      '["WEB","i-77"]',
    ],
    ['else its host name', { instanceId: undefined }, '["WEB","web-1.internal"]'],
  ])('%s', (_, fields, key) => {
    expect(only(fields).key).toBe(key)
  })

  test('the application by its instances, where it has no name itself', () => {
    expect(decode(answerJson([instanceJson()], '', undefined)).entries[0]?.instance.app).toBe('WEB')
  })
})

describe('ports', () => {
  test.each<[string, unknown, EurekaInstance['port']]>([
    ['a number', { $: 8080, '@enabled': 'true' }, { number: 8080, enabled: true }],
    ['a number in quotes', { $: '8080', '@enabled': 'true' }, { number: 8080, enabled: true }],
    ['enabled as a real boolean', { $: 8080, '@enabled': true }, { number: 8080, enabled: true }],
    ['disabled', { $: 8080, '@enabled': 'false' }, { number: 8080, enabled: false }],
    ['disabled by a word nobody knows', { $: 8080, '@enabled': 'maybe' }, { number: 8080, enabled: false }],
    ['the plain one is enabled unless it is said', { $: 8080 }, { number: 8080, enabled: true }],
    ['a bare number', 8080, { number: 8080, enabled: true }],
    ['0', { $: 0, '@enabled': 'true' }, { number: null, enabled: true }],
    ['-1, as clients without a port say', { $: -1, '@enabled': 'true' }, { number: null, enabled: true }],
    ['65536', { $: 65_536, '@enabled': 'true' }, { number: null, enabled: true }],
    ['80.5', { $: 80.5, '@enabled': 'true' }, { number: null, enabled: true }],
    ['an object', { $: {}, '@enabled': 'true' }, { number: null, enabled: true }],
    ['none', undefined, { number: null, enabled: true }],
  ])('%s', (_, port, expected) => {
    expect(only({ port }).port).toEqual(expected)
  })

  test('the secure one is disabled unless it is said', () => {
    expect(only({ securePort: { $: 443 } }).securePort).toEqual({ number: 443, enabled: false })
  })
})

describe('leases', () => {
  test.each<[string, unknown, number]>([
    ['of 30 s', { durationInSecs: 30 }, 30_000],
    ['of 30 s in quotes, as XML has them', { durationInSecs: '30' }, 30_000],
    ['that are not said are Eureka’s default', undefined, 90_000],
    ['of 0 as well', { durationInSecs: 0 }, 90_000],
    ['of an hour keep nobody for so long', { durationInSecs: 3600 }, 180_000],
  ])('%s', (_, leaseInfo, leaseMs) => {
    expect(only({ leaseInfo }).leaseMs).toBe(leaseMs)
  })
})

test('a deleted one is told apart', () => {
  const text = answerJson([instanceJson({ actionType: 'DELETED' }), instanceJson({ instanceId: 'b' })])
  expect(decode(text).entries.map(({ isDeleted }) => isDeleted)).toEqual([true, false])
})

describe('an entry is skipped as an oddity, and the others count, when it', () => {
  test.each<[string, unknown]>([
    ['is null', null],
    ['is a text', 'web-1'],
    ['is a list', [instanceJson()]],
    ['has no status', instanceJson({ status: undefined })],
    ['has a status that is no text', instanceJson({ status: 7 })],
    ['has nothing to be called by', instanceJson({ instanceId: '', hostName: '' })],
    ['has an id that is too long to be one', instanceJson({ instanceId: 'x'.repeat(513), hostName: '' })],
  ])('%s', (_, entry) => {
    const { entries, oddities } = decode(answerJson([entry, instanceJson({ instanceId: 'other' })]))
    expect(entries.map(({ instance }) => instance.id)).toEqual(['other'])
    expect(oddities).toMatchObject([{ kind: 'malformed-entry' }])
  })
})

describe('what is no answer of Eureka', () => {
  test.each<[string, string, object]>([
    ['nothing', '', { kind: 'foreign' }],
    ['words', 'ok', { kind: 'foreign' }],
    ['a page', '<!DOCTYPE html><html></html>', { kind: 'foreign' }],
    ['a page without a type', '<html></html>', { kind: 'foreign' }],
    ['a list', '[]', { kind: 'foreign' }],
    ['JSON that is cut off', answerJson([instanceJson()]).slice(0, -3), { kind: 'foreign' }],
    ['another object', '{}', { kind: 'unreadable', message: expect.stringContaining('applications') }],
    ['applications that are a list', '{"applications":[]}', { kind: 'unreadable' }],
    ['applications that know no hash and no list', '{"applications":{}}', { kind: 'unreadable' }],
    ['an application that is a text', '{"applications":{"application":["a"]}}', { kind: 'unreadable' }],
    ['XML of something else', '<?xml version="1.0"?><beans/>', { kind: 'unreadable' }],
    ['empty applications in XML', '<applications/>', { kind: 'unreadable' }],
    ['XML that is cut off', xml.slice(0, -3), { kind: 'unreadable' }],
  ])('%s', (_, text, expected) => {
    expect(decodeAnswer(text)).toMatchObject(expected)
  })
})

test('whatever an instance is made of it answers, and never throws', () => {
  const field = fc.constantFrom(...Object.keys(instanceJson()))
  fc.assert(
    fc.property(fc.array(fc.tuple(field, fc.jsonValue()), { maxLength: 6 }), (fields) => {
      const { entries, oddities } = decode(answerJson([instanceJson(Object.fromEntries(fields))]))
      expect(entries.length + oddities.length).toBe(1)
    }),
  )
})

test('an instance that is kept does not keep the whole answer that named it', () => {
  const before = liveBytes()
  const kept = Array.from({ length: 20 }, (_, at) => {
    const metadata = `<metadata><text>${`${at}`.repeat(500_000)}</text></metadata>`
    const named = `<instanceId>an-instance-with-a-name-${at}</instanceId><status>UP</status>${metadata}`
    const app = `<application><name>AN-APPLICATION</name><instance>${named}</instance></application>`
    // Flat, as what comes from a connection.
    return decode(Buffer.from(`<applications>${app}</applications>`).toString()).entries[0]
  })
  expect(liveBytes() - before).toBeLessThan(2_000_000)
  expect(kept.at(-1)?.instance.id).toBe('an-instance-with-a-name-19')
})
