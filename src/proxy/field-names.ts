/**
 * What does a header field mean to a proxy? One table of names, and each name's roles as bits of a small integer, so that
 * one look answers every question. Pure.
 *
 * The usual spellings are strings made once. Readers hand out these, and a string that has been looked up before is found
 * again by its identity: without hashing it, lower-casing it or comparing it. Nothing is ever added to the table.
 */

/** Bits of `rolesOf`. */
export const role = {
  /** A field of one connection, RFC 9110 §7.6.1, or the credentials of a proxy hop. */
  hopByHop: 1 << 0,
  /** The proxy says this itself, and believes it of nobody but a trusted proxy. */
  droppedFromAnyone: 1 << 1,
  /** The proxy says this itself, with what a trusted proxy said worked in. */
  droppedFromTrusted: 1 << 2,
  droppedFromResponse: 1 << 3,
  /** Means something only at the head of a message. */
  neverTrailer: 1 << 4,
  /** No `Connection` may take this away: what the message means, and what proxies say of its way. */
  neverStripped: 1 << 5,
  host: 1 << 6,
  contentLength: 1 << 7,
  transferEncoding: 1 << 8,
  connection: 1 << 9,
  upgrade: 1 << 10,
  expect: 1 << 11,
  forwardedFor: 1 << 12,
  forwardedProto: 1 << 13,
  forwardedHost: 1 << 14,
  forwardedPort: 1 << 15,
  forwardedPrefix: 1 << 16,
  requestId: 1 << 17,
  /** Says which trace the request belongs to. */
  trace: 1 << 18,
} as const

/** Roles that hold for whatever an endpoint could take for the field, such as `X_Forwarded_For`. */
const rolesOfLookalikes =
  role.hopByHop | role.droppedFromAnyone | role.droppedFromTrusted | role.droppedFromResponse | role.neverTrailer

const fromClients = role.droppedFromAnyone | role.neverTrailer | role.neverStripped
const fromProxies = fromClients | role.droppedFromTrusted
const ofOneHop = role.hopByHop | role.neverTrailer
const atTheHead = role.neverTrailer

/**
 * Why trailers are in here: a recipient that merges trailers into the headers would take a sender's word for framing,
 * routing, credentials or the way here (RFC 9110 §6.5.1).
 */
const withRoles: Readonly<Record<string, number>> = {
  connection: ofOneHop | role.connection,
  'keep-alive': ofOneHop,
  'proxy-authenticate': ofOneHop,
  'proxy-authorization': ofOneHop,
  'proxy-connection': ofOneHop,
  te: ofOneHop,
  'transfer-encoding': ofOneHop | role.transferEncoding,
  upgrade: ofOneHop | role.upgrade,
  forwarded: fromClients,
  'x-real-ip': fromClients,
  'x-forwarded-for': fromProxies | role.forwardedFor,
  'x-forwarded-proto': fromProxies | role.forwardedProto,
  'x-forwarded-host': fromProxies | role.forwardedHost,
  'x-forwarded-port': fromProxies | role.forwardedPort,
  'x-forwarded-prefix': fromProxies | role.forwardedPrefix,
  'x-request-id': fromProxies | role.droppedFromResponse | role.requestId,
  via: atTheHead | role.neverStripped,
  traceparent: role.neverStripped | role.trace,
  tracestate: role.neverStripped | role.trace,
  expect: atTheHead | role.droppedFromAnyone | role.droppedFromTrusted | role.expect,
  host: atTheHead | role.neverStripped | role.host,
  'content-length': atTheHead | role.neverStripped | role.contentLength,
  'content-type': atTheHead | role.neverStripped,
  authorization: atTheHead,
  'cache-control': atTheHead,
  'content-encoding': atTheHead,
  'content-range': atTheHead,
  cookie: atTheHead,
  'max-forwards': atTheHead,
  pragma: atTheHead,
  range: atTheHead,
  'set-cookie': atTheHead,
  trailer: atTheHead,
  'www-authenticate': atTheHead,
}

