/** How does an engine open its port? */

import type { AddressInfo, Server } from 'node:net'

/**
 * Binds; port 0 means any free one. Resolves with the port taken; rejects when it cannot be had.
 * @param onFailure what goes wrong later, such as accepting a connection without a file descriptor: that must not end
 * the process
 */
export function listenOn(
  server: Server,
  host: string,
  port: number,
  onFailure: (error: Error) => void,
): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host, port, backlog: 1_024 }, () => {
      server.removeListener('error', reject)
      server.on('error', onFailure)
      resolve((server.address() as AddressInfo).port)
    })
  })
}
