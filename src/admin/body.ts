/** What did a caller of the admin listener send along? Little, or it is not read to its end. */

import type { IncomingMessage } from 'node:http'

export type Body =
  | { readonly kind: 'read'; readonly text: string }
  | { readonly kind: 'too-long' }
  /** The connection ended in the middle of it: nobody waits for an answer. */
  | { readonly kind: 'broken-off' }

/** The body of a request as text, of so many bytes at the most. Never rejects; the listener's own deadlines end it. */
export function readBody(request: IncomingMessage, maxBytes: number): Promise<Body> {
  return new Promise((resolve) => {
    const pieces: Buffer[] = []
    let bytes = 0
    request.on('data', (piece: Buffer) => {
      bytes += piece.length
      if (bytes <= maxBytes) pieces.push(piece)
      else resolve({ kind: 'too-long' })
    })
    request.on('end', () => resolve({ kind: 'read', text: Buffer.concat(pieces).toString('utf8') }))
    request.on('error', () => resolve({ kind: 'broken-off' }))
    request.on('close', () => resolve({ kind: 'broken-off' }))
  })
}
