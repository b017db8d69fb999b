/** How does text that anybody may have put into a catalog get into a log line, a page or a reason? Short and printable. */

const INVISIBLE = /[\p{C}\p{Zl}\p{Zp}]/gu
/** Nearly every text is of these, which is seen in a fortieth of the time that looking for the others takes. */
const PLAIN = /^[ -~]*$/

/**
 * `text` as one printable line of at most `max` UTF-16 code units: control, format and line-breaking characters (which
 * could forge log lines or reverse their order) become `?`, and what was cut off becomes `…`.
 */
export function printable(text: string, max: number): string {
  if (text.length <= max) return PLAIN.test(text) ? text : text.replace(INVISIBLE, '?')
  const cut = text.slice(0, max - 1)
  // Copied either way (a search for what is invisible does it, too): a piece that points into the whole would keep all of it.
  if (PLAIN.test(cut)) return `${Buffer.from(cut, 'latin1').toString('latin1')}…`
  return `${cut}…`.replace(INVISIBLE, '?')
}

/** Fixed order of texts: by code units, the same on every machine and under every locale. */
export function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
