/** What may a single config value look like? Each leaf says in one clause what it allows, for the problem's message. */

import { BlockList, isIP } from 'node:net'
import { z } from 'zod'
import { isDnsName } from '../discovery/dns/dns-message.ts'
import { parseResolver } from '../discovery/dns/dns-resolvers.ts'
import { parseHostPort } from '../discovery/static-source.ts'
import { parseConnectString } from '../discovery/zookeeper/connect-string.ts'
import { formatDuration, formatSize, parseDuration, parseShare, parseSize } from './units.ts'

const day = 24 * 3_600_000

/** A text in which YAML would see something else (a token of digits): environment and flags pass it as written. */
const asWritten = { text: true } as const

/** True when the schema was marked as plain text by this file. */
export function isTextLeaf(schema: z.ZodType): boolean {
  return schema.meta()?.text === true
}

function textThat(holds: (text: string) => boolean, error: string) {
  return z.string({ error }).refine(holds, { error }).meta(asWritten)
}

export const toggle = z.boolean({ error: 'true or false' })

/** A whole number within bounds. */
export function whole(min: number, max: number) {
  const error = `a whole number from ${min} to ${max}`
  return z.number({ error }).int({ error }).min(min, { error }).max(max, { error })
}

/** `250ms`, `2s`, `5m`, `1h` → milliseconds, from `minMs` to a day: every timer of Node takes that. */
export function duration(minMs: number) {
  const error = `a duration such as 250ms, 2s, 5m or 1h, from ${formatDuration(minMs)} to ${formatDuration(day)}`
  return measured(parseDuration, minMs, day, error)
}

/** `512B`, `16KiB`, `1MiB`, `1GiB` → bytes. */
export function size(min: number, max: number) {
  const error = `a size such as 512B, 16KiB, 1MiB or 1GiB, from ${formatSize(min)} to ${formatSize(max)}`
  return measured(parseSize, min, max, error)
}

/** `0%`–`100%` → 0–1. */
export const share = measured(parseShare, 0, 1, 'a share from 0% to 100%')

/** As `share`, but more than nothing. */
export const positiveShare = measured(parseShare, 1e-9, 1, 'a share above 0% and up to 100%')

function measured(parse: (text: string) => number | null, min: number, max: number, error: string) {
  return z
    .string({ error })
    .transform((text) => parse(text) ?? Number.NaN)
    .pipe(z.number({ error }).min(min, { error }).max(max, { error }))
}

export const port = whole(0, 65_535)

