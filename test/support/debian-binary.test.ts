import { expect, test } from 'vitest'
import { mirrorIn } from './debian-binary.ts'

test.each([
  ['the newer format', 'Types: deb\nURIs: http://mirror.test/debian\nSuites: bookworm\n', 'http://mirror.test/debian'],
  [
    'the newer format, commented',
    '# URIs: http://old.test/debian\nURIs: https://m.test/debian/\n',
    'https://m.test/debian',
  ],
  ['the older format', 'deb http://mirror.test/debian bookworm main\n', 'http://mirror.test/debian'],
  [
    'the older format with options',
    'deb [arch=amd64 signed-by=/k] http://mirror.test/debian/ sid main',
    'http://mirror.test/debian',
  ],
  ['the archive of security updates is not it', 'deb http://mirror.test/debian-security bookworm-security main', null],
  ['sources of packages are not it', 'deb-src http://mirror.test/debian bookworm main', null],
  ['another distribution is not it', 'deb http://mirror.test/ubuntu noble main', null],
  ['a commented line is not it', '# deb http://mirror.test/debian bookworm main', null],
  ['nothing', '', null],
])('the mirror of apt: %s', (_, text, expected) => {
  expect(mirrorIn(text)).toBe(expected)
})
