/** Where is a real `dockerd` to test against, and can it run here? See `debian-binary.ts`. */

import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { debianTree } from './debian-binary.ts'

const run = promisify(execFile)

/** Docker 20.10 on bookworm; the libraries that its programs need; and what the image of the tests is made of. */
const packages = [
  ...['docker.io', 'containerd', 'runc', 'tini', 'iptables', 'busybox-static'],
  ...['libdevmapper1.02.1', 'libseccomp2', 'libsystemd0', 'libbtrfs0'],
  ...['libxtables12', 'libip4tc2', 'libip6tc2', 'libnftnl11', 'libmnl0', 'libnfnetlink0', 'libnetfilter-conntrack3'],
]

/**
 * A folder with Docker's programs in it, as below `/`.
 * @throws one sentence that says why they are not to be had
 */
export function findDocker(): Promise<string> {
  return debianTree('docker', packages, null)
}

/** What an overlay network and containers are made of, in namespaces that end with the command. */
const PROBE =
  'for at in /sys/fs/cgroup/memory /sys/fs/cgroup; do test -d $at && break; done && ' +
  'group=$(mktemp -d $at/evenkeel-XXXXXX) && rmdir $group && ' +
  'ip link set lo up && ip link add evk0 type veth peer name evk1 && ip link add evk2 type bridge && ' +
  'ip link add evk3 type vxlan id 42 dstport 4789 dev lo && mount -t tmpfs none /mnt'

/** Why no Docker can run here, for a test to be skipped with; null: it can, or it must. */
export async function dockerLacks(): Promise<string | null> {
  if (process.platform !== 'linux') return 'Docker Swarm needs Linux'
  if (process.getuid?.() !== 0) return 'Docker Swarm needs root'
  const args = ['--net', '--mount', '--pid', '--fork', '--kill-child', 'sh', '-c', PROBE]
  const impossible = await run('unshare', args).then(
    () => null,
    (error: Error & { stderr?: string }) => (error.stderr || error.message).trim().split('\n').at(-1) ?? '',
  )
  if (impossible !== null) return `no namespaces or overlay networks can be made here: ${impossible}`
  if (process.env.CI !== undefined && process.env.CI !== '') return null
  return findDocker().then(
    () => null,
    (error: Error) => error.message,
  )
}
