/**
 * Who listens to `/api/live`? Server-sent events to a bounded number of pages; one that does not read what it is sent is
 * dropped, for else the proxy would keep it all. Every page gets a frame a second, so that none needs a ping.
 */

import type { ServerResponse } from 'node:http'

/** More than that get a 503. A browser has six connections to a host, so these are at least as many people. */
export const mostStreams = 32
/** What may wait to be read, besides the first event. */
const mostBufferedBytes = 1024 * 1024
const retryMs = 2_000

export interface Stream {
  /** Services that are opened on the page, as it calls them; null: it leaves that to us. */
  readonly opened: readonly string[] | null
  send(event: string, json: string): void
  sendBytes(bytes: Buffer): void
}

export interface Streams {
  /** False: no more can be had. */
  readonly hasRoom: () => boolean
  readonly all: ReadonlySet<Stream>
  /** Begins a stream whose head is written. */
  add(response: ServerResponse, opened: Stream['opened'], first: string): void
  close(): void
}

/** @param onEmpty the last one is gone */
export function createStreams(onEmpty: () => void): Streams {
  const streams = new Map<Stream, ServerResponse>()
  const all = new Set<Stream>()
  let isClosed = false

  return {
    hasRoom: () => !isClosed && all.size < mostStreams,
    all,
    add(response, opened, first) {
      // Who has left meanwhile would never be said to leave; and others may have taken the last place.
      if (response.destroyed) return
      if (isClosed || all.size >= mostStreams) {
        response.end()
        return
      }
      const opening = eventBytes('state', first)
      const most = mostBufferedBytes + opening.length
      const sendBytes = (bytes: Buffer): void => {
        if (response.destroyed) return
        response.write(bytes)
        if (response.writableLength > most) response.destroy()
      }
      const stream: Stream = { opened, send: (event, json) => sendBytes(eventBytes(event, json)), sendBytes }
      streams.set(stream, response)
      all.add(stream)
      response.on('error', () => {})
      response.on('close', () => {
        streams.delete(stream)
        all.delete(stream)
        if (all.size === 0) onEmpty()
      })
      response.write(`retry: ${retryMs}\n\n`)
      sendBytes(opening)
    },
    close() {
      isClosed = true
      for (const response of streams.values()) response.end()
    },
  }
}

/** @param json without line breaks, as `JSON.stringify` writes it */
export function eventBytes(event: string, json: string): Buffer {
  return Buffer.from(`event: ${event}\ndata: ${json}\n\n`)
}
