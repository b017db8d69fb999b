/** How does text get onto a terminal? In lines that fit, in JSON that moves no cursor, in lists that end. */

/** Lines are this long at most, but for words that are longer. */
export const columns = 100

/**
 * The text in lines of at most `columns`, words kept whole unless one is longer than a line.
 * @param first what the first line begins with; the others are indented as far
 */
export function wrapped(first: string, text: string): readonly string[] {
  const room = columns - first.length
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ').flatMap((each) => pieces(each, room))) {
    if (line !== '' && line.length + 1 + word.length > room) {
      lines.push(line)
      line = word
    } else {
      line = line === '' ? word : `${line} ${word}`
    }
  }
  lines.push(line)
  return lines.map((each, at) => `${at === 0 ? first : ' '.repeat(first.length)}${each}`.trimEnd())
}

function pieces(word: string, room: number): readonly string[] {
  if (word.length <= room) return [word]
  return [word.slice(0, room), ...pieces(word.slice(room), room)]
}

/** JSON for scripts, in which no character is one that a terminal would obey. */
export function jsonText(value: unknown): string {
  // Outside of strings there is nothing to escape but line ends, which are meant.
  const text = JSON.stringify(value, null, 2).replace(/[\p{C}\p{Zl}\p{Zp}]/gu, (sign) =>
    sign === '\n' ? sign : [...Array(sign.length).keys()].map((at) => escaped(sign.charCodeAt(at))).join(''),
  )
  return `${text}\n`
}

function escaped(unit: number): string {
  return `\\u${unit.toString(16).padStart(4, '0')}`
}

/** The first of a list, and how many more there are. */
export function someOf(list: readonly string[], most: number, more = 0): string {
  const rest = Math.max(0, list.length - most) + more
  return `${list.slice(0, most).join(', ')}${rest > 0 ? ` and ${rest} more` : ''}`
}
