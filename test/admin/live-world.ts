/** An admin listener with the live page over a table that a test makes up, and readers of its stream. */

import { get, type IncomingMessage } from 'node:http'
import { createCounters } from '../../src/admin/counters.ts'
import type { Detail, Frame, State } from '../../src/admin/dashboard/messages.ts'
import { createLive, type LiveDeps } from '../../src/admin/live.ts'
import type { Readiness } from '../../src/admin/readiness.ts'
import type { ServiceView } from '../../src/balancer/view.ts'
import { waitFor } from '../support/wait.ts'
import { explaining, plainCatalog, record, tableView } from './fixtures.ts'
import { start } from './server-setup.ts'

export type LiveWorld = Awaited<ReturnType<typeof startLiveWorld>>

/** @param port 0: any free one */
export async function startLiveWorld(services: readonly ServiceView[], port = 0, more: Partial<LiveDeps> = {}) {
  const counters = createCounters()
  const errors: unknown[] = []
  const table = {
    services,
    readiness: { state: 'fresh', ageMs: 100 } as Readiness,
    catalog: plainCatalog,
    viewsMade: 0,
  }
  const live = createLive({
    version: '1.2.3',
    engine: 'wire',
    now: () => performance.now(),
    epochNow: Date.now,
    view: () => {
      table.viewsMade += 1
      return tableView(...table.services)
    },
    viewService: (name) => table.services.find((each) => each.name === name) ?? null,
    knows: () => true,
    slots: counters.services,
    readiness: () => table.readiness,
    catalog: () => table.catalog,
    explaining,
    onError: (error) => errors.push(error),
    ...more,
  })
  const { server, port: taken, url } = await start({ live }, '127.0.0.1', port)
  return {
    table,
    live,
    server,
    port: taken,
    url,
    errors,
    /** As if a request to the service had ended. */
    request(service: string, status = 200, durationMs = 5) {
      counters.onRequestStart(service)
      counters.onRequestEnd(record({ service, status, durationMs }))
    },
    close: () => server.close(),
  }
}

export interface Reader {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  readonly states: readonly State[]
  readonly frames: readonly Frame[]
  readonly details: readonly Detail[]
  /** Waits for a message of which this holds. */
  frame(what: string, holds: (frame: Frame) => boolean): Promise<Frame>
  detail(what: string, holds: (detail: Detail) => boolean): Promise<Detail>
  readonly ended: Promise<void>
  /** Reads no more, and keeps the connection. */
  pause(): void
  resume(): void
  close(): void
}

/** Reads a stream; resolves once its head is there, and its first event if it is one. */
export async function openReader(
  port: number,
  query = '',
  headers: Readonly<Record<string, string>> = {},
): Promise<Reader> {
  const states: State[] = []
  const frames: Frame[] = []
  const details: Detail[] = []
  let text = ''
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    get({ host: '127.0.0.1', port, path: `/api/live${query}`, headers, agent: false }, resolve).on('error', reject)
  })
  const ended = new Promise<void>((resolve) => {
    answer.on('close', resolve)
  })
  answer.on('error', () => {})
  answer.setEncoding('utf8')
  answer.on('data', (piece: string) => {
    text += piece
    const blocks = text.split('\n\n')
    text = blocks.pop() ?? ''
    for (const block of blocks) {
      const [, event, data] = /^event: (\w+)\ndata: (.*)$/s.exec(block) ?? []
      if (event === 'state') states.push(JSON.parse(data ?? ''))
      else if (event === 'frame') frames.push(JSON.parse(data ?? ''))
      else if (event === 'detail') details.push(...JSON.parse(data ?? ''))
    }
  })
  if (answer.statusCode === 200) await waitFor('the first event', () => states.length > 0)
  return {
    status: answer.statusCode ?? 0,
    headers: answer.headers,
    states,
    frames,
    details,
    frame: (what, holds) => waitFor(what, () => frames.find(holds)),
    detail: (what, holds) => waitFor(what, () => details.find(holds)),
    ended,
    pause: () => void answer.pause(),
    resume: () => void answer.resume(),
    close: () => answer.destroy(),
  }
}
