import { describe, expect, test } from 'vitest'
import { parseHostPort, staticSource } from '../../src/discovery/static-source.ts'
import { waitFor } from '../support/wait.ts'
import { followSource } from './follow.ts'

describe('parseHostPort', () => {
  test.each([
    ['10.0.0.5:8080', '10.0.0.5', 8080],
    ['Quotes.Internal:80', 'quotes.internal', 80],
    ['[fd00::5]:8080', 'fd00::5', 8080],
    ['[FD00:0::5]:65535', 'fd00::5', 65_535],
  ])('%s', (text, address, port) => {
    expect(parseHostPort(text)).toEqual({ kind: 'parsed', address, port })
  })

  test.each([
    ['', /no port/],
    ['10.0.0.5', /no port/],
    ['[fd00::5]', /no port/],
    ['fd00::5', /brackets/],
    ['fd00::5:8080', /brackets/],
    ['10.0.0.5:', /port is not a number/],
    ['10.0.0.5:0', /1 to 65535/],
    ['10.0.0.5:65536', /1 to 65535/],
    ['10.0.0.5:8o80', /1 to 65535/],
    ['10.0.0.5:+80', /1 to 65535/],
    ['10.0.0.5: 80', /1 to 65535/],
    ['10.0.0.5:1e3', /1 to 65535/],
    [':8080', /address/],
    ['http://10.0.0.5:8080', /brackets/],
    ['10.0.0.5/x:8080', /address/],
    ['a b:8080', /address/],
  ])('%j is refused', (text, problem) => {
    expect(parseHostPort(text)).toEqual({ kind: 'malformed', problem: expect.stringMatching(problem) })
  })
})

describe('staticSource', () => {
  test('tells its catalog once, ordered and without doubles, and resolves when aborted', async () => {
    const services = { web: ['10.0.0.9:80', '[FD00::1]:80', '10.0.0.10:80', '10.0.0.9:80'], api: [] }
    const followed = followSource(staticSource({ services }))
    expect(followed.catalogs).toHaveLength(1)
    expect([...(followed.catalogs[0]?.services.keys() ?? [])]).toEqual(['api', 'web'])
    expect(followed.endpoints('web')).toEqual(['10.0.0.10:80*1', '10.0.0.9:80*1', '[fd00::1]:80*1'])
    expect(followed.endpoints('api')).toEqual([])
    await followed.stop()
    expect(followed.catalogs).toHaveLength(1)
  })

  test('confirms its catalog again and again, so that it never looks old', async () => {
    const stop = new AbortController()
    let confirmed = 0
    const listeners = {
      onCatalog: () => {},
      onFresh: () => {
        confirmed += 1
      },
      onError: () => {},
    }
    const done = staticSource({ services: { web: ['10.0.0.9:80'] } }, 1).watch(listeners, stop.signal)
    await waitFor('three confirmations', () => confirmed >= 3)
    stop.abort()
    await done
  })

  test('tells nothing when it is aborted before', async () => {
    let told = 0
    const count = () => {
      told += 1
    }
    const listeners = { onCatalog: count, onFresh: count, onError: count }
    await staticSource({ services: { web: ['10.0.0.9:80'] } }).watch(listeners, AbortSignal.abort())
    expect(told).toBe(0)
  })

  test('names the service and the text that it cannot read', () => {
    expect(() => staticSource({ services: { web: ['10.0.0.9'] } })).toThrow('web: "10.0.0.9" has no port')
  })
})
