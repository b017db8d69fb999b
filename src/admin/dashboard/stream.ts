/**
 * How does the page hear from the proxy, and what if it does not? One stream of server-sent events, opened anew with
 * growing patience when it breaks, and when nothing has come for a while although it seems to stand: a laptop that
 * slept, a cable that was pulled. A page that nobody can see lets go of it: a browser has but six connections to a host.
 */

import type { Detail, Frame, State } from './messages.ts'
import { queryOf } from './opened.ts'

export interface StreamListeners {
  readonly onState: (state: State) => void
  readonly onFrame: (frame: Frame) => void
  readonly onDetails: (details: readonly Detail[]) => void
  /** Told each time that an attempt is in vain. `isFull`: the proxy has no room for another page. */
  readonly onLost: (isFull: boolean) => void
}

export interface PageStream {
  /** @param opened services whose endpoints are wanted; null: the proxy chooses */
  open(opened: ReadonlySet<string> | null): void
}

const firstRetryMs = 500
const longestRetryMs = 5_000
/** A frame comes every second. */
const silentMs = 8_000
const hiddenMs = 30_000

export function createPageStream(listeners: StreamListeners): PageStream {
  let source: EventSource | null = null
  let wanted: ReadonlySet<string> | null = null
  let retryMs = firstRetryMs
  let retry = 0
  let heardMs = 0
  let hiding = 0

  function connect(): void {
    disconnect()
    const made = new EventSource(`/api/live${queryOf(wanted)}`)
    source = made
    heardMs = performance.now()
    const hear = <T>(event: string, listener: (message: T) => void): void =>
      made.addEventListener(event, ({ data }: MessageEvent<string>) => {
        heardMs = performance.now()
        listener(JSON.parse(data))
      })
    hear<State>('state', (state) => {
      retryMs = firstRetryMs
      listeners.onState(state)
    })
    hear('frame', listeners.onFrame)
    hear('detail', listeners.onDetails)
    made.onerror = lose
  }

  function disconnect(): void {
    clearTimeout(retry)
    source?.close()
    source = null
  }

  function lose(): void {
    disconnect()
    listeners.onLost(false)
    retry = setTimeout(connect, retryMs)
    retryMs = Math.min(longestRetryMs, retryMs * 2)
    // What was wrong an event source does not tell.
    fetch('/api/live', { method: 'HEAD' }).then(
      ({ status }) => {
        if (status === 503 && source === null) listeners.onLost(true)
      },
      () => {},
    )
  }

  setInterval(() => {
    if (source !== null && performance.now() - heardMs > silentMs) lose()
  }, 1_000)

  document.addEventListener('visibilitychange', () => {
    clearTimeout(hiding)
    if (document.hidden) hiding = setTimeout(disconnect, hiddenMs)
    else if (source === null) connect()
  })

  return {
    open(opened) {
      wanted = opened
      connect()
    },
  }
}
