/**
 * What is said to ZooKeeper, and what does it say? Pure: requests in, bytes out; bytes in, answers out. The layouts are
 * those of ZooKeeper's zookeeper.jute, the numbers those of its ZooDefs and KeeperException; they are the same since 3.4.
 */

import { type JuteReader, juteBool, juteBytes, juteFrame, juteInt, juteLong, juteReader, juteText } from './jute.ts'

/** What a client has to show to go on with its session, over another connection or at another server. */
export interface Ticket {
  readonly sessionId: bigint
  readonly password: Buffer
}

export type ZookeeperRequest =
  /** The next three leave a watch behind: one event, for the next change from what the answer says. */
  | { readonly kind: 'children'; readonly path: string }
  | { readonly kind: 'data'; readonly path: string }
  /** The only one that watches a node that is not there. */
  | { readonly kind: 'exists'; readonly path: string }
  /** Answered once the server knows all that its leader knew when asked. */
  | { readonly kind: 'sync'; readonly path: string }
  | { readonly kind: 'create'; readonly path: string; readonly data: string; readonly as: NodeKind }
  | { readonly kind: 'set'; readonly path: string; readonly data: string }
  | { readonly kind: 'delete'; readonly path: string }
  | { readonly kind: 'ping' }
  /** `user:password` */
  | { readonly kind: 'auth'; readonly digest: string }
  /** Ends the session, and with it the nodes that are its own. */
  | { readonly kind: 'close' }

/** `stays` until it is deleted, and anybody may put nodes below it; the others go with the session. */
export type NodeKind =
  | 'stays'
  | 'goes'
  /** Others may only read it. For a session that has logged in. */
  | 'goes-guarded'

export type ZookeeperAnswer =
  | { readonly kind: 'children'; readonly names: readonly string[] }
  /** `owner`: the session that the node goes with; 0: it stays. */
  | { readonly kind: 'data'; readonly data: Buffer; readonly owner: bigint }
  | { readonly kind: 'done' }
  /** One of `codes`, or another one. */
  | { readonly kind: 'refused'; readonly code: number }

export type Hello =
  | { readonly kind: 'session'; readonly ticket: Ticket; readonly timeoutMs: number; readonly isReadOnly: boolean }
  | { readonly kind: 'expired' }

export const codes = {
  noNode: -101,
  noAuth: -102,
  noChildren: -108,
  nodeExists: -110,
  sessionExpired: -112,
  authFailed: -115,
  sessionMoved: -118,
  saslWanted: -124,
  throttled: -127,
} as const

const NAMES = new Map<number, string>([
  ...[[-1, 'SystemError'] as const, [-4, 'ConnectionLoss'] as const, [-5, 'MarshallingError'] as const],
  ...[[-6, 'Unimplemented'] as const, [-7, 'OperationTimeout'] as const, [-8, 'BadArguments'] as const],
  ...[[-101, 'NoNode'] as const, [-102, 'NoAuth'] as const, [-103, 'BadVersion'] as const],
  ...[[-108, 'NoChildrenForEphemerals'] as const, [-110, 'NodeExists'] as const, [-111, 'NotEmpty'] as const],
  ...[[-112, 'SessionExpired'] as const, [-114, 'InvalidACL'] as const, [-115, 'AuthFailed'] as const],
  ...[[-118, 'SessionMoved'] as const, [-119, 'NotReadOnly'] as const, [-125, 'QuotaExceeded'] as const],
  ...[[-124, 'SessionClosedRequireAuth'] as const, [-127, 'ThrottledOp'] as const],
])

/** What ZooKeeper's documentation calls it. */
export function nameOfCode(code: number): string {
  return NAMES.get(code) ?? `error ${code}`
}

const TYPES: Readonly<Record<ZookeeperRequest['kind'], number>> = {
  ...{ create: 1, delete: 2, exists: 3, data: 4, set: 5, children: 8, sync: 9, ping: 11, auth: 100, close: -11 },
}

/** What an answer to these has in place of a number that counts up; no request of another kind may have it. */
export const xids = { event: -1, ping: -2, auth: -4 } as const

const ANY_VERSION = -1
const EPHEMERAL = 1
const READ = 1
const ALL = 31

