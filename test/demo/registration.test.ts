import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Refusal } from '../../src/demo/refusal.ts'
import { parseCheckUpdate, parseRegistration } from '../../src/demo/registration.ts'

function refusalOf(run: () => unknown): Refusal {
  try {
    run()
  } catch (error) {
    if (error instanceof Refusal) return error
    throw error
  }
  throw new Error('it was not refused')
}

describe('a registration', () => {
  test('that says the least gets defaults for all else', () => {
    expect(parseRegistration({ Name: 'web' })).toEqual({
      id: 'web',
      name: 'web',
      tags: [],
      address: '',
      taggedAddresses: {},
      port: 0,
      meta: {},
      weights: { Passing: 1, Warning: 1 },
      enableTagOverride: false,
      checks: [],
    })
  })

  test('has keys in any case, and null for what is not said, as clients in Go send it', () => {
    const sent = { name: 'web', PORT: 80, tags: null, Meta: null, check: null, Checks: null, WEIGHTS: null, iD: 'w1' }
    expect(parseRegistration(sent)).toMatchObject({ id: 'w1', name: 'web', port: 80, tags: [], checks: [] })
  })

  test('has tagged addresses for an address that is an IP, and none for a host name', () => {
    const tagged = (Address: string) => parseRegistration({ Name: 'web', Address, Port: 80 }).taggedAddresses
    const v6 = { Address: 'fd00::1', Port: 80 }
    expect(tagged('fd00::1')).toEqual({ lan_ipv6: v6, wan_ipv6: v6 })
    expect(Object.keys(tagged('10.0.0.5'))).toEqual(['lan_ipv4', 'wan_ipv4'])
    expect(tagged('db.example')).toEqual({})
  })

  test('with a passing weight alone has a warning weight of 0', () => {
    expect(parseRegistration({ Name: 'web', Weights: { Passing: 7 } }).weights).toEqual({ Passing: 7, Warning: 0 })
  })

  test('has the checks of Check and Checks, with defaults, at least the shortest interval and patience', () => {
    const { checks } = parseRegistration({
      Name: 'web',
      Check: { TTL: '5s', DeregisterCriticalServiceAfter: '1s', Notes: 'n' },
      Checks: [
        { CheckID: 'h', Name: 'health', HTTP: 'http://x/', Interval: '10ms', Status: 'passing', Header: { a: ['b'] } },
        { TCP: 'x:1', Interval: '5s', Timeout: '200ms' },
      ],
    })
    expect(checks).toEqual([
      {
        checkId: '',
        name: "Service 'web' check",
        notes: 'n',
        status: 'critical',
        probe: { kind: 'ttl', ttlMs: 5000 },
        deregisterAfterMs: 60_000,
      },
      {
        checkId: 'h',
        name: 'health',
        notes: '',
        status: 'passing',
        probe: {
          kind: 'http',
          url: 'http://x/',
          method: 'GET',
          headers: { a: ['b'] },
          body: '',
          skipVerify: false,
          intervalMs: 1000,
          timeoutMs: 10_000,
        },
        deregisterAfterMs: 0,
      },
      {
        checkId: '',
        name: "Service 'web' check",
        notes: '',
        status: 'critical',
        probe: { kind: 'tcp', address: 'x:1', intervalMs: 5000, timeoutMs: 200 },
        deregisterAfterMs: 0,
      },
    ])
  })

  // Each sentence is what a Consul 1.8.7 agent answered to the same body.
  test.each([
    [{}, 'Missing service name'],
    [null, 'Missing service name'],
    [{ Name: 5 }, 'Request decode failed: json: cannot unmarshal number into Go struct field .Name of type string'],
    [
      { Name: 'x', Port: '80' },
      'Request decode failed: json: cannot unmarshal string into Go struct field .Port of type int',
    ],
    [
      { Name: 'x', Port: 80.5 },
      'Request decode failed: json: cannot unmarshal number 80.5 into Go struct field .Port of type int',
    ],
    [
      { Name: 'x', Tags: 'a' },
      'Request decode failed: json: cannot unmarshal string into Go struct field .Tags of type []string',
    ],
    [
      { Name: 'x', Meta: { a: 1 } },
      'Request decode failed: json: cannot unmarshal number into Go struct field .Meta of type string',
    ],
    [{ Name: 'x', Bogus: 1 }, 'Request decode failed: json: unknown field "Bogus"'],
    [{ Name: 'x', Check: { TTL: '5s', Bogus: 1 } }, 'Request decode failed: json: unknown field "Bogus"'],
    [{ Name: 'x', Address: '0.0.0.0' }, 'Invalid service address'],
    [{ Name: 'x', Weights: { Passing: 0 } }, 'Invalid Weights: Passing must be greater than 0'],
    [{ Name: 'x', Weights: { Passing: 70_000 } }, 'Invalid Weights: DNS Weight must be between 0 and 65535'],
    [{ Name: 'x', Weights: { Passing: 2, Warning: -1 } }, 'Invalid Weights: Warning must be greater or equal than 0'],
    [{ Name: 'x', Check: { TTL: 'bogus' } }, 'Request decode failed: time: invalid duration "bogus"'],
    [{ Name: 'x', Check: { HTTP: 'http://x' } }, 'Invalid check: Interval must be > 0 for Script, HTTP, or TCP checks'],
    [
      { Name: 'x', Check: { TTL: '5s', HTTP: 'http://x', Interval: '1s' } },
      'Invalid check: Interval and TTL cannot both be specified',
    ],
    [{ Name: 'x', Check: { Name: 'only' } }, 'Invalid check: TTL must be > 0 for TTL checks'],
    [{ Name: 'x', Check: { TTL: '5s', Status: 'odd' } }, "Status for checks must 'passing', 'warning', 'critical'"],
    [
      { Name: 'x', Meta: { 'a b': 'c' } },
      "Invalid Service Meta: Couldn't load metadata pair ('a b', 'c'): Key contains invalid characters",
    ],
  ])('%j is refused as Consul refuses it', (body, sentence) => {
    const refusal = refusalOf(() => parseRegistration(body))
    expect([refusal.status, refusal.message]).toEqual([400, sentence])
  })

  test.each([
    [{ Name: 'x', Kind: 'connect-proxy' }],
    [{ Name: 'x', Connect: { SidecarService: {} } }],
    [{ Name: 'x', Check: { GRPC: 'x:1', Interval: '1s' } }],
    [{ Name: 'x', Check: { Args: ['true'], Interval: '1s' } }],
    [{ Name: 'x', Check: { AliasNode: 'n' } }],
  ])('%j, which this catalog cannot do, is refused and not half taken', (body) => {
    expect(refusalOf(() => parseRegistration(body)).message).toMatch(/not supported.*use a real Consul agent/)
  })

  test('keys that JavaScript holds special are ordinary', () => {
    const meta = JSON.parse('{"Name":"x","Meta":{"__proto__":"p","constructor":"c"}}')
    expect(Object.entries(parseRegistration(meta).meta)).toEqual([
      ['__proto__', 'p'],
      ['constructor', 'c'],
    ])
    expect(refusalOf(() => parseRegistration(JSON.parse('{"Name":"x","__proto__":{}}'))).message).toMatch(/unknown/)
  })

  test('whatever JSON comes, it is a registration or a refusal of one line', () => {
    const key = fc.constantFrom('Name', 'ID', 'Port', 'Tags', 'Meta', 'Check', 'Checks', 'Weights', 'Address', 'x')
    const body = fc.oneof(fc.jsonValue(), fc.dictionary(key, fc.jsonValue()))
    fc.assert(
      fc.property(body, (json) => {
        try {
          expect(parseRegistration(json).name).not.toBe('')
        } catch (error) {
          expect(error).toBeInstanceOf(Refusal)
          expect(String(error)).not.toMatch(/\n/)
        }
      }),
    )
  })
})

describe('a check update', () => {
  test('has a status and an output', () => {
    expect(parseCheckUpdate({ status: 'warning', Output: 'o' })).toEqual({ status: 'warning', output: 'o' })
  })

  test.each([
    [{}, "Invalid check status: ''"],
    [{ Status: 'bogus' }, "Invalid check status: 'bogus'"],
    [{ Status: 'passing', Bogus: 1 }, 'Request decode failed: json: unknown field "Bogus"'],
  ])('%j is refused', (body, sentence) => {
    expect(refusalOf(() => parseCheckUpdate(body)).message).toBe(sentence)
  })
})
