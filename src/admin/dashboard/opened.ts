/** How many services can be open at once? No more than the proxy tells of, nor than a request has room to name. Pure. */

/** The proxy tells of no more. */
const mostOpened = 20
/** The head of a request may have 8 KiB at the proxy, and a browser has much to say of itself besides. */
const longestQuery = 5_000

/** Those of the names, the newest last, that can be open together: the newest ones. */
export function openable(names: readonly string[]): ReadonlySet<string> {
  const last = [...new Set(names)].slice(-mostOpened)
  while (last.length > 0 && queryOf(new Set(last)).length > longestQuery) last.shift()
  return new Set(last)
}

/** What asks for them; null: the proxy chooses. */
export function queryOf(opened: ReadonlySet<string> | null): string {
  if (opened === null) return ''
  // Without any, it says that none are wanted.
  const names = opened.size === 0 ? [''] : [...opened]
  return `?${names.map((name) => `open=${encodeURIComponent(name)}`).join('&')}`
}