/**
 * The first message of a connection.
 * @param lastZxid a server that knows of less refuses; 0: any may answer
 */
export function encodeHello(ticket: Ticket | null, timeoutMs: number, lastZxid: bigint): Buffer {
  const { sessionId, password } = ticket ?? { sessionId: 0n, password: Buffer.alloc(16) }
  return juteFrame([
    ...[juteInt(0), juteLong(lastZxid), juteInt(timeoutMs), juteLong(sessionId), juteBytes(password)],
    // A server that has lost the others, and would only read, is not wanted.
    juteBool(false),
  ])
}

export function encodeRequest(xid: number, request: ZookeeperRequest): Buffer {
  return juteFrame([juteInt(xid), juteInt(TYPES[request.kind]), ...bodyOf(request)])
}

function bodyOf(request: ZookeeperRequest): Buffer[] {
  switch (request.kind) {
    case 'children':
    case 'data':
    case 'exists':
      return [juteText(request.path), juteBool(true)]
    case 'sync':
      return [juteText(request.path)]
    case 'create': {
      const rights =
        request.as === 'goes-guarded'
          ? [juteInt(2), ...right(READ, 'world', 'anyone'), ...right(ALL, 'auth', '')]
          : [juteInt(1), ...right(ALL, 'world', 'anyone')]
      const flags = request.as === 'stays' ? 0 : EPHEMERAL
      return [juteText(request.path), juteText(request.data), ...rights, juteInt(flags)]
    }
    case 'set':
      return [juteText(request.path), juteText(request.data), juteInt(ANY_VERSION)]
    case 'delete':
      return [juteText(request.path), juteInt(ANY_VERSION)]
    case 'auth':
      return [juteInt(0), juteText('digest'), juteText(request.digest)]
    case 'ping':
    case 'close':
      return []
    default:
      return request satisfies never
  }
}

function right(permissions: number, scheme: string, id: string): Buffer[] {
  return [juteInt(permissions), juteText(scheme), juteText(id)]
}

/** @throws RangeError for what is no answer to `encodeHello` */
export function decodeHello(message: Buffer): Hello {
  const reader = juteReader(message)
  const version = reader.int()
  const timeoutMs = reader.int()
  const sessionId = reader.long()
  const password = Buffer.from(reader.bytes() ?? [])
  // Servers before 3.4 do not say it.
  const isReadOnly = reader.left > 0 && reader.bool()
  if (version !== 0 || reader.left > 0) throw new RangeError('it does not begin like a session')
  if (timeoutMs <= 0 || sessionId === 0n) return { kind: 'expired' }
  return { kind: 'session', ticket: { sessionId, password }, timeoutMs, isReadOnly }
}

export interface Header {
  readonly xid: number
  /** The last change that the server knew of; not above 0: it does not say. */
  readonly zxid: bigint
  readonly code: number
  readonly body: JuteReader
}

/** What every message after the first one begins with. @throws RangeError */
export function decodeHeader(message: Buffer): Header {
  const body = juteReader(message)
  return { xid: body.int(), zxid: body.long(), code: body.int(), body }
}

/** The path of the node that something has happened to; null: it is about none. @throws RangeError */
export function decodeEvent({ body }: Header): string | null {
  const type = body.int()
  body.int()
  const path = body.text()
  return type < 0 ? null : path
}

/** @throws RangeError */
export function decodeAnswer(kind: ZookeeperRequest['kind'], { code, body }: Header): ZookeeperAnswer {
  if (code !== 0) return { kind: 'refused', code }
  switch (kind) {
    case 'children':
      return { kind: 'children', names: body.texts() }
    case 'data': {
      const data = body.bytes() ?? Buffer.alloc(0)
      // When it was made and changed, four times; its versions, three.
      for (let skipped = 0; skipped < 4; skipped += 1) body.long()
      for (let skipped = 0; skipped < 3; skipped += 1) body.int()
      return { kind: 'data', data, owner: body.long() }
    }
    case 'exists':
    case 'sync':
    case 'create':
    case 'set':
    case 'delete':
    case 'ping':
    case 'auth':
    case 'close':
      return { kind: 'done' }
    default:
      return kind satisfies never
  }
}
