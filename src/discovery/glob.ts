/**
 * Which names does a list of patterns mean? `*` is any run of characters, `?` any one, all else itself; so are these two
 * and the backslash when a backslash stands before them.
 */

/** True if one of `patterns` matches the whole of `name`. Case counts. */
export function matchesAny(patterns: readonly string[], name: string): boolean {
  return patterns.some((pattern) => matchesGlob(pattern, name))
}

/** The pattern that matches `name` and nothing else. */
export function escapeGlob(name: string): string {
  return name.replace(/[*?\\]/g, '\\$&')
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
    const escaped = pattern[p] === '\\' && isSpecial(pattern[p + 1])
    const at = escaped ? p + 1 : p
    if (pattern[p] === '*') {
      star = p
      resume = n
      p += 1
    } else if (at < pattern.length && (pattern[p] === '?' || pattern[at] === name[n])) {
      p = at + 1
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

function isSpecial(sign: string | undefined): boolean {
  return sign === '*' || sign === '?' || sign === '\\'
}
