/** What does a config file say, and on which line does it say it? YAML, of which JSON is a part. */

import { closeSync, openSync, readSync } from 'node:fs'
import { isAlias, isMap, isScalar, isSeq, LineCounter } from 'yaml'
import type { KeyPath } from './keys.ts'
import { type Problem, problemOf } from './problem.ts'
import { isTree, type Tree } from './settings.ts'
import { readYaml } from './yaml.ts'

const largest = 2 ** 20

export interface ConfigFile {
  /** Empty when the file is empty or broken. */
  readonly tree: Tree
  /** `file x.yaml:12` of the key at this path, or of the nearest one above it; null when the file has none of them. */
  from(path: KeyPath): string | null
  readonly problems: readonly Problem[]
}

/** Reads and parses a file of at most 1 MiB. Whatever is wrong becomes a problem; never throws. */
export function readConfigFile(name: string): ConfigFile {
  const from = () => `file ${name}`
  const failed = (message: string): ConfigFile => ({ tree: {}, from, problems: [problemOf(from(), message)] })
  try {
    const text = readBounded(name, largest)
    if (text === null) return failed('is larger than 1MiB, which no config is')
    return parseConfigText(text, name)
  } catch (error) {
    return failed(`cannot be read: ${reasonOf(error)}`)
  }
}

/** As `readConfigFile`, of a text that is already there. */
export function parseConfigText(text: string, name: string): ConfigFile {
  const lines = new LineCounter()
  const whole = `file ${name}`
  const nothing = (problems: readonly Problem[]): ConfigFile => ({ tree: {}, from: () => whole, problems })
  const placeOf = (offset: number | null) => {
    if (offset === null) return whole
    const { line, col } = lines.linePos(offset)
    return `${whole}:${line}:${col}`
  }

  const yaml = readYaml(text, lines)
  if (yaml.kind === 'broken') {
    // What follows the first few is mostly their echo.
    return nothing(yaml.faults.slice(0, 5).map(({ message, offset }) => problemOf(placeOf(offset), message)))
  }
  const { value, contents } = yaml
  if (value === null || value === undefined) return nothing([])
  if (!isTree(value)) {
    const kind = Array.isArray(value) ? 'a list' : 'a single value'
    return nothing([problemOf(whole, `is ${kind}, must be a map of keys, e.g. listen: { port: 8080 }`)])
  }
  return {
    tree: value,
    problems: [],
    from: (path) => {
      const offset = offsetOf(contents, path)
      return offset === null ? null : `${whole}:${lines.linePos(offset).line}`
    },
  }
}

/** Where the deepest part of the path begins that the document has: at its key, or at the item of a list. */
function offsetOf(root: unknown, path: KeyPath): number | null {
  let node = root
  let offset: number | null = null
  for (const key of path) {
    if (isAlias(node)) return offset
    if (isMap(node)) {
      const pair = node.items.find((item) => isScalar(item.key) && String(item.key.value) === String(key))
      if (pair === undefined) return offset
      if (isScalar(pair.key)) offset = pair.key.range?.[0] ?? offset
      node = pair.value
    } else if (isSeq(node) && typeof key === 'number') {
      const item = node.items[key]
      offset = rangeStart(item) ?? offset
      node = item
    } else {
      return offset
    }
  }
  return offset
}

function rangeStart(node: unknown): number | null {
  return isScalar(node) || isMap(node) || isSeq(node) || isAlias(node) ? (node.range?.[0] ?? null) : null
}

/**
 * The text of a file, or of a pipe such as `/dev/stdin`, whose size nobody knows beforehand; null when it has more bytes
 * than `limit`. Throws what the system says.
 */
export function readBounded(name: string, limit: number): string | null {
  const buffer = Buffer.alloc(limit + 1)
  const descriptor = openSync(name, 'r')
  try {
    let length = 0
    while (length <= limit) {
      const read = readSync(descriptor, buffer, length, buffer.length - length, null)
      if (read === 0) return buffer.toString('utf8', 0, length)
      length += read
    }
    return null
  } finally {
    closeSync(descriptor)
  }
}

/** What went wrong, in the system's own words, without a stack. */
export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
