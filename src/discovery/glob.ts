/** Which names does a list of patterns mean? `*` is any run of characters, `?` any one, all else itself. */

/** True if one of `patterns` matches the whole of `name`. Case counts. */
export function matchesAny(patterns: readonly string[], name: string): boolean {
  return patterns.some((pattern) => matchesGlob(pattern, name))
}

/**
 * True if `pattern` matches the whole of `name`. Takes at most pattern × name steps, whatever the pattern: a regular
 * expression made of `*`s could take for ever on a name that somebody has chosen for it.
 */
export function matchesGlob(pattern: string, name: string): boolean {
  let p = 0
  let n = 0
  let star = -1
  let resume = 0
  while (n < name.length) {
    if (pattern[p] === '*') {
      star = p
      resume = n
      p += 1
    } else if (p < pattern.length && (pattern[p] === '?' || pattern[p] === name[n])) {
      p += 1
      n += 1
    } else if (star >= 0) {
      // Only the last star can still take one more: an earlier one would only find the same again.
      resume += 1
      n = resume
      p = star + 1
    } else {
      return false
    }
  }
  while (pattern[p] === '*') p += 1
  return p === pattern.length
}