/** Names that mean nothing to a proxy and come often. */
const withoutRoles = [
  ...['accept', 'accept-encoding', 'accept-language', 'accept-ranges', 'access-control-allow-credentials'],
  ...['access-control-allow-headers', 'access-control-allow-methods', 'access-control-allow-origin'],
  ...['access-control-expose-headers', 'access-control-max-age', 'access-control-request-headers'],
  ...['access-control-request-method', 'age', 'allow', 'alt-svc', 'cf-connecting-ip', 'content-disposition'],
  ...['content-language', 'content-location', 'content-security-policy', 'date', 'dnt', 'etag', 'expires', 'from'],
  ...['idempotency-key', 'if-match', 'if-modified-since', 'if-none-match', 'if-range', 'if-unmodified-since'],
  ...['last-modified', 'link', 'location', 'origin', 'permissions-policy', 'priority', 'proxy-status', 'referer'],
  ...['referrer-policy', 'retry-after', 'sec-ch-ua', 'sec-ch-ua-mobile', 'sec-ch-ua-platform', 'sec-fetch-dest'],
  ...['sec-fetch-mode', 'sec-fetch-site', 'sec-fetch-user', 'sec-websocket-accept', 'sec-websocket-extensions'],
  ...['sec-websocket-key', 'sec-websocket-protocol', 'sec-websocket-version', 'server', 'server-timing'],
  ...['strict-transport-security', 'timing-allow-origin', 'upgrade-insecure-requests'],
  ...['user-agent', 'vary', 'x-api-key', 'x-content-type-options', 'x-correlation-id', 'x-frame-options'],
  ...['x-powered-by', 'x-requested-with', 'x-xss-protection'],
]

/** Spellings that no rule makes out of the lower-case name. */
const ownSpellings = [
  ...['DNT', 'ETag', 'Sec-WebSocket-Accept', 'Sec-WebSocket-Extensions', 'Sec-WebSocket-Key', 'TE', 'X-Real-IP'],
  ...['Sec-WebSocket-Protocol', 'Sec-WebSocket-Version', 'WWW-Authenticate', 'X-Request-ID', 'X-XSS-Protection'],
]

const lowerCaseNames = [...Object.keys(withRoles), ...withoutRoles]

/** Every spelling that is shared. */
export const commonSpellings: readonly string[] = [
  ...new Set([...lowerCaseNames, ...lowerCaseNames.map(capitalised), ...ownSpellings]),
]

const roles: ReadonlyMap<string, number> = new Map(
  commonSpellings.map((spelling) => [spelling, withRoles[spelling.toLowerCase()] ?? 0]),
)

/**
 * Which initials (bit 0: a) names of this length have that mean something: most other names are known by this to mean
 * nothing.
 */
const initials: readonly number[] = Object.keys(withRoles).reduce<number[]>(
  (masks, name) => {
    masks[name.length] = (masks[name.length] as number) | (1 << (name.charCodeAt(0) - 0x61))
    return masks
  },
  new Array(Math.max(...Object.keys(withRoles).map(({ length }) => length)) + 1).fill(0),
)

/** Without the blanks around it: spaces and tabs, and nothing else that JavaScript's `trim` takes (RFC 9110 §5.6.3). */
export function trimBlanks(text: string): string {
  return text.replace(/^[ \t]+|[ \t]+$/g, '')
}

/** The roles of a field, whatever the case of its name. */
export function rolesOf(name: string): number {
  return roles.get(name) ?? rolesOfOddSpelling(name)
}

function rolesOfOddSpelling(name: string): number {
  const mask = initials[name.length]
  if (mask === undefined || (mask & (1 << ((name.charCodeAt(0) | 0x20) - 0x61))) === 0) return 0
  const key = name.toLowerCase()
  // To a CGI-like endpoint `X_Forwarded_For` and `X-Forwarded-For` are one variable: a client must not fill it.
  if (key.includes('_')) {
    const meant = roles.get(key.replaceAll('_', '-')) ?? 0
    // One that could be taken for the framing does not pass at all.
    return (meant & rolesOfLookalikes) | ((meant & role.contentLength) === 0 ? 0 : role.hopByHop)
  }
  return roles.get(key) ?? 0
}

/** `x-real-ip` → `X-Real-Ip`. */
function capitalised(name: string): string {
  return name.replace(/\b[a-z]/g, (letter) => letter.toUpperCase())
}
