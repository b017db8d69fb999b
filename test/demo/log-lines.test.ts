import { expect, test } from 'vitest'
import { shorten } from '../../src/demo/log-lines.ts'

test.each([
  [
    '{"level":"warn","time":"t","service":"a","endpoint":"127.0.0.11:80","msg":"an endpoint was ejected"}',
    'proxy: an endpoint was ejected (service a, endpoint 127.0.0.11:80)\n',
  ],
  ['{"level":"warn","msg":"all is said"}', 'proxy: all is said\n'],
  ['{"err":{"type":"Error","message":"gone"},"n":[1],"msg":"m"}', 'proxy: m (err gone, n [1])\n'],
  ['{"service":"\\u001b[31mred\\nline","msg":"m"}', 'proxy: m (service ?[31mred?line)\n'],
  ['not json\n', 'not json\n'],
])('%s becomes one short line', (json, line) => {
  expect(shorten(json)).toBe(line)
})
