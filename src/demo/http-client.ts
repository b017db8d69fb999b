/** How do the sample services call others over HTTP? One small request with a deadline, whose answer is bounded text. */

import { type Agent, request as httpRequest } from 'node:http'

export interface SmallRequest {
  readonly method: 'GET' | 'PUT'
  readonly url: string
  /** Sent as JSON. */
  readonly body?: unknown
  readonly timeoutMs: number
  readonly agent: Agent
}

const maxAnswerLength = 64 * 1024

/** Resolves with whatever status was answered; rejects when there was no complete answer within `timeoutMs`. */
export function send(ask: SmallRequest): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const signal = AbortSignal.timeout(ask.timeoutMs)
    const request = httpRequest(ask.url, { method: ask.method, agent: ask.agent, signal })
    request.on('error', (error) => reject(signal.aborted ? new Error(`no answer in ${ask.timeoutMs} ms`) : error))
    request.on('response', (response) => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (piece: string) => {
        text += piece
        if (text.length > maxAnswerLength) response.destroy(new Error('the answer is too long'))
      })
      response.on('error', reject)
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text }))
    })
    request.end(ask.body === undefined ? undefined : JSON.stringify(ask.body))
  })
}
