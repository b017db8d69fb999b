import { describe, expect, it } from 'vitest'
import { settingsOf } from '../../src/config/in-effect.ts'
import { parseConfig } from '../../src/config/load.ts'

function settings(text: string) {
  const loaded = parseConfig(text, 'test.yaml')
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems))
  return settingsOf(loaded.config)
}

describe('settings in effect', () => {
  it('give a service what it overrides and the common value of everything else', () => {
    const { policy, outlier } = settings(`
upstream: { keepAlive: false, close: rst, idleTimeout: 10s }
outlier: { consecutiveFaults: 7 }
services:
  web: { upstream: { keepAlive: true, close: fin }, retry: { attempts: 0 }, outlier: { enforce: false }, routing: { stripPrefix: false } }
`)
    expect(policy('web')).toMatchObject({
      upstream: { keepAlive: true, close: 'fin', idleTimeoutMs: 10_000 },
      retry: { attempts: 0, budget: 0.2 },
      stripPrefix: false,
    })
    expect(outlier('web')).toMatchObject({ enforce: false, consecutiveFaults: 7 })
    expect(policy('other')).toMatchObject({
      upstream: { keepAlive: false, close: 'rst' },
      retry: { attempts: 2 },
      stripPrefix: true,
    })
    expect(outlier('other')).toMatchObject({ enforce: true, consecutiveFaults: 7 })
  })

  it('share one policy among all services that the config does not name, so that names fill no memory', () => {
    const { policy } = settings('services: { web: {} }')
    expect(policy('a')).toBe(policy('constructor'))
  })

  const rows: { name: string; proxies: string; address: string; trusted: boolean }[] = [
    { name: 'trust nobody by default', proxies: '[]', address: '127.0.0.1', trusted: false },
    { name: 'trust an address in a trusted network', proxies: '[10.0.0.0/8]', address: '10.9.8.7', trusted: true },
    { name: 'trust no address outside of it', proxies: '[10.0.0.0/8]', address: '11.0.0.1', trusted: false },
    { name: 'trust a single address', proxies: '[192.0.2.1]', address: '192.0.2.1', trusted: true },
    { name: 'trust an IPv6 network', proxies: "['fd00::/8']", address: 'fd12::1', trusted: true },
    { name: 'do not mix the families up', proxies: "['fd00::/8']", address: '10.0.0.1', trusted: false },
  ]
  for (const { name, proxies, address, trusted } of rows) {
    it(name, () => expect(settings(`trustedProxies: ${proxies}`).isTrustedProxy(address)).toBe(trusted))
  }
})
