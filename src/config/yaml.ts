/** How is a text read as YAML without trusting it? Nesting and aliases are bounded before they can cost anything. */

import { type Document, type LineCounter, Parser, parseDocument } from 'yaml'

/** The deepest key of a config is at level 6. */
const deepest = 32

export type Yaml =
  | { readonly kind: 'read'; readonly value: unknown; readonly contents: Document['contents'] }
  /** Syntax errors, with their offsets into the text where they have one. */
  | {
      readonly kind: 'broken'
      readonly faults: readonly { readonly message: string; readonly offset: number | null }[]
    }

/**
 * Reads one document of YAML (JSON is a part of it), duplicate keys and unknown tags refused. Never throws.
 * @param lines is told where lines begin
 */
export function readYaml(text: string, lines?: LineCounter): Yaml {
  const broken = (message: string): Yaml => ({ kind: 'broken', faults: [{ message, offset: null }] })
  // The parser recurses, and at the end of its stack V8 may kill the whole process instead of throwing.
  if (depthOf(text) > deepest) return broken(`is nested more than ${deepest} levels deep`)
  try {
    const counter = lines === undefined ? {} : { lineCounter: lines }
    const document = parseDocument(text, { ...counter, prettyErrors: false, logLevel: 'error' })
    const faults = [...document.errors, ...document.warnings]
    if (faults.length > 0) {
      return {
        kind: 'broken',
        faults: faults.map(({ message, pos }) => ({ message: unquoted(message), offset: pos[0] })),
      }
    }
    return { kind: 'read', value: document.toJS({ maxAliasCount: 100 }), contents: document.contents }
  } catch (error) {
    // Aliases that multiply are only noticed when the value is made.
    return broken(`cannot be understood: ${unquoted(error instanceof Error ? error.message : String(error))}`)
  }
}

/** The parser quotes what it takes for a tag, an alias or a header: `password: *abc` is all three, but for the quotes. */
function unquoted(message: string): string {
  const known = message.replace(/(\btag|\balias[^:]*|\bextra characters): .*$/s, '$1').replace(/!\S+/g, '!…')
  return known === message ? message : `${known}; a value that starts with *, ! or | needs quotes`
}

interface Token {
  readonly value?: unknown
  readonly items?: readonly { readonly key?: unknown; readonly value?: unknown }[]
}

/** Levels of collections, found without recursion: the first stage of the parser keeps a stack of its own. */
function depthOf(text: string): number {
  let depth = 0
  for (const document of new Parser().parse(text)) {
    let level: unknown[] = [document]
    for (let here = 0; level.length > 0; here += 1) {
      depth = Math.max(depth, here)
      level = level.flatMap((token) => {
        const { value, items } = token as Token
        return [value, ...(items ?? []).flatMap((item) => [item.key, item.value])].filter(isObject)
      })
    }
  }
  return depth
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null
}
