/** How does the proxy's log look to somebody who tries the demo? One short line an event instead of JSON. */

/** A destination for pino that hands `tell` a line of text for each event. */
export function shortLines(tell: (line: string) => void): { write(line: string): void } {
  return { write: (line) => tell(shorten(line)) }
}

/** `proxy: an endpoint was ejected (service accountservice, endpoint 127.0.0.11:80)` from pino's JSON. */
export function shorten(json: string): string {
  let event: Record<string, unknown>
  try {
    event = JSON.parse(json)
  } catch {
    return json
  }
  const { level, time, msg, ...fields } = event
  const details = Object.entries(fields).map(([key, value]) => `${key} ${plain(value)}`)
  const line = `proxy: ${msg}${details.length > 0 ? ` (${details.join(', ')})` : ''}`
  // Names come from whoever registers with the catalog: no control character of theirs may reach the terminal.
  return `${line.replaceAll(/\p{Cc}/gu, '?')}\n`
}

function plain(value: unknown): string {
  if (typeof value === 'object' && value !== null && 'message' in value) return String(value.message)
  return typeof value === 'string' ? value : JSON.stringify(value)
}
