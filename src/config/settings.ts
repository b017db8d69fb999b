/** Which source says what, and what holds when several do? Later settings win over earlier ones, key by key. */

import { type KeyNode, type KeyPath, nodeAt } from './keys.ts'
import { type Problem, problemAt } from './problem.ts'
import { readYaml } from './yaml.ts'

/** One value from the environment or a flag. */
export interface Setting {
  readonly path: readonly string[]
  readonly value: unknown
  /** `environment EVENKEEL_LISTEN_PORT`, `flag --port`. */
  readonly from: string
}

/** A YAML map as data; without a prototype once it is merged. */
export type Tree = { [key: string]: unknown }

/** The merged sources, in the shape and units of the file. */
export interface Merged {
  readonly tree: Tree
  /** Who said the value at this path, or the nearest one above it. */
  from(path: KeyPath): string
}

/**
 * Merges the file (if any) and then the settings in their order. Maps are merged, everything else is replaced.
 * @param fileFrom where in the file a path stands
 * @param problems is added to
 */
export function merge(
  root: KeyNode,
  file: Tree | null,
  fileFrom: (path: KeyPath) => string | null,
  settings: readonly Setting[],
  problems: Problem[],
): Merged {
  const tree: Tree = Object.create(null)
  const origins = new Map<string, string>()

  const put = (into: Tree, value: Tree, path: readonly string[], from: (path: KeyPath) => string): void => {
    for (const [key, item] of Object.entries(value)) {
      const here = [...path, key]
      if (key === '__proto__') {
        // Zod passes it over in silence, and plain objects treat it as something else than a key.
        problems.push(problemAt(here, item, 'unknown key', from(here)))
        continue
      }
      const node = nodeAt(root, here)
      const mergeable = isTree(item) && node !== null && node.kind !== 'leaf'
      const existing = into[key]
      if (!mergeable) {
        into[key] = item
        origins.set(JSON.stringify(here), from(here))
      } else if (existing === undefined || existing === null || isTree(existing)) {
        const section: Tree = isTree(existing) ? existing : Object.create(null)
        into[key] = section
        put(section, item, here, from)
      }
      // Else the file has, say, a number for a section: it stays, to be told.
    }
  }

  if (file !== null) put(tree, file, [], (path) => fileFrom(path) ?? 'file')
  for (const { path, value, from } of settings) put(tree, nested(path, value), [], () => from)

  return {
    tree,
    from(path) {
      for (let length = path.length; length > 0; length -= 1) {
        const origin = origins.get(JSON.stringify(path.slice(0, length)))
        // Inside a list of the file the item's own line is nearer.
        if (origin !== undefined) return origin.startsWith('file') ? (fileFrom(path) ?? origin) : origin
      }
      return (file === null ? null : fileFrom(path)) ?? 'default'
    },
  }
}

export function isTree(value: unknown): value is Tree {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The value at a path of the merged tree; undefined when there is none. */
export function valueAt(tree: Tree, path: KeyPath): unknown {
  let value: unknown = tree
  for (const key of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined
    value = (value as Record<string | number, unknown>)[key]
  }
  return value
}

function nested(path: readonly string[], value: unknown): Tree {
  const tree: Tree = Object.create(null)
  const [key = '', ...rest] = path
  tree[key] = rest.length === 0 ? value : nested(rest, value)
  return tree
}

/**
 * The value of a variable or a flag, written as YAML: `8080`, `true`, `2s`, `[a, b]`, `{port: 80}`. Where the key wants a
 * text, whatever YAML reads as anything but a text or `null` is taken as it is written.
 */
export function parseSetting(
  text: string,
  node: KeyNode | null,
): { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly message: string } {
  const wantsText = node?.kind === 'leaf' && node.text
  const yaml = readYaml(text)
  if (yaml.kind === 'read') {
    const fits = !wantsText || yaml.value === null || typeof yaml.value === 'string'
    return { ok: true, value: fits ? yaml.value : text }
  }
  if (wantsText) return { ok: true, value: text }
  return { ok: false, message: `is no YAML value: ${yaml.faults[0]?.message}` }
}
