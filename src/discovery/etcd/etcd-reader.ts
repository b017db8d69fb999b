/** What is asked of an etcd member about the keys below a prefix: all of them, as of one revision; and whether that is still so. */

import type { EtcdClient, EtcdReply } from './etcd-client.ts'
import { keyBase } from './etcd-entries.ts'
import { type EtcdMishap, isCompacted } from './etcd-failure.ts'
import { decodeRange, type EtcdHeader, type KeyValue } from './etcd-messages.ts'
import { MAX_KEYS } from './etcd-table.ts'

export type Failed = EtcdReply & { readonly kind: 'failed' }

/** Keys in the words of a request, in base64: from `key` on, up to but without `range_end`. */
export interface KeyRange {
  readonly key: string
  readonly range_end: string
}

export type AllKeys =
  | { readonly kind: 'read'; readonly keys: readonly KeyValue[]; readonly header: EtcdHeader }
  | Failed

export type Newer =
  | {
      readonly kind: 'read'
      readonly header: EtcdHeader
      /** A key has been written after the revision that was asked with. */
      readonly written: boolean
      /** Keys that there are. */
      readonly count: number
    }
  | Failed

/** Both are answered by a member that has made sure that it is up to date with the cluster. Neither rejects. */
export interface EtcdReader {
  /** All keys, in as many answers as it takes, as of the revision of the first. */
  all(member: URL, signal: AbortSignal): Promise<AllKeys>
  newerThan(revision: bigint, member: URL, signal: AbortSignal): Promise<Newer>
}

/** All pages together; 1,500 instances are half a MiB. */
const MAX_READ_BYTES = 64 * 1024 * 1024
const path = '/v3/kv/range'

/** @param pageKeys how many keys an answer may have; 1 or more */
export function etcdReader(client: EtcdClient, range: KeyRange, pageKeys: number): EtcdReader {
  async function readPages(member: URL, signal: AbortSignal): Promise<AllKeys> {
    const keys: KeyValue[] = []
    let header: EtcdHeader | null = null
    let { key } = range
    let bytesLeft = MAX_READ_BYTES
    for (;;) {
      const revision: object = header === null ? {} : { revision: `${header.revision}` }
      const body = { ...range, key, limit: `${pageKeys}`, ...revision }
      const reply = await client.ask(member, { path, body, maxBytes: bytesLeft }, signal)
      if (reply.kind === 'failed') return reply
      const page = decodeRange(reply.body)
      if (page.kind === 'unreadable') return failed({ kind: 'shape', message: page.message })
      for (const each of page.keys) keys.push(each)
      header ??= page.header
      bytesLeft -= reply.bytes
      if (!page.more) return { kind: 'read', keys, header }
      const last = page.keys.at(-1)
      if (last === undefined)
        return failed({ kind: 'shape', message: 'an answer has no keys, but says there are more' })
      if (keys.length > MAX_KEYS || bytesLeft <= 0) return failed({ kind: 'full', most: MAX_KEYS })
      key = keyAfter(last.key)
    }
  }

  return {
    async all(member, signal) {
      const answer = await readPages(member, signal)
      // It was compacted between two pages; a second time in a row that is no accident.
      return answer.kind === 'failed' && isCompacted(answer.mishap) ? readPages(member, signal) : answer
    },
    async newerThan(revision, member, signal) {
      const body = { ...range, min_mod_revision: `${revision + 1n}`, keys_only: true, limit: '1' }
      const reply = await client.ask(member, { path, body, maxBytes: MAX_READ_BYTES }, signal)
      if (reply.kind === 'failed') return reply
      const answer = decodeRange(reply.body)
      if (answer.kind === 'unreadable') return failed({ kind: 'shape', message: answer.message })
      const { header, keys, count } = answer
      return { kind: 'read', header, written: keys.length > 0, count }
    },
  }
}

/** All keys that begin with the prefix and a slash. */
export function rangeOf(prefix: string): KeyRange {
  const base = keyBase(prefix)
  // The sign after the slash.
  return { key: base64(base), range_end: base64(`${base.slice(0, -1)}0`) }
}

/** The first key that comes after this one; both in base64. */
function keyAfter(key: string): string {
  return Buffer.concat([Buffer.from(key, 'base64'), Buffer.from([0])]).toString('base64')
}

function base64(text: string): string {
  return Buffer.from(text, 'utf8').toString('base64')
}

function failed(mishap: EtcdMishap): Failed {
  return { kind: 'failed', path, mishap }
}
