/**
 * A ZooKeeper that does one thing at a time, when a test says so: takes a change, answers the next request, or lets the next
 * message through to the client. Its watches are one-shot; an event stands before every answer that shows the change, and may
 * overtake an answer that does not, as a server with several threads lets it.
 */

import type { Heard, ZookeeperConnection } from '../../../src/discovery/zookeeper/zookeeper-connection.ts'
import {
  codes,
  type ZookeeperAnswer,
  type ZookeeperRequest,
} from '../../../src/discovery/zookeeper/zookeeper-messages.ts'

export interface ModelServer {
  /** Path → data; the root is always there. */
  readonly nodes: ReadonlyMap<string, string>
  /** Nodes that nobody may read. */
  readonly closed: Set<string>
  /** Makes or changes a node; nothing happens when the one above it is not there. */
  put(path: string, data: string): void
  /** Takes it away, with all below. */
  delete(path: string): void
  /** A connection over which `onEvent` hears of what is watched. Only one at a time: the one before it hears nothing more. */
  connect(onEvent: (path: string) => void): ZookeeperConnection
  /** Answers the oldest request. @returns false: there is none */
  answer(): boolean
  /** Lets the oldest message through. @param overtaking an event behind it goes first, if that may be. @returns false: none */
  deliver(overtaking: boolean): boolean
  /** Requests that have been sent. */
  readonly requests: number
}

interface Message {
  readonly event: string | null
  readonly go: () => void
}

export function modelServer(): ModelServer {
  const nodes = new Map<string, string>()
  const closed = new Set<string>()
  const dataWatches = new Set<string>()
  const childWatches = new Set<string>()
  let asked: { request: ZookeeperRequest; then: (heard: Heard) => void }[] = []
  let outbox: Message[] = []
  let onEvent: (path: string) => void = () => {}
  let requests = 0

  const above = (path: string) => path.slice(0, path.lastIndexOf('/'))

  function fire(watches: readonly Set<string>[], path: string): void {
    let isWatched = false
    for (const set of watches) isWatched = set.delete(path) || isWatched
    const hear = onEvent
    if (isWatched) outbox.push({ event: path, go: () => hear(path) })
  }

  function answerTo(request: ZookeeperRequest): ZookeeperAnswer {
    const path = 'path' in request ? request.path : ''
    const data = nodes.get(path)
    if (request.kind === 'exists') dataWatches.add(path)
    if (data === undefined) return { kind: 'refused', code: codes.noNode }
    if (closed.has(path)) return { kind: 'refused', code: codes.noAuth }
    if (request.kind === 'data') {
      dataWatches.add(path)
      return { kind: 'data', data: Buffer.from(data), owner: 0n }
    }
    if (request.kind === 'children') {
      childWatches.add(path)
      const names = [...nodes.keys()].filter((each) => each !== path && above(each) === path)
      return { kind: 'children', names: names.map((each) => each.slice(path.length + 1)) }
    }
    return { kind: 'done' }
  }

  const model: ModelServer = {
    nodes,
    closed,
    get requests() {
      return requests
    },
    put(path, data) {
      if (above(path) !== '' && !nodes.has(above(path))) return
      const isNew = !nodes.has(path)
      nodes.set(path, data)
      fire([dataWatches], path)
      if (isNew) fire([childWatches], above(path))
    },
    delete(path) {
      for (const each of [...nodes.keys()].reverse()) if (each.startsWith(`${path}/`)) model.delete(each)
      if (!nodes.delete(path)) return
      fire([dataWatches, childWatches], path)
      fire([childWatches], above(path))
    },
    connect(hear) {
      for (const all of [dataWatches, childWatches]) all.clear()
      asked = []
      outbox = []
      onEvent = hear
      const own = asked
      return {
        ticket: { sessionId: 1n, password: Buffer.alloc(16) },
        send(request, then) {
          requests += 1
          own.push({ request, then })
        },
        ask: () => new Promise(() => {}),
        ended: new Promise(() => {}),
        close: async () => {},
      }
    },
    answer() {
      const next = asked.shift()
      if (next === undefined) return false
      const answer = answerTo(next.request)
      outbox.push({ event: null, go: () => next.then(answer) })
      return true
    },
    deliver(overtaking) {
      const [first, second] = outbox
      // An event that came after an answer was given is of a change that the answer does not show.
      const isFirst = !overtaking || first?.event !== null || second === undefined || second.event === null
      outbox.splice(isFirst ? 0 : 1, 1)[0]?.go()
      return first !== undefined
    },
  }
  return model
}
