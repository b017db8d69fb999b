/**
 * Which keys of etcd stay when what wrote them dies? Those that hang on no lease. Pure but for the one request, which asks
 * for what the source has no use for.
 */

import { etcdClient } from '../discovery/etcd/etcd-client.ts'
import { decodeEntry, type EntryRules, keyBase } from '../discovery/etcd/etcd-entries.ts'
import { rangeOf } from '../discovery/etcd/etcd-reader.ts'
import type { EtcdOptions } from '../discovery/etcd/etcd-source.ts'
import type { EntryFacts } from './facts.ts'

type Entries = Pick<EntryFacts, 'count' | 'permanent'>

const times = { connectMs: 2000, deadlineMs: 10_000 }
const MAX_KEYS = 10_000
const MAX_ANSWER_BYTES = 64 * 1024 * 1024

/** Asks the members in turn until one answers, about the first 10,000 keys. Never rejects. */
export async function readEntries(options: EtcdOptions): Promise<EntryFacts> {
  const client = etcdClient(options, times)
  const body = { ...rangeOf(options.prefix), keys_only: true, limit: `${MAX_KEYS}` }
  const request = { path: '/v3/kv/range', body, maxBytes: MAX_ANSWER_BYTES } as const
  let entries: Entries = { count: null, permanent: [] }
  for (const endpoint of options.endpoints) {
    if (!URL.canParse(endpoint)) continue
    const reply = await client.ask(new URL(endpoint), request, new AbortController().signal)
    const read = reply.kind === 'answered' ? entriesIn(reply.body, options.prefix) : null
    if (read === null) continue
    entries = read
    break
  }
  return { path: keyBase(options.prefix), ...entries }
}

/** @param body the answer to a range request, with keys only; null: it is none. Never throws. */
export function entriesIn(body: unknown, prefix: string): Entries | null {
  const { kvs = [], count = '0' } = Object(body) as { kvs?: unknown; count?: unknown }
  if (!Array.isArray(kvs) || !/^\d{1,15}$/.test(String(count))) return null
  const rules: EntryRules = { prefix, tag: null, include: ['*'], exclude: [] }
  const permanent = kvs.flatMap((each) => {
    const { key, lease = '0' } = Object(each) as { key?: unknown; lease?: unknown }
    if (typeof key !== 'string' || String(lease) !== '0') return []
    // Its value was not asked for, and says nothing of which instance it is.
    const entry = decodeEntry(Buffer.from(key, 'base64').toString('utf8'), '', rules)
    if (entry.kind === 'other' || entry.instance.kind === 'ready') return []
    return [{ service: entry.service, id: entry.instance.absentee.instance }]
  })
  return { count: Number(count), permanent }
}
