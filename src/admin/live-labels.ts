/** What are services called on the page? Printable, not too long, and no two the same, whatever the catalog calls them. */

import { printable } from '../discovery/untrusted-text.ts'

export interface Labels {
  /** The same for the same name, until it is dropped. */
  of(name: string): string
  /** As the table names the service; undefined: nobody is called so. */
  named(label: string): string | undefined
  /** Forgets the name; answers what it was called. */
  drop(name: string): string
  clear(): void
}

const longestName = 120

export function createLabels(): Labels {
  const byName = new Map<string, string>()
  const byLabel = new Map<string, string>()
  return {
    of(name) {
      const known = byName.get(name)
      if (known !== undefined) return known
      const short = printable(name, longestName)
      let label = short
      for (let number = 2; byLabel.has(label); number++) label = `${short} (${number})`
      byName.set(name, label)
      byLabel.set(label, name)
      return label
    },
    named: (label) => byLabel.get(label),
    drop(name) {
      const label = byName.get(name) ?? name
      byName.delete(name)
      byLabel.delete(label)
      return label
    },
    clear() {
      byName.clear()
      byLabel.clear()
    },
  }
}
