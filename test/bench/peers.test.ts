/** Are the peers told what makes the comparison fair? */

import { expect, test } from 'vitest'
import { caddyConfig, haproxyConfig, nginxConfig } from '../../bench/peers/configs.ts'

const plan = (keepAlive: boolean) => ({
  listen: { host: '127.0.0.1', port: 9000 },
  instances: [
    { host: '127.0.0.11', port: 9001 },
    { host: '127.0.0.12', port: 9002 },
  ],
  keepAlive,
  dir: '/somewhere',
})

const configs = { nginx: nginxConfig, haproxy: haproxyConfig, caddy: caddyConfig }

test.each(Object.entries(configs))('%s listens at its port and knows every instance', (_name, config) => {
  for (const keepAlive of [true, false]) {
    const text = config(plan(keepAlive))
    for (const part of ['9000', '127.0.0.11:9001', '127.0.0.12:9002']) expect(text).toContain(part)
  }
})

test.each([
  ['nginx', nginxConfig, ['keepalive 128;', 'Connection ""'], ['Connection "close"']],
  ['haproxy', haproxyConfig, ['http-keep-alive\n', 'http-reuse always'], ['http-server-close', 'http-reuse never']],
  ['caddy', caddyConfig, ['keepalive_idle_conns_per_host'], ['keepalive off']],
] as const)('%s keeps upstream connections only when told to', (_name, config, onlyOn, onlyOff) => {
  const [on, off] = [config(plan(true)), config(plan(false))]
  for (const part of onlyOn) {
    expect(on).toContain(part)
    expect(off).not.toContain(part)
  }
  for (const part of onlyOff) {
    expect(off).toContain(part)
    expect(on).not.toContain(part)
  }
})

test('one worker or thread each, and no access log', () => {
  expect(nginxConfig(plan(false))).toContain('worker_processes 1;')
  expect(nginxConfig(plan(false))).toContain('access_log off;')
  expect(haproxyConfig(plan(false))).toContain('nbthread 1')
  expect(haproxyConfig(plan(false))).toContain('no log')
})
