/** How do bodies get across? Piece by piece, with the slower side setting the pace, and their trailers behind them. */

import type { ClientRequest, IncomingMessage, ServerResponse } from 'node:http'
import { trailerPairs } from './node-heads.ts'

/**
 * Passes the body of a client's request on.
 * @param onPiece told of each piece's size before it is passed on; false stops the pump
 * @param onDrained the endpoint takes more again
 * @param onEnd the last piece has come from the client
 * @returns stops the pump; what the client still sends is read and dropped, so that it comes to the end of its request
 * and reads the answer
 */
export function pumpRequestBody(
  req: IncomingMessage,
  upstream: ClientRequest,
  on: { readonly onPiece: (bytes: number) => boolean; readonly onDrained: () => void; readonly onEnd: () => void },
): () => void {
  let begun = false
  const onData = (piece: Buffer): void => {
    begun = true
    if (on.onPiece(piece.length) && !upstream.write(piece)) req.pause()
  }
  const onDrain = (): void => {
    on.onDrained()
    req.resume()
  }
  const onEnd = (): void => {
    if (req.rawTrailers.length > 0) upstream.addTrailers(trailerPairs(req))
    on.onEnd()
    upstream.end()
  }
  req.on('data', onData)
  req.on('end', onEnd)
  upstream.on('drain', onDrain)
  // An endpoint may have something to say before the body begins; most bodies come right behind their head.
  setImmediate(() => {
    if (!begun && !upstream.destroyed) upstream.flushHeaders()
  })
  return () => {
    req.removeListener('data', onData)
    req.removeListener('end', onEnd)
    upstream.removeListener('drain', onDrain)
    req.resume()
  }
}

/**
 * Passes the body of an endpoint's response on, and ends the client's when it is whole.
 * @param isOver true once the attempt has ended otherwise: after a reset, Node ends a response as if it were whole
 * @param onPiece told of each piece's size
 * @param onDrained the client takes more again
 * @param onEnd the answer has been handed over to its end
 */
export function pumpResponseBody(
  response: IncomingMessage,
  res: ServerResponse,
  on: {
    readonly isOver: () => boolean
    readonly onPiece: (bytes: number) => void
    readonly onDrained: () => void
    readonly onEnd: () => void
  },
): void {
  let begun = false
  response.on('data', (piece: Buffer) => {
    if (on.isOver()) return
    begun = true
    on.onPiece(piece.length)
    if (!res.write(piece)) response.pause()
  })
  res.on('drain', () => {
    on.onDrained()
    response.resume()
  })
  response.on('end', () => {
    begun = true
    if (on.isOver() || !response.complete) return
    if (response.rawTrailers.length > 0) res.addTrailers(trailerPairs(response))
    res.end()
    on.onEnd()
  })
  // A stream that has nothing to say yet must still show its head; most answers bring their body along.
  setImmediate(() => {
    if (!begun && !on.isOver()) res.flushHeaders()
  })
}
