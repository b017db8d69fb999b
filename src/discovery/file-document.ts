/** What does a catalog file say, and where in it? A text as YAML (JSON is a part of it) in, a value with places out. */

import { isMap, isScalar, isSeq, LineCounter } from 'yaml'
import { readYaml } from '../config/yaml.ts'
import { printable } from './untrusted-text.ts'

export type Path = readonly (string | number)[]

/** `place` is `line 12` or `line 12:5`; empty when it is about the whole file. */
export interface FileProblem {
  readonly place: string
  readonly message: string
}

export type FileDocument =
  | {
      readonly kind: 'read'
      readonly value: unknown
      /** The line of the key or item at this path, or of the nearest one above it; empty: nowhere. */
      readonly placeOf: (path: Path) => string
    }
  | { readonly kind: 'broken'; readonly problems: readonly FileProblem[] }

/** Reads a text. Never throws. */
export function readDocument(text: string): FileDocument {
  const lines = new LineCounter()
  const yaml = readYaml(text, lines)
  if (yaml.kind === 'broken') {
    const problems = yaml.faults.map(({ message, offset }) => {
      const at = offset === null ? null : lines.linePos(offset)
      return { place: at === null ? '' : `line ${at.line}:${at.col}`, message: printable(message, 200) }
    })
    return { kind: 'broken', problems }
  }
  const { value, contents } = yaml
  const lineOf = (offset: number | null | undefined) => (offset == null ? '' : `line ${lines.linePos(offset).line}`)
  return {
    kind: 'read',
    value,
    placeOf(path) {
      let node: unknown = contents
      let place = ''
      for (const step of path) {
        if (isMap(node)) {
          const pair = node.items.find(({ key }) => isScalar(key) && String(key.value) === String(step))
          if (pair === undefined) return place
          if (isScalar(pair.key)) place = lineOf(pair.key.range?.[0]) || place
          node = pair.value
        } else if (isSeq(node) && typeof step === 'number') {
          node = node.items[step]
          if (isScalar(node) || isMap(node) || isSeq(node)) place = lineOf(node.range?.[0]) || place
        } else {
          return place
        }
      }
      return place
    },
  }
}
