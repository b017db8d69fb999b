/** Are the peers told what makes the comparison fair? */

import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { caddyConfig, haproxyConfig, nginxConfig } from '../../bench/peers/configs.ts'
import { programOf } from '../../bench/targets.ts'

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

test.each([
  ['nginx', nginxConfig, (file: string) => ['-t', '-e', 'stderr', '-c', file]],
  ['haproxy', haproxyConfig, (file: string) => ['-c', '-f', file]],
  ['caddy', caddyConfig, (file: string) => ['adapt', '--adapter', 'caddyfile', '--config', file]],
] as const)('%s, where it is installed, accepts its config', (name, config, args) => {
  const program = programOf(name)
  if (program === null) return
  const dir = mkdtempSync(join(tmpdir(), 'evenkeel-peers-'))
  onTestFinished(() => rmSync(dir, { recursive: true }))
  for (const keepAlive of [true, false]) {
    const file = join(dir, `${name}.conf`)
    writeFileSync(file, config({ ...plan(keepAlive), dir }))
    const { status, stderr } = spawnSync(program, args(file), { encoding: 'utf8' })
    expect(status, stderr).toBe(0)
  }
})

test('one worker or thread each, and no access log', () => {
  expect(nginxConfig(plan(false))).toContain('worker_processes 1;')
  expect(nginxConfig(plan(false))).toContain('access_log off;')
  expect(haproxyConfig(plan(false))).toContain('nbthread 1')
  expect(haproxyConfig(plan(false))).toContain('no log')
})
