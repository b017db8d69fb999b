/**
 * How are the nodes below the path read over one connection, and read again when they change? A number of readings is under
 * way at once; each sets a watch, and an event asks for the next one. What is read goes into the table.
 */

import type { ZookeeperConnection } from './zookeeper-connection.ts'
import type { ZookeeperMishap } from './zookeeper-failure.ts'
import { codes } from './zookeeper-messages.ts'
import { createReads, pathOf, type Target, targetAt } from './zookeeper-reads.ts'
import { MAX_NODES, type ZookeeperTable } from './zookeeper-table.ts'

export interface ReadingOptions {
  /** The path that all is below. */
  readonly base: string
  /** Readings that are under way at once. */
  readonly window: number
  /** A service that changes without end is told after so long all the same. */
  readonly patienceMs: number
}

/** Who is told. */
export interface Reader {
  /** Something has been read. `news`: the catalog says something new because of it. */
  onRead(news: boolean): void
  /** There is no node at the path, and never was one as far as is known. It is watched for. */
  onMissing(): void
  /** This node may not be read, or may be read again. Asked of by `retryRefused`. */
  onRefused(path: string): void
  onAllowed(path: string): void
  /** It cannot go on. */
  onFailed(mishap: ZookeeperMishap, path: string): void
}

export interface Reading {
  /** All that is known to have changed has been read. */
  readonly isSettled: boolean
  /** Something has happened to the node at this path. */
  event(path: string): void
  /** Reads the list of services and these services once more. */
  again(services: readonly string[]): void
  /** Tries again to read what may not be read: no watch tells that it may be. */
  retryRefused(): void
  /** Nobody is told anything any more. */
  stop(): void
}

/** Before a service is known as it is now, patience is so much longer: half of it says less than what was known before. */
const PATIENCE_AT_FIRST = 60

/** Begins to read everything. @param now milliseconds of a clock that never goes back */
export function startReading(
  connection: ZookeeperConnection,
  table: ZookeeperTable,
  options: ReadingOptions,
  reader: Reader,
  now: () => number,
): Reading {
  const { base, window, patienceMs } = options
  const reads = createReads()
  const refused = new Map<string, Target>()
  /** Since when a service has been waiting to be put together. */
  const sinceMs = new Map<string, number>()
  let underWay = 0
  let isMissing = false
  let isStopped = false

  function pump(): void {
    while (!isStopped && underWay < window) {
      const target = reads.next()
      if (target === null) return
      const path = `${base}${pathOf(target)}`
      underWay += 1
      connection.send({ kind: target.kind === 'instance' ? 'data' : 'children', path }, (heard) => {
        underWay -= 1
        if (isStopped || heard.kind === 'lost') return
        reads.finished(target)
        if (heard.kind === 'refused') {
          if (heard.code === codes.noNode) gone(target)
          else if (heard.code === codes.noAuth && target.kind !== 'services') refuse(target, path)
          else return reader.onFailed(heard, path)
        } else {
          if (refused.delete(path)) reader.onAllowed(path)
          if (heard.kind === 'children') children(target, heard.names)
          if (heard.kind === 'data' && target.kind === 'instance') table.instance(target.service, target.id, heard.data)
        }
        if (table.isFull) return reader.onFailed({ kind: 'full', most: MAX_NODES }, base)
        if (!isMissing) told(target)
        pump()
      })
    }
  }

  function children(target: Target, names: readonly string[]): void {
    if (target.kind === 'services') {
      isMissing = false
      for (const service of table.services(names)) reads.need({ kind: 'service', service })
    } else if (target.kind === 'service') {
      const { service } = target
      for (const id of table.instances(service, names)) reads.need({ kind: 'instance', service, id })
    }
  }

  function gone(target: Target): void {
    switch (target.kind) {
      case 'services':
        isMissing = true
        return lookForBase()
      case 'service':
        return table.gone(target.service)
      case 'instance':
        return table.instance(target.service, target.id, null)
      default:
        target satisfies never
    }
  }

  /** What is not there has no children to be watched, but it can be watched itself. */
  function lookForBase(): void {
    underWay += 1
    connection.send({ kind: 'exists', path: base }, (heard) => {
      underWay -= 1
      if (isStopped || heard.kind === 'lost') return
      if (heard.kind !== 'refused') reads.need({ kind: 'services' })
      else if (heard.code !== codes.noNode) return reader.onFailed(heard, base)
      else if (table.catalog() === null) reader.onMissing()
      else {
        // Somebody has deleted it, and all services with it: that is an answer, which has to be believable like any other.
        table.services([])
        reader.onRead(table.assemble(''))
      }
      pump()
    })
  }

  function refuse(target: Target, path: string): void {
    if (target.kind === 'instance') table.unreadable(target.service, target.id, 'may not be read (NoAuth)')
    else if (target.kind === 'service') table.unreadable(target.service, null, 'its node may not be read (NoAuth)')
    refused.set(path, target)
    reader.onRefused(path)
  }

  function told(target: Target): void {
    if (target.kind === 'services') return reader.onRead(table.assemble(''))
    const { service } = target
    const since = sinceMs.get(service) ?? now()
    const patience = table.isCurrent(service) ? patienceMs : patienceMs * PATIENCE_AT_FIRST
    const isDone = reads.isDone(service)
    if (isDone) sinceMs.delete(service)
    else if (now() - since < patience) {
      sinceMs.set(service, since)
      return
    } else sinceMs.set(service, now())
    reader.onRead(table.assemble(service))
  }

  table.restart()
  reads.need({ kind: 'services' })
  pump()

  return {
    get isSettled() {
      return reads.isEmpty && underWay === 0
    },
    event(path) {
      const target = targetAt(path, base)
      if (target === null) return
      if (target.kind === 'service' && !table.has(target.service)) return
      if (target.kind === 'instance' && !table.has(target.service, target.id)) return
      reads.changed(target)
      pump()
    },
    again(services) {
      reads.changed({ kind: 'services' })
      for (const service of services.filter((name) => table.has(name))) {
        reads.changed({ kind: 'service', service })
        for (const id of table.idsOf(service)) reads.changed({ kind: 'instance', service, id })
      }
      pump()
    },
    retryRefused() {
      for (const [path, target] of refused) {
        const isKnown =
          target.kind === 'instance'
            ? table.has(target.service, target.id)
            : target.kind === 'service' && table.has(target.service)
        if (isKnown) reads.need(target)
        else if (refused.delete(path)) reader.onAllowed(path)
      }
      if (isMissing && table.catalog() === null) reader.onMissing()
      pump()
    },
    stop() {
      isStopped = true
      reads.clear()
    },
  }
}
