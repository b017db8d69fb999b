/** Is this an error of the proxy's own, as its documentation promises? */

import { expect } from 'vitest'
import { header, type Message } from './messages.ts'

export function expectProblem(message: Message, status: number): void {
  expect(message.status).toBe(status)
  expect(header(message, 'content-type')).toBe('application/problem+json')
  expect(header(message, 'proxy-status')).toMatch(/^evenkeel; error=[a-z_]+/)
  const document = JSON.parse(message.body) as Record<string, unknown>
  expect(document).toMatchObject({ type: 'about:blank', status })
  expect(document.requestId).toBe(header(message, 'x-request-id'))
}
