/** A request to switch protocols, and an answer that agrees to it. */

import { request } from './harness.ts'

export const switching = (protocol = 'websocket', fields: readonly string[] = []) =>
  request('/s/chat', [
    'Connection: Upgrade',
    `Upgrade: ${protocol}`,
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    ...fields,
  ])
export const switched =
  'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\n'
