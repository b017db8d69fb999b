/** How is an instance written to etcd, and kept for as long as its lease lives? Pure: bodies of requests, and what their answers say. */

import { keyBase } from './etcd-entries.ts'

/** What an instance's key is to say, with the lease that it lives by. */
export interface LeasedEntry {
  readonly prefix: string
  readonly service: string
  readonly id: string
  readonly value: string
}

/**
 * A transaction that writes the entry unless it is there as it should be: with this value, and by this lease. Then it
 * succeeds without writing, so that nobody who watches is woken by a beat.
 */
export function entryTransaction({ prefix, service, id, value }: LeasedEntry, lease: string): object {
  const key = base64(`${keyBase(prefix)}${service}/${id}`)
  const written = { key, value: base64(value) }
  return {
    compare: [
      { key, result: 'EQUAL', target: 'LEASE', lease },
      { key, result: 'EQUAL', target: 'VALUE', value: written.value },
    ],
    failure: [{ request_put: { ...written, lease } }],
  }
}

/** The id of a lease that was granted; null: the answer has none. */
export function decodeGrant(body: unknown): string | null {
  const id = isObject(body) ? body.ID : null
  return typeof id === 'string' && /^[1-9]\d{0,18}$/.test(id) ? id : null
}

/** How many seconds the lease has from now on; 0: it is no more. Null: the answer does not say. */
export function decodeKeepAlive(body: unknown): number | null {
  const result = isObject(body) ? body.result : null
  if (!isObject(result)) return null
  // What is zero is left out.
  const { TTL = '0' } = result
  return typeof TTL === 'string' && /^-?\d{1,15}$/.test(TTL) ? Math.max(0, Number(TTL)) : null
}

/** Was the entry there as it should be? Null: the answer is none to a transaction. */
export function decodeTransaction(body: unknown): boolean | null {
  if (!isObject(body) || !isObject(body.header)) return null
  const { succeeded = false } = body
  return typeof succeeded === 'boolean' ? succeeded : null
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function base64(text: string): string {
  return Buffer.from(text, 'utf8').toString('base64')
}
