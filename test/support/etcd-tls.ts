/** What does an etcd need that speaks TLS and wants a certificate, and what does its client need? */

import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

export interface EtcdTls {
  /** PEM texts of a client that the cluster accepts. */
  readonly ca: string
  readonly cert: string
  readonly key: string
  /** Paths of the same, for the server. */
  readonly files: { readonly ca: string; readonly cert: string; readonly key: string }
  /** Removes the files. */
  remove(): Promise<void>
}

/** A CA, and a certificate of it for 127.0.0.1, made by the `openssl` on PATH. */
export async function makeEtcdTls(): Promise<EtcdTls> {
  const folder = await mkdtemp(join(tmpdir(), 'evenkeel-tls-'))
  const openssl = (...args: string[]) => promisify(execFile)('openssl', args, { cwd: folder })
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2']
  await openssl('req', '-x509', ...curve, '-keyout', 'ca-key.pem', '-out', 'ca.pem', '-subj', '/CN=evenkeel test CA')
  await openssl('req', ...curve, '-keyout', 'key.pem', '-out', 'request.pem', '-subj', '/CN=etcd')
  await writeFile(join(folder, 'extensions'), 'subjectAltName=IP:127.0.0.1\n')
  const signing = ['-CA', 'ca.pem', '-CAkey', 'ca-key.pem', '-CAcreateserial', '-days', '2', '-extfile', 'extensions']
  await openssl('x509', '-req', '-in', 'request.pem', '-out', 'cert.pem', ...signing)
  const files = { ca: join(folder, 'ca.pem'), cert: join(folder, 'cert.pem'), key: join(folder, 'key.pem') }
  const [ca, cert, key] = await Promise.all([files.ca, files.cert, files.key].map((path) => readFile(path, 'utf8')))
  return {
    ca: ca ?? '',
    cert: cert ?? '',
    key: key ?? '',
    files,
    remove: () => rm(folder, { recursive: true, force: true }),
  }
}
