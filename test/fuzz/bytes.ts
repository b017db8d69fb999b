/** Bytes that are nearly right: mutations, and cuts into pieces. */

import fc from 'fast-check'

/** What separates, ends or counts something in HTTP/1.1, and what nearly does. */
const hostile = [
  ...['\r', '\n', '\r\n', '\r\n\r\n', '\n\n', '\r\r', '\0', '\t', ' ', '\v', '\f', ':', ';', ',', '\x80', '\xff'],
  ...['-', '+', 'x', '0', '1', '9', 'a', 'f', '_', '"', '\\', '/', '.', '%', '#', '*', '\x01', '\x7f', '\x85', '\xa0'],
  ...[
    '0x',
    ' :',
    ': ',
    '\r\n ',
    '\r\n\t',
    '0\r\n\r\n',
    '1;',
    '\r\n0\r\n\r\n',
    'ffffffff',
    '0000000000',
    ' chunked',
    ',chunked',
  ],
]

const places = ['anywhere', 'line start', 'line end', 'colon', 'space', 'head end'] as const
type Place = (typeof places)[number]

export type Mutation =
  | { readonly kind: 'insert'; readonly place: Place; readonly at: number; readonly text: string }
  | { readonly kind: 'replace'; readonly place: Place; readonly at: number; readonly text: string }
  | { readonly kind: 'delete'; readonly place: Place; readonly at: number; readonly length: number }
  | { readonly kind: 'repeat'; readonly at: number; readonly length: number }
  | { readonly kind: 'case'; readonly place: Place; readonly at: number; readonly length: number }
  | {
      readonly kind: 'swap lines' | 'repeat line' | 'repeat line, other case'
      readonly at: number
      readonly to: number
    }
  | { readonly kind: 'add line'; readonly at: number; readonly line: string }
  | { readonly kind: 'truncate'; readonly at: number }

const at = fc.nat(9_999)
const place = fc.constantFrom(...places)
const text = fc.oneof(
  { arbitrary: fc.constantFrom(...hostile), weight: 6 },
  { arbitrary: fc.nat(255).map((code) => String.fromCharCode(code)), weight: 1 },
)
const length = fc.integer({ min: 1, max: 6 })

/** @param lines header lines that change what a message means */
export function mutationsWith(lines: readonly string[], maxLength: number): fc.Arbitrary<Mutation[]> {
  const mutation: fc.Arbitrary<Mutation> = fc.oneof(
    fc.record({ kind: fc.constant('insert' as const), place, at, text }),
    fc.record({ kind: fc.constant('insert' as const), place, at, text }),
    fc.record({ kind: fc.constant('replace' as const), place, at, text }),
    fc.record({ kind: fc.constant('delete' as const), place, at, length }),
    fc.record({ kind: fc.constant('repeat' as const), at, length: fc.integer({ min: 1, max: 40 }) }),
    fc.record({ kind: fc.constant('case' as const), place, at, length }),
    fc.record({
      kind: fc.constantFrom('swap lines' as const, 'repeat line' as const, 'repeat line, other case' as const),
      at,
      to: at,
    }),
    fc.record({ kind: fc.constant('add line' as const), at, line: fc.constantFrom(...lines) }),
    fc.record({ kind: fc.constant('add line' as const), at, line: fc.constantFrom(...lines) }),
    fc.record({ kind: fc.constant('truncate' as const), at }),
  )
  return fc.oneof(
    { arbitrary: fc.constant<Mutation[]>([]), weight: 2 },
    { arbitrary: fc.array(mutation, { minLength: 1, maxLength: 2 }), weight: 5 },
    { arbitrary: fc.array(mutation, { minLength: 1, maxLength }), weight: 1 },
  )
}

export function mutate(bytes: string, mutations: readonly Mutation[]): string {
  return mutations.reduce(mutated, bytes)
}

function mutated(bytes: string, mutation: Mutation): string {
  switch (mutation.kind) {
    case 'insert':
      return spliced(bytes, spot(bytes, mutation), 0, mutation.text)
    case 'replace':
      return spliced(bytes, spot(bytes, mutation), mutation.text.length, mutation.text)
    case 'delete':
      return spliced(bytes, spot(bytes, mutation), mutation.length, '')
    case 'repeat': {
      const start = mutation.at % (bytes.length + 1)
      return spliced(bytes, start, 0, bytes.slice(start, start + mutation.length))
    }
    case 'case': {
      const start = spot(bytes, mutation)
      return spliced(bytes, start, mutation.length, otherCase(bytes.slice(start, start + mutation.length)))
    }
    case 'truncate':
      return bytes.slice(0, mutation.at % (bytes.length + 1))
    default:
      return linesMutated(bytes, mutation)
  }
}

function linesMutated(bytes: string, mutation: Extract<Mutation, { kind: `${string}line${string}` }>): string {
  const lines = bytes.split('\r\n')
  // The first line is left where it is, mostly: without it nothing else is looked at.
  const index = mutation.at % 10 === 0 ? 0 : 1 + (mutation.at % Math.max(1, lines.length - 1))
  const line = lines[index] ?? ''
  if (mutation.kind === 'add line') {
    lines.splice(index, 0, mutation.line)
  } else if (mutation.kind === 'swap lines') {
    const other = 1 + (mutation.to % Math.max(1, lines.length - 1))
    lines[index] = lines[other] ?? ''
    lines[other] = line
  } else {
    lines.splice(1 + (mutation.to % lines.length), 0, mutation.kind === 'repeat line' ? line : otherCase(line))
  }
  return lines.join('\r\n')
}

function spliced(bytes: string, start: number, length: number, text: string): string {
  return bytes.slice(0, start) + text + bytes.slice(start + length)
}

function otherCase(text: string): string {
  return text.replace(/[a-z]|[A-Z]/g, (letter) => (letter < 'a' ? letter.toLowerCase() : letter.toUpperCase()))
}

const patterns: Readonly<Record<Exclude<Place, 'anywhere'>, RegExp>> = {
  'line start': /(?<=\r\n|^)/g,
  'line end': /(?=\r\n)/g,
  colon: /(?=:)|(?<=:)/g,
  space: /(?= )|(?<= )/g,
  'head end': /(?<=\r\n)(?=\r\n)|(?<=\r\n\r\n)/g,
}

function spot(bytes: string, { place, at }: { readonly place: Place; readonly at: number }): number {
  const anywhere = at % (bytes.length + 1)
  if (place === 'anywhere') return anywhere
  const spots = [...bytes.matchAll(patterns[place])]
  return spots.length === 0 ? anywhere : (spots[at % spots.length]?.index ?? anywhere)
}

/** Where bytes are cut into pieces: at these places, in thousandths of the length; or after each byte. */
export const cuts: fc.Arbitrary<readonly number[] | 'every byte'> = fc.oneof(
  { arbitrary: fc.constant<readonly number[]>([]), weight: 5 },
  { arbitrary: fc.array(fc.nat(999), { minLength: 1, maxLength: 4 }), weight: 4 },
  { arbitrary: fc.constant('every byte' as const), weight: 1 },
)

export function cut(bytes: string, where: readonly number[] | 'every byte'): string[] {
  if (where === 'every byte') return bytes.length <= 300 ? [...bytes] : cut(bytes, [100, 300, 305, 310, 600, 900])
  const ends = where.map((part) => Math.round((part * bytes.length) / 1_000)).sort((a, b) => a - b)
  let start = 0
  return [...ends, bytes.length]
    .map((end) => {
      const piece = bytes.slice(start, end)
      start = end
      return piece
    })
    .filter((piece) => piece !== '')
}
