import { describe, expect, test } from 'vitest'
import type { CatalogService } from '../../src/balancer/endpoint.ts'
import { catalogAssembly } from '../../src/discovery/catalog-assembly.ts'
import type { Failure } from '../../src/discovery/failure.ts'

const away: Failure = { speed: 'away', message: 'refused', cure: '' }
const denied: Failure = { speed: 'wrong', message: 'denied', cure: '' }

function service(port: number): CatalogService {
  const id = `10.0.0.1:${port}`
  return { endpoints: [{ id, instance: id, address: '10.0.0.1', port, weight: 1 }], absent: [] }
}

function assembly() {
  let now = 0
  const made = catalogAssembly(() => now)
  return {
    ...made,
    later: (ms: number) => {
      now += ms
    },
    fail: (name: string, times: number, failure: Failure) => {
      for (let time = 0; time < times; time += 1) made.setFailed(name, failure)
    },
    /** Name → ports, as the catalog has it. */
    ports: () => {
      const catalog = made.catalog()
      if (catalog === null) return null
      const entries = [...catalog.services].map(([name, { endpoints }]) => [name, endpoints.map(({ port }) => port)])
      return Object.fromEntries(entries)
    },
  }
}

describe('the first catalog', () => {
  test('waits for the names', () => {
    expect(assembly().ports()).toBeNull()
  })

  test('is empty when there are no names', () => {
    const all = assembly()
    all.setNames([])
    expect(all.ports()).toEqual({})
  })

  test('waits for every service', () => {
    const all = assembly()
    all.setNames(['web', 'api'])
    expect(all.ports()).toBeNull()
    all.setService('web', service(80))
    expect(all.ports()).toBeNull()
    all.setService('api', service(81))
    expect(all.ports()).toEqual({ api: [81], web: [80] })
  })

  test('does not wait for one that is denied three times: it is in, without endpoints, with the reason', () => {
    const all = assembly()
    all.setNames(['web', 'api'])
    all.setService('web', service(80))
    all.fail('api', 2, denied)
    expect(all.ports()).toBeNull()
    all.fail('api', 1, denied)
    expect(all.ports()).toEqual({ api: [], web: [80] })
    expect(all.catalog()?.services.get('api')?.absent).toEqual([
      { instance: '', address: '', reason: 'could not be read: denied', unread: true },
    ])
  })

  test('waits on while others are read for the first time: Consul may be giving connections back one by one', () => {
    const all = assembly()
    all.setNames(['web', 'api', 'db'])
    all.fail('api', 3, away)
    all.fail('db', 3, away)
    all.setService('web', service(80))
    all.later(9000)
    all.setService('db', service(81))
    all.later(9999)
    expect(all.ports()).toBeNull()
    all.later(1)
    expect(all.ports()).toEqual({ api: [], db: [81], web: [80] })
  })

  test('names the first reason while it goes on failing in the same way, for each word would be another catalog', () => {
    const all = assembly()
    const reason = () => all.catalog()?.services.get('api')?.absent[0]?.reason
    all.setNames(['web', 'api'])
    all.setService('web', service(80))
    all.fail('api', 3, away)
    all.later(10_000)
    expect(reason()).toBe('could not be read: refused')
    all.fail('api', 1, { ...away, message: 'reset' })
    expect(reason()).toBe('could not be read: refused')
    all.fail('api', 1, denied)
    expect(reason()).toBe('could not be read: denied')
  })

  test('waits 10 s for one that gets no answer while others do', () => {
    const all = assembly()
    all.setNames(['web', 'api'])
    all.setService('web', service(80))
    all.fail('api', 20, away)
    all.later(9999)
    expect(all.ports()).toBeNull()
    all.later(1)
    expect(all.ports()).toEqual({ api: [], web: [80] })
  })

  test('waits for ever while no service at all can be read: an empty table would be worse than none', () => {
    const all = assembly()
    all.setNames(['web', 'api'])
    all.fail('web', 20, denied)
    all.fail('api', 20, away)
    all.later(3_600_000)
    expect(all.ports()).toBeNull()
    all.setService('web', service(80))
    // Consul may have come back just now, and the others be the next.
    expect(all.ports()).toBeNull()
    all.later(10_000)
    expect(all.ports()).toEqual({ api: [], web: [80] })
  })
})

describe('later', () => {
  function started() {
    const all = assembly()
    all.setNames(['web', 'api'])
    all.setService('web', service(80))
    all.setService('api', service(81))
    expect(all.ports()).toEqual({ api: [81], web: [80] })
    return all
  }

  test('a failing service keeps what is known of it', () => {
    const all = started()
    expect(all.setFailed('web', denied)).toBe(false)
    all.fail('web', 100, denied)
    all.later(3_600_000)
    expect(all.ports()).toEqual({ api: [81], web: [80] })
  })

  test('a service that is no longer named leaves', () => {
    const all = started()
    expect(all.setNames(['api'])).toEqual({ added: [], removed: ['web'] })
    expect(all.ports()).toEqual({ api: [81] })
  })

  test('what is said of a service that has left is ignored', () => {
    const all = started()
    all.setNames(['api'])
    expect(all.setService('web', service(80))).toBe(false)
    expect(all.setFailed('web', away)).toBe(false)
    expect(all.ports()).toEqual({ api: [81] })
  })

  test('a new service is in once it has been read, and keeps nobody waiting until then', () => {
    const all = started()
    expect(all.setNames(['api', 'new', 'web'])).toEqual({ added: ['new'], removed: [] })
    expect(all.ports()).toEqual({ api: [81], web: [80] })
    all.setService('new', service(82))
    expect(all.ports()).toEqual({ api: [81], new: [82], web: [80] })
  })

  test('a service that comes back is read anew', () => {
    const all = started()
    all.setNames(['api'])
    all.setNames(['api', 'web'])
    expect(all.ports()).toEqual({ api: [81] })
  })

  test('an empty answer empties a service, which stays', () => {
    const all = started()
    expect(all.setService('web', { endpoints: [], absent: [] })).toBe(true)
    expect(all.ports()).toEqual({ api: [81], web: [] })
  })

  test('an equal answer is no news', () => {
    const all = started()
    const before = all.catalog()?.services.get('web')
    expect(all.setService('web', service(80))).toBe(false)
    expect(all.catalog()?.services.get('web')).toBe(before)
  })

  test('names come in order, each once', () => {
    const all = assembly()
    expect(all.setNames(['b', 'a', 'b']).added).toEqual(['a', 'b'])
  })
})
