import { describe, expect, it } from 'vitest'
import { isLocalHost, isLoopback } from '../../src/admin/host.ts'

describe('a Host that a listener on loopback answers to', () => {
  it.each([
    ['the name of this machine to itself', 'localhost:8081', true],
    ['in capitals, with the dot of the root', 'LocalHost.:8081', true],
    ['a name below localhost', 'evenkeel.localhost', true],
    ['an IPv4 address', '127.0.0.1:8081', true],
    ['another IPv4 address, as a forwarded port has', '192.168.1.5', true],
    ['an IPv6 address', '[::1]:8081', true],
    ['an IPv6 address without a port', '[::1]', true],
    ['no Host at all', undefined, true],
    ['a foreign name', 'evil.example', false],
    ['a foreign name with our port', 'evil.example:8081', false],
    ['a name that ends like localhost', 'notlocalhost', false],
    ['a name that begins like it', 'localhost.evil.example', false],
    ['a name that begins like an address', '127.0.0.1.evil.example', false],
    ['a foreign name in brackets', '[evil.example]:8081', false],
    ['an empty one', '', false],
  ])('%s', (_, host, expected) => {
    expect(isLocalHost(host)).toBe(expected)
  })
})

describe('loopback', () => {
  it.each([
    ['127.0.0.1', true],
    ['127.8.8.8', true],
    ['::1', true],
    ['::ffff:127.0.0.1', true],
    ['0.0.0.0', false],
    ['::', false],
    ['10.127.0.1', false],
  ])('%s: %s', (address, expected) => {
    expect(isLoopback(address)).toBe(expected)
  })
})
