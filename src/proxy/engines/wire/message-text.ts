/** How is a message's head written down? One string a head, for one write. */

import { STATUS_CODES } from 'node:http'
import type { RawHeaders, Reply } from '../../exchange.ts'

/** The field lines of a head. */
export function fieldLines(fields: RawHeaders): string {
  let text = ''
  for (let index = 0; index < fields.length; index += 2) text += `${fields[index]}: ${fields[index + 1]}\r\n`
  return text
}

/** The proxy's own answer. `more`: fields of the connection. `body`: false in answer to HEAD. */
export function replyText(reply: Reply, more: RawHeaders, body = true): string {
  const reason = STATUS_CODES[reply.status] ?? 'Refused'
  const head = `HTTP/1.1 ${reply.status} ${reason}\r\nDate: ${httpDate()}\r\n${fieldLines(reply.headers)}${fieldLines(more)}\r\n`
  return body ? head + reply.body : head
}

let dateText = ''
let dateSecond = 0

/** The time of day as HTTP writes it (RFC 9110 §5.6.7), made once a second. */
export function httpDate(): string {
  const time = Date.now()
  const second = Math.floor(time / 1_000)
  if (second !== dateSecond) {
    dateSecond = second
    dateText = new Date(time).toUTCString()
  }
  return dateText
}

/** True when a head has a Date: an answer without one gets the proxy's (RFC 9110 §6.6.1). */
export function hasDate(fields: RawHeaders): boolean {
  for (let index = 0; index < fields.length; index += 2) {
    const name = fields[index] as string
    if (name.length === 4 && name.toLowerCase() === 'date') return true
  }
  return false
}