const hostName =
  /^(?=.{1,253}$)[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*\.?$/

export const host = textThat(
  (text) => isIP(text) !== 0 || (hostName.test(text) && !/^[\d.]+$/.test(text)),
  'an address or a host name without a port, e.g. 0.0.0.0, :: or localhost',
)

/** One endpoint of a static service. */
export const hostPort = textThat(
  (text) => parseHostPort(text).kind === 'parsed',
  'host:port or [IPv6]:port with a port from 1 to 65535',
)

/** `http(s)://host[:port]` → the same without a trailing slash. */
export const origin = textThat(
  isOrigin,
  'an http:// or https:// URL of host and port only, e.g. http://127.0.0.1:8500',
).transform((text) => text.replace(/\/$/, ''))

function isOrigin(text: string): boolean {
  // The parser forgives blanks and backslashes; who writes them means something else.
  if (!/^https?:\/\/[^\s\\/?#@]+\/?$/i.test(text) || !URL.canParse(text)) return false
  const url = new URL(text)
  return url.hostname !== '' && url.port !== '0'
}

export const token = textThat((text) => /^[\x21-\x7e]+$/.test(text), 'null or visible ASCII characters without blanks')

/** The name of a service: what may be one segment of a path. */
export const serviceNameText = textThat(
  (text) => /^(?!\.{1,2}$)[^\s/]+$/.test(text),
  'a service name without slashes or blanks',
)

/** A name, tag or path: anything but nothing. */
export const nonEmpty = textThat((text) => text.trim() !== '', 'a text that is not empty')

export const nonEmptyOrNull = textThat((text) => text.trim() !== '', 'null or a text that is not empty').nullable()

export const basePath = textThat(
  (text) => text === '' || (/^(\/[A-Za-z0-9\-._~!$&'()*+,;=:@]+)+$/.test(text) && !/\/\.{1,2}(\/|$)/.test(text)),
  "'' or a path that starts with a slash and ends without one, without '..', '%' or blanks, e.g. /api",
)

/** `10.0.0.0/8`, `fd00::/8`, or a single address. */
export const cidr = textThat(isCidr, 'an IP address or a CIDR, e.g. 10.0.0.0/8, fd00::/8 or 127.0.0.1')

function isCidr(text: string): boolean {
  const [address = '', prefix, ...rest] = text.split('/')
  const version = isIP(address)
  if (version === 0 || address.includes('%') || rest.length > 0) return false
  if (prefix === undefined) return true
  if (!/^\d{1,3}$/.test(prefix)) return false
  try {
    new BlockList().addSubnet(address, Number(prefix), version === 6 ? 'ipv6' : 'ipv4')
    return true
  } catch {
    return false
  }
}

const statusesAllowed = 'a status from 100 to 599, or a range of them such as 500-599'

/** `[500-599, 429]` → which statuses are named. */
export const statusRanges = z
  .array(
    z.union([z.number(), z.string()], { error: statusesAllowed }).transform((item, context) => {
      const range = statusRange(String(item))
      if (range === null) context.addIssue(statusesAllowed)
      return range ?? z.NEVER
    }),
    { error: 'a list of statuses and ranges, e.g. [500-599, 429]' },
  )
  .transform(
    (ranges) =>
      (status: number): boolean =>
        ranges.some(([low, high]) => status >= low && status <= high),
  )

function statusRange(text: string): readonly [low: number, high: number] | null {
  const match = /^([1-5]\d\d)(?:-([1-5]\d\d))?$/.exec(text)
  if (match === null) return null
  const low = Number(match[1])
  const high = Number(match[2] ?? match[1])
  return low <= high ? [low, high] : null
}

/** The one value that this version allows. */
export function only<const T extends string | number>(value: T, why: string) {
  return z.literal(value, { error: `${value}: ${why}` })
}

/** One of a few words. */
export function word<const T extends readonly [string, ...string[]]>(...words: T) {
  return z.enum(words, { error: `one of ${words.join(', ')}` }).meta(asWritten)
}

/** A list; each of its items is judged on its own. */
export function listOf<T extends z.ZodType>(item: T, example: string) {
  return z.array(item, { error: `a list, e.g. ${example}` })
}

/** One of a few words, or a list of them, each once: always a list afterwards. */
export function someOf<const T extends readonly string[]>(words: T) {
  const known: readonly unknown[] = words
  const isList = (value: unknown) =>
    Array.isArray(value) &&
    value.length > 0 &&
    value.every((item, at) => known.includes(item) && value.indexOf(item) === at)
  const list = z.custom<readonly T[number][]>(
    isList,
    `one of ${words.join(', ')}, or a list of them, none of them twice`,
  )
  return z.preprocess((value) => (typeof value === 'string' ? [value] : value), list)
}

/** A server's URL with its path, and perhaps with a user and a password. */
export const serverUrl = textThat(
  isServerUrl,
  'an http:// or https:// URL, e.g. http://127.0.0.1:8761/eureka, with what is in it percent-encoded',
)

function isServerUrl(text: string): boolean {
  if (!/^https?:\/\/[^\s\\?#]+$/i.test(text) || !URL.canParse(text)) return false
  const url = new URL(text)
  try {
    decodeURIComponent(`${url.username}${url.password}`)
  } catch {
    return false
  }
  return url.hostname !== '' && url.port !== '0'
}

/** `/services`: starts with a slash, and does not end with one. */
export const prefix = textThat(
  (text) => /^(\/[^/\s]+)+$/.test(text),
  'a path that starts with a slash and ends without one, e.g. /services',
)

/** ZooKeeper's way to name an ensemble. */
export const connectString = textThat(
  (text) => parseConnectString(text) !== null,
  'host:port of each server, separated by commas, and perhaps a path behind them, e.g. zk1:2181,zk2:2181',
)

export const userAndPassword = textThat((text) => /^[^:\s]+:\S+$/.test(text), 'null or user:password')

export const dockerHost = textThat(
  (text) =>
    /^unix:\/\/\/\S+$/.test(text) || (/^tcp:\/\/[^\s/?#@]+$/.test(text) && isOrigin(text.replace('tcp', 'http'))),
  'unix:///path/of/docker.sock or tcp://host:port',
)

export const dnsName = textThat(isDnsName, 'a name in DNS, e.g. _http._tcp.web.example')

export const resolver = textThat(
  (text) => parseResolver(text) !== null,
  'the address of a resolver, e.g. 10.0.0.2, 10.0.0.2:53 or [fd00::2]:53',
)
