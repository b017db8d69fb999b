/** What happens once both sides have switched protocols: bytes both ways until both are done. */

import type { ClientConnection } from './client-connection.ts'
import type { UpstreamSocket } from './upstream-socket.ts'

/** Long-lived and often silent: a peer that is gone must still be noticed. */
const keepAliveProbeMs = 30_000

/**
 * Joins two connections. Back-pressure and half-closing pass through; when either side breaks, so does the other.
 * @param early what the endpoint sent right behind its head
 * @param onEnd called once, with the bytes that went up (to the endpoint) and down, when both are closed
 */
export function joinTunnel(
  connection: ClientConnection,
  upstream: UpstreamSocket,
  early: Buffer,
  onEnd: (bytesUp: number, bytesDown: number) => void,
): void {
  const client = connection.socket
  let up = 0
  let down = 0
  let open = 2
  const closed = (): void => {
    if (--open === 0) onEnd(up, down)
  }
  const toEndpoint = (bytes: Buffer): void => {
    up += bytes.length
    if (!upstream.destroyed && !upstream.write(bytes)) client.pause()
  }
  const toClient = (bytes: Buffer): void => {
    down += bytes.length
    if (!client.destroyed && !client.write(bytes)) upstream.pause()
  }

  for (const socket of [client, upstream]) {
    socket.setNoDelay(true)
    socket.setKeepAlive(true, keepAliveProbeMs)
  }
  const earlyFromClient = connection.becomeTunnel()
  upstream.user = {
    reads: true,
    onConnect: () => {},
    // Copied: the bytes are only there for this call, and the client may be slow.
    onBytes: (_, bytes, end) => toClient(Buffer.from(bytes.subarray(0, end))),
    onEnd: () => client.end(),
    onDrain: () => client.resume(),
    onDefect: () => client.destroy(),
    onClose: () => {
      if (!client.writableEnded) client.end()
      // Nothing more can come from here, and nothing that goes there can be answered.
      if (upstream.readableEnded) client.destroySoon()
      else client.destroy()
      closed()
    },
  }
  client.on('data', toEndpoint)
  client.on('end', () => upstream.end())
  client.on('drain', () => upstream.resume())
  client.on('close', () => {
    if (!upstream.writableEnded) upstream.end()
    if (client.readableEnded) upstream.destroySoon()
    else upstream.destroy()
    closed()
  })
  if (early.length > 0) toClient(early)
  if (earlyFromClient.length > 0) toEndpoint(earlyFromClient)
  if (connection.hasEnded) upstream.end()
  if (!upstream.writableNeedDrain) client.resume()
}
