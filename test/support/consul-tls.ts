/** What does an agent need that speaks TLS and wants a certificate, and what does its client need? Made by Consul's own tool. */

import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { freePort } from './consul.ts'
import { findConsul } from './consul-binary.ts'

export interface ConsulTls {
  /** Where the agent answers over TLS. */
  readonly url: string
  /** For `startConsul`. */
  readonly hcl: readonly string[]
  /** PEM texts of a client that it accepts. */
  readonly ca: string
  readonly cert: string
  readonly key: string
  /** Removes the files. */
  remove(): Promise<void>
}

export async function makeConsulTls(): Promise<ConsulTls> {
  const folder = await mkdtemp(join(tmpdir(), 'evenkeel-tls-'))
  const consulTool = async (...args: string[]) => promisify(execFile)(await findConsul(), args, { cwd: folder })
  await consulTool('tls', 'ca', 'create')
  await consulTool('tls', 'cert', 'create', '-server', '-additional-ipaddress', '127.0.0.1')
  await consulTool('tls', 'cert', 'create', '-client')
  const path = (name: string) => join(folder, name)
  const httpsPort = await freePort()
  return {
    url: `https://127.0.0.1:${httpsPort}`,
    hcl: [
      `ports { https = ${httpsPort} }`,
      `ca_file = "${path('consul-agent-ca.pem')}"`,
      `cert_file = "${path('dc1-server-consul-0.pem')}"`,
      `key_file = "${path('dc1-server-consul-0-key.pem')}"`,
      'verify_incoming_https = true',
    ],
    ca: await readFile(path('consul-agent-ca.pem'), 'utf8'),
    cert: await readFile(path('dc1-client-consul-0.pem'), 'utf8'),
    key: await readFile(path('dc1-client-consul-0-key.pem'), 'utf8'),
    remove: () => rm(folder, { recursive: true, force: true }),
  }
}
