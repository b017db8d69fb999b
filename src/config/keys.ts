/** Which keys does a config have, how are they written, and which one was meant? */

import type { z } from 'zod'
import { isTextLeaf } from './leaves.ts'

/** Where a value stands: keys, and indexes of lists. */
export type KeyPath = readonly (string | number)[]

/** One place in the file. `map`: the keys are the user's own (service names). `text`: taken as written outside YAML. */
export type KeyNode =
  | { readonly kind: 'section'; readonly keys: ReadonlyMap<string, KeyNode> }
  | { readonly kind: 'map'; readonly of: KeyNode }
  | { readonly kind: 'leaf'; readonly text: boolean }

/** The part of zod's definitions that says what is inside a schema. */
interface Definition {
  readonly type: string
  readonly innerType?: z.ZodType
  readonly in?: z.ZodType
  readonly out?: z.ZodType
  readonly valueType?: z.ZodType
  readonly shape?: Readonly<Record<string, z.ZodType>>
}

/** The tree of keys of a schema. */
export function keysOf(schema: z.ZodType, text = false): KeyNode {
  const definition: Definition = schema.def
  const isText = text || isTextLeaf(schema)
  if (definition.shape !== undefined) {
    const keys = Object.entries(definition.shape).map(([key, value]) => [key, keysOf(value)] as const)
    return { kind: 'section', keys: new Map(keys) }
  }
  if (definition.type === 'record' && definition.valueType !== undefined) {
    return { kind: 'map', of: keysOf(definition.valueType) }
  }
  // What a preprocess step lets in is anything: its keys are those of what follows it.
  const inner = definition.in?.def.type === 'transform' ? definition.out : (definition.innerType ?? definition.in)
  return inner === undefined ? { kind: 'leaf', text: isText } : keysOf(inner, isText)
}

/** The node at a path; null when no such key exists. */
export function nodeAt(root: KeyNode, path: KeyPath): KeyNode | null {
  let node = root
  for (const key of path) {
    const next = node.kind === 'section' ? node.keys.get(String(key)) : node.kind === 'map' ? node.of : undefined
    if (next === undefined) return null
    node = next
  }
  return node
}

/** Every section, map and leaf that has a fixed path, outermost first; the root is left out. */
export function* fixedPaths(
  node: KeyNode,
  path: readonly string[] = [],
): Generator<readonly [readonly string[], KeyNode]> {
  if (path.length > 0) yield [path, node]
  if (node.kind !== 'section') return
  for (const [key, child] of node.keys) yield* fixedPaths(child, [...path, key])
}

/** `upstream.connectTimeout`, `retry.statuses[0]`, `services["a.b"].upstream`. */
export function formatPath(path: KeyPath): string {
  return path.reduce<string>((text, key) => {
    if (typeof key === 'number') return `${text}[${key}]`
    if (!/^[\w-]+$/.test(key)) return `${text}[${JSON.stringify(key)}]`
    return text === '' ? key : `${text}.${key}`
  }, '')
}

/** `['upstream', 'connectTimeout']` → `UPSTREAM_CONNECT_TIMEOUT`. */
export function environmentName(path: readonly string[]): string {
  return path.map((key) => key.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()).join('_')
}

/**
 * The candidate that `word` is most likely a misspelling of; null when none is near. Case, `-` and `_` do not count,
 * and a short word may be wrong in fewer letters.
 */
export function nearest(word: string, candidates: Iterable<string>): string | null {
  // Nothing that long is a typo, and the distance below costs the product of both lengths.
  if (word.length > 64) return null
  let best: string | null = null
  let bestDistance = 1 + Math.max(1, Math.min(3, Math.floor(word.length / 3)))
  for (const candidate of candidates) {
    const distance = editDistance(plain(word), plain(candidate))
    if (distance < bestDistance) {
      best = candidate
      bestDistance = distance
    }
  }
  return best
}

/** What to say of a key that does not exist: the nearest sibling, the same key elsewhere, or all that there is here. */
export function adviceFor(root: KeyNode, parent: KeyPath, key: string): string {
  const here = nodeAt(root, parent)
  const siblings = here?.kind === 'section' ? [...here.keys.keys()] : []
  const sibling = nearest(key, siblings)
  if (sibling !== null) return `unknown key, did you mean ${sibling}?`
  for (const [path] of fixedPaths(root)) {
    if (plain(path.at(-1) ?? '') === plain(key)) return `unknown key, did you mean ${formatPath(path)}?`
  }
  return siblings.length === 0 ? 'unknown key' : `unknown key, here may stand ${siblings.join(', ')}`
}

function plain(word: string): string {
  return word.toLowerCase().replace(/[-_]/g, '')
}

/** Levenshtein's distance, two neighbouring letters swapped counting as one: the commonest slip of all. */
function editDistance(a: string, b: string): number {
  let beforeLast: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, column) => column)
  for (let row = 1; row <= a.length; row += 1) {
    const current = [row]
    for (let column = 1; column <= b.length; column += 1) {
      const same = a[row - 1] === b[column - 1]
      let distance = Math.min(
        (last[column] ?? 0) + 1,
        (current[column - 1] ?? 0) + 1,
        (last[column - 1] ?? 0) + (same ? 0 : 1),
      )
      if (row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1]) {
        distance = Math.min(distance, (beforeLast[column - 2] ?? 0) + 1)
      }
      current.push(distance)
    }
    beforeLast = last
    last = current
  }
  return last[b.length] ?? 0
}
