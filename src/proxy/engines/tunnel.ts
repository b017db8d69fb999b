/** What happens once both sides have switched protocols: bytes both ways until both are done. */

import type { Socket } from 'node:net'

/** Long-lived and often silent: a peer that is gone must still be noticed. */
const keepAliveProbeMs = 30_000

/**
 * Joins two connections. Back-pressure and half-closing pass through; when either side breaks, so does the other.
 * @param onEnd called once, with the bytes that went up (to the endpoint) and down, when both are closed
 */
export function joinTunnel(
  client: Socket,
  upstream: Socket,
  onEnd: (bytesUp: number, bytesDown: number) => void,
): void {
  const upBefore = upstream.bytesWritten
  const downBefore = client.bytesWritten
  let open = 2
  for (const [from, to] of [
    [client, upstream],
    [upstream, client],
  ] as const) {
    from.setTimeout(0)
    from.setNoDelay(true)
    from.setKeepAlive(true, keepAliveProbeMs)
    from.on('error', () => to.destroy())
    from.once('close', () => {
      if (!to.writableEnded) to.end()
      // Nothing more can come from here, and nothing that goes there can be answered.
      if (from.readableEnded) to.destroySoon()
      else to.destroy()
      if (--open === 0) onEnd(upstream.bytesWritten - upBefore, client.bytesWritten - downBefore)
    })
    from.pipe(to)
  }
}
