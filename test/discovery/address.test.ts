import { describe, expect, test } from 'vitest'
import { isPort, normalAddress } from '../../src/discovery/address.ts'

describe('normalAddress', () => {
  test.each([
    ['an IPv4 address is itself', '10.0.0.5', '10.0.0.5'],
    ['a host name is lower case', 'Web-1.Example.COM', 'web-1.example.com'],
    ['a name with an underscore, as internal zones have them', 'web_1.service.consul', 'web_1.service.consul'],
    ['a name that ends in a dot', 'web.example.', 'web.example.'],
    ['IPv6 is lower case', 'FD00::5', 'fd00::5'],
    ['IPv6 is written in its short form', 'fd00:0:0:0:0:0:0:5', 'fd00::5'],
    ['IPv6 in brackets loses them', '[fd00::5]', 'fd00::5'],
    ['IPv6 with a zone keeps it', 'fe80::1%eth0', 'fe80::1%eth0'],
    ['an IPv4 address in IPv6', '::ffff:10.0.0.5', '::ffff:a00:5'],
  ])('%s', (_, text, expected) => {
    expect(normalAddress(text)).toBe(expected)
  })

  test.each([
    ['nothing', ''],
    ['white space within', '10.0.0.5 evil'],
    ['white space around', ' 10.0.0.5'],
    ['a line break', '10.0.0.5\n'],
    ['a control character', '10.0.0.5\u0000'],
    ['a path', '10.0.0.5/admin'],
    ['user information', 'me@10.0.0.5'],
    ['a port of its own', '10.0.0.5:80'],
    ['a name in brackets', '[web]'],
    ['half a bracket', '[fd00::5'],
    ['too many groups', '1:2:3:4:5:6:7:8:9'],
    ['two gaps', 'fd00::5::6'],
    ['a zone that is none', 'fe80::1%'],
    ['letters beyond ASCII', 'wéb.example'],
    ['a name that is too long', `${'a'.repeat(254)}`],
    ['a megabyte', 'a'.repeat(1_000_000)],
    ['any IPv4 address at all', '0.0.0.0'],
    ['any IPv6 address at all', '::'],
    ['any IPv6 address, spelt out', '0:0:0:0:0:0:0:0'],
    ['a leading hyphen', '-web'],
  ])('%s is no address', (_, text) => {
    expect(normalAddress(text)).toBeNull()
  })
})

test.each([
  [1, true],
  [65_535, true],
  [0, false],
  [65_536, false],
  [-1, false],
  [80.5, false],
  [Number.NaN, false],
  ['80', false],
  [null, false],
])('isPort(%j) is %j', (value, expected) => {
  expect(isPort(value)).toBe(expected)
})
