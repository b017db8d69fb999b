/**
 * What does a Eureka server say that answers in XML only? A strict reader for documents of that kind: elements, attributes
 * and text. There is no DTD, no entity but the five of XML itself, no CDATA, no comment: Eureka writes none of them, and what
 * cannot be declared cannot be expanded. Pure; the time it takes grows with the length of the text.
 */

import { printable } from '../untrusted-text.ts'

export type ReadXml =
  /**
   * `value`: as Eureka's JSON has it: an element with nothing but text is that text; else an object of `@attribute`s, children
   * (an array when there are several of a name), and `$`, the text beside attributes. Objects have no prototype.
   */
  | { readonly kind: 'read'; readonly name: string; readonly value: unknown }
  | { readonly kind: 'unreadable'; readonly message: string }

/** An answer has five levels; anything much deeper is none. */
const MAX_DEPTH = 16
/** 25,000 instances, at 40 elements each: only keeps a document of nothing but tags from eating the memory. */
const MAX_ELEMENTS = 1_000_000

interface Open {
  readonly name: string
  readonly members: Record<string, unknown>
  hasChildren: boolean
  hasAttributes: boolean
  text: string
}

const DECLARATION = /^\uFEFF?\s*(?:<\?xml\s[^<>?]*\?>)?\s*/
const TAG = /<(\/?)([^\s<>/=&"'!?]+)/y
const ATTRIBUTE = /\s+([^\s<>/=&"'!?]+)\s*=\s*(?:"([^"<]*)"|'([^'<]*)')/y
const TAG_END = /\s*(\/?)>/y
const TEXT = /[^<]+/y

class Malformed extends Error {}

/** Reads one document. Never throws: what is not exactly such a document is `unreadable`, and the message says where. */
export function readXml(text: string): ReadXml {
  try {
    return { kind: 'read', ...readDocument(text) }
  } catch (error) {
    if (error instanceof Malformed) return { kind: 'unreadable', message: `not the XML of Eureka: ${error.message}` }
    throw error
  }
}

function readDocument(text: string): { name: string; value: unknown } {
  const stack: Open[] = []
  let elements = 0
  let at = DECLARATION.exec(text)?.[0].length ?? 0

  function match(pattern: RegExp): RegExpExecArray | null {
    pattern.lastIndex = at
    const found = pattern.exec(text)
    if (found !== null) at = pattern.lastIndex
    return found
  }

  function fail(what: string): never {
    throw new Malformed(`${what} at character ${at}`)
  }

  for (;;) {
    const words = match(TEXT)?.[0] ?? ''
    const top = stack.at(-1)
    if (top === undefined && words.trim() !== '') fail('text outside of the document')
    if (top !== undefined) top.text += words
    const [, slash, name] = match(TAG) ?? fail(at >= text.length ? 'it ends too early' : 'something else than a tag')
    if (name === undefined) return fail('a tag without a name')

    if (slash === '/') {
      if (top?.name !== name) fail(`</${printable(name, 40)}> closes nothing`)
      if (match(TAG_END)?.[1] !== '') fail('a malformed tag')
    } else {
      elements += 1
      if (elements > MAX_ELEMENTS) fail(`more than ${MAX_ELEMENTS} elements`)
      if (stack.length >= MAX_DEPTH) fail('too many levels')
      const members = Object.create(null) as Record<string, unknown>
      const element: Open = { name, members, hasChildren: false, hasAttributes: false, text: '' }
      for (let found = match(ATTRIBUTE); found !== null; found = match(ATTRIBUTE)) {
        const key = `@${found[1]}`
        if (key in members) fail('the same attribute twice')
        members[key] = unescaped(found[2] ?? found[3] ?? '', fail)
        element.hasAttributes = true
      }
      const end = match(TAG_END) ?? fail('a malformed tag')
      stack.push(element)
      if (end[1] !== '/') continue
    }

    const closed = stack.pop()
    if (closed === undefined) return fail('nothing to close')
    const value = contentOf(closed, fail)
    const parent = stack.at(-1)
    if (parent === undefined) {
      if (text.slice(at).trim() !== '') fail('something after the document')
      return { name: closed.name, value }
    }
    addChild(parent, closed.name, value)
  }
}

function addChild(parent: Open, name: string, value: unknown): void {
  parent.hasChildren = true
  const { members } = parent
  const present = members[name]
  // No value is an array by itself: one is only ever made here.
  if (!(name in members)) members[name] = value
  else if (Array.isArray(present)) present.push(value)
  else members[name] = [present, value]
}

function contentOf({ members, hasChildren, hasAttributes, text }: Open, fail: (what: string) => never): unknown {
  if (hasChildren) {
    if (text.trim() !== '') fail('text between elements')
    return members
  }
  const words = unescaped(text, fail)
  if (!hasAttributes) return words
  if (words.trim() !== '') members.$ = words
  return members
}

const ENTITIES: Readonly<Record<string, string>> = { lt: '<', gt: '>', amp: '&', quot: '"', apos: "'" }

function unescaped(text: string, fail: (what: string) => never): string {
  if (!text.includes('&')) return text
  return text.replace(/&(?:([a-z]{2,4})|#(\d{1,7})|#x([0-9a-fA-F]{1,6}));|&/g, (_, name, decimal, hex) => {
    if (name !== undefined && Object.hasOwn(ENTITIES, name)) return ENTITIES[name] ?? ''
    const code = decimal !== undefined ? Number(decimal) : hex !== undefined ? Number.parseInt(hex, 16) : Number.NaN
    return code > 0 && code <= 0x10ffff ? String.fromCodePoint(code) : fail('an entity that XML does not know')
  })
}
