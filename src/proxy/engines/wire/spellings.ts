/**
 * Words that come over and over, found in a text without cutting them out of it. Pure. Whoever reads a known word gets a
 * string that exists already: nothing is allocated, and later look-ups know its hash. The table is fixed: what a peer
 * sends never gets into it.
 */

export class Spellings {
  /** Open addressing; at most a quarter full, so that most searches end at the first slot. */
  readonly #slots: readonly (string | undefined)[]
  readonly #mask: number

  constructor(words: readonly string[]) {
    let size = 16
    while (size < words.length * 4) size *= 2
    const slots: (string | undefined)[] = new Array(size).fill(undefined)
    this.#mask = size - 1
    for (const word of words) {
      let hash = 0
      for (let index = 0; index < word.length; index++) hash = hashed(hash, word.charCodeAt(index))
      let slot = placeOf(hash) & this.#mask
      while (slots[slot] !== undefined) slot = (slot + 1) & this.#mask
      slots[slot] = word
    }
    this.#slots = slots
  }

  /**
   * The word that stands at text[start, end).
   * @param hash `hashed` over its characters, from 0 on
   */
  at(text: string, start: number, end: number, hash: number): string {
    let slot = placeOf(hash) & this.#mask
    for (;;) {
      const word = this.#slots[slot]
      if (word === undefined) return text.slice(start, end)
      if (word.length === end - start && text.startsWith(word, start)) return word
      slot = (slot + 1) & this.#mask
    }
  }
}

/** The hash of a word that goes on with this character. */
export function hashed(hash: number, code: number): number {
  return (Math.imul(hash, 31) + code) | 0
}

function placeOf(hash: number): number {
  return hash ^ (hash >>> 13)
}
