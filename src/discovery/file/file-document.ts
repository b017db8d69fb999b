/**
 * What does a catalog file say, and where in it? A text in, a value with places out. JSON is read as such, for that takes a
 * hundredth of the time that YAML takes on the thread that serves requests; YAML is bounded the more.
 */

import { isMap, isScalar, isSeq, LineCounter } from 'yaml'
import { readYaml } from '../../config/yaml.ts'
import { printable } from '../untrusted-text.ts'

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

/** 4,000 services of three; that takes half a second. */
const MAX_YAML_CHARACTERS = 256 * 1024

/** Reads a text. Never throws. */
export function readDocument(text: string): FileDocument {
  return (text.trimStart().startsWith('{') ? readJson(text) : null) ?? readYamlDocument(text)
}

/** null: it is no JSON. It may be YAML that begins alike. */
function readJson(text: string): FileDocument | null {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    if (text.length <= MAX_YAML_CHARACTERS) return null
    return { kind: 'broken', problems: [{ place: '', message: printable((error as Error).message, 200) }] }
  }
  const twice = repeatedKey(text)
  if (twice !== null) {
    const message = `the key ${printable(JSON.stringify(twice.key), 100)} stands twice in one map`
    return { kind: 'broken', problems: [{ place: `line ${text.slice(0, twice.at).split('\n').length}`, message }] }
  }
  let places: ((path: Path) => string) | null = null
  return {
    kind: 'read',
    value,
    // Only somebody who has made a mistake wants to know where.
    placeOf(path) {
      if (places === null) {
        const document = readYamlDocument(text)
        places = document.kind === 'read' ? document.placeOf : () => ''
      }
      return places(path)
    },
  }
}

/** In a text that is JSON: the first key that its map has already. `JSON.parse` would let the last one win in silence. */
function repeatedKey(text: string): { readonly key: string; readonly at: number } | null {
  /** The keys of each map that is not closed yet; null for a list. */
  const open: (Set<string> | null)[] = []
  let isKey = false
  for (let at = 0; at < text.length; at += 1) {
    switch (text[at]) {
      case '"': {
        const begin = at
        for (at += 1; text[at] !== '"'; at += 1) if (text[at] === '\\') at += 1
        const keys = open.at(-1)
        if (!isKey || keys == null) break
        const key: string = JSON.parse(text.slice(begin, at + 1))
        if (keys.has(key)) return { key, at: begin }
        keys.add(key)
        isKey = false
        break
      }
      case '{':
        open.push(new Set())
        isKey = true
        break
      case '[':
        open.push(null)
        isKey = false
        break
      case '}':
      case ']':
        open.pop()
        isKey = false
        break
      case ',':
        isKey = open.at(-1) != null
        break
    }
  }
  return null
}

function readYamlDocument(text: string): FileDocument {
  if (text.length > MAX_YAML_CHARACTERS) {
    const message = `has more than ${MAX_YAML_CHARACTERS / 1024} Ki characters: so much must be written as JSON`
    return { kind: 'broken', problems: [{ place: '', message }] }
  }
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
