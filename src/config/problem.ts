/** What is wrong with a config, said so that a person can mend it: where, what was found, what is allowed. */

import { formatPath, type KeyPath } from './keys.ts'

export interface Problem {
  /** `upstream.connectTimeout`; empty when it is not about one key. */
  readonly keyPath: string
  /** The value, as JSON, shortened, secrets as `***`; empty when there is none to show. */
  readonly found: string
  /** What is allowed, or what to do. */
  readonly message: string
  /** `file x.yaml:12`, `environment EVENKEEL_LISTEN_PORT`, `flag --port` or `default`. */
  readonly from: string
}

/** A problem of one key; the value is shown unless it may be a secret. */
export function problemAt(path: KeyPath, value: unknown, message: string, from: string): Problem {
  return { keyPath: formatPath(path), found: showFound(path, value), message, from }
}

/** A problem of a whole source. */
export function problemOf(from: string, message: string): Problem {
  return { keyPath: '', found: '', message, from }
}

/** One line: `file x.yaml:12: upstream.connectTimeout: found 5, must be a duration such as …`. */
export function formatProblem({ keyPath, found, message, from }: Problem): string {
  const what = found === '' ? message : `found ${found}, ${message}`
  return [from, keyPath, what].filter((part) => part !== '').join(': ')
}

const longest = 80

function showFound(path: KeyPath, value: unknown): string {
  if (value === undefined) return ''
  if (maySecret(path, value)) return '***'
  let text: string
  try {
    text = JSON.stringify(value, hideNested)
  } catch {
    // YAML aliases can build a value that contains itself.
    text = 'a value that contains itself'
  }
  return text.length <= longest ? text : `${text.slice(0, longest)}…`
}

/** Misspelled keys count too: `tokn: 1234` must not end up in a log. */
const secretKey = /to?ke?n|secret|pass|pwd|pem|digest|credential|auth|keydata/i

function maySecret(path: KeyPath, value: unknown): boolean {
  const key = String(path.at(-1) ?? '')
  // A path of a key file may be shown; the key itself, pasted where its path belongs, may not.
  return value !== null && (secretKey.test(key) || (typeof value === 'string' && value.includes('-----BEGIN')))
}

function hideNested(key: string, value: unknown): unknown {
  if (key !== '' && maySecret([key], value)) return '***'
  return typeof value === 'string' ? withoutCredentials(value) : value
}

/**
 * A text that is a URL, or meant to be one, with user and password as `***`. Up to the last `@` of all: a password may have
 * one in it, and with a slash or a blank it makes no URL, but is no less secret. Of several URLs only the last host stays.
 */
export function withoutCredentials(text: string): string {
  return text.replace(/^([a-z]*:?\/\/)?.*@/is, '$1***@')
}
