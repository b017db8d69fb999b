/**
 * Words that come over and over, found in bytes without making a string of them. Pure. Whoever reads a known word gets
 * a string that exists already: nothing is allocated, and later look-ups know its hash. The table is fixed: what a peer
 * sends never gets into it.
 */

export class Spellings {
  readonly #words: readonly string[]
  /** Open addressing, at most a quarter full: the place of a word in the list, plus 1; 0: nothing. */
  readonly #slots: Uint16Array
  readonly #mask: number
  /** All words one behind the other, and where each begins; one more for where the last ends. */
  readonly #letters: Uint8Array
  readonly #starts: Uint16Array

  /** @param words ASCII, none empty, none twice, no more than 65,535 letters in all */
  constructor(words: readonly string[]) {
    let size = 16
    while (size < words.length * 4) size *= 2
    this.#words = words
    this.#mask = size - 1
    this.#slots = new Uint16Array(size)
    this.#letters = Uint8Array.from(words.join(''), (letter) => letter.charCodeAt(0))
    this.#starts = new Uint16Array(words.length + 1)
    let start = 0
    for (const [index, word] of words.entries()) {
      const end = start + word.length
      let slot = hashOf(this.#letters, start, end) & this.#mask
      while (this.#slots[slot] !== 0) slot = (slot + 1) & this.#mask
      this.#slots[slot] = index + 1
      this.#starts[index + 1] = end
      start = end
    }
  }

  /** The place in the list of the word that stands at bytes[start, end); -1 when it is not in the list. */
  find(bytes: Uint8Array, start: number, end: number): number {
    const letters = this.#letters
    const length = end - start
    for (let slot = hashOf(bytes, start, end) & this.#mask; ; slot = (slot + 1) & this.#mask) {
      const index = (this.#slots[slot] as number) - 1
      if (index < 0) return -1
      const from = this.#starts[index] as number
      if ((this.#starts[index + 1] as number) - from !== length) continue
      let same = 0
      while (same < length && letters[from + same] === bytes[start + same]) same++
      if (same === length) return index
    }
  }

  at(index: number): string {
    return this.#words[index] as string
  }
}

/** Three letters and the length tell most words apart; the rest is compared anyway. */
function hashOf(bytes: Uint8Array, start: number, end: number): number {
  const length = end - start
  const first = bytes[start] as number
  const middle = bytes[start + (length >> 1)] as number
  const last = bytes[end - 1] as number
  return length ^ (first << 2) ^ (middle * 37) ^ (last * 151)
}
