/** Where is a real ZooKeeper to test against? Debian's jars, unpacked into `.cache/`, and the machine's own Java. */

import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { debianTree } from './debian-binary.ts'

/** The server needs no more of its package's dependencies than these. */
const PACKAGES = [
  'libzookeeper-java',
  'libslf4j-java',
  'libdropwizard-metrics-java',
  'libsnappy-java',
  'libcommons-cli-java',
]
const JARS = ['zookeeper', 'zookeeper-jute', 'slf4j-api', 'slf4j-simple', 'metrics-core', 'snappy-java', 'commons-cli']

let found: Promise<string> | null = null

/**
 * The class path of ZooKeeper's server and of its command line client.
 * @throws one sentence that says what to install
 */
export function findZookeeper(): Promise<string> {
  found ??= locate()
  return found
}

async function locate(): Promise<string> {
  await promisify(execFile)('java', ['-version']).catch(() => {
    throw new Error('These tests need Java on PATH: install a JRE of version 8 or later.')
  })
  // bookworm has ZooKeeper 3.8: https://packages.debian.org/libzookeeper-java
  const root = await debianTree('zookeeper', PACKAGES, 'bookworm')
  return JARS.map((jar) => join(root, 'usr/share/java', `${jar}.jar`)).join(':')
}

/** Why there is none to be had here, for a test to be skipped with; null: there is one, or it must be there. */
export async function zookeeperLacks(): Promise<string | null> {
  if (process.env.CI !== undefined && process.env.CI !== '') return null
  return findZookeeper().then(
    () => null,
    (error: Error) => error.message,
  )
}
