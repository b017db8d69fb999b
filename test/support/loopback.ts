/** How does a little server of a test get a free port of its own, and how is it ended for certain? */

import { once } from 'node:events'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'

/**
 * Binds `server` to a free port of 127.0.0.1.
 * @param cleanups is given what ends it, with whatever is still open
 * @returns the port
 */
export async function listenOnLoopback(server: Server, cleanups: (() => Promise<unknown>)[]): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  cleanups.push(async () => {
    server.close()
    server.closeAllConnections()
    await once(server, 'close')
  })
  return (server.address() as AddressInfo).port
}
