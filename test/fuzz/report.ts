/** How a violation is told: what was sent, what came of it in each engine, and how to see it again. */

import { inspect } from 'node:util'
import type { Violation } from './violation.ts'

/** Of one kind are those that differ in names, numbers and quotations only. */
export function kindOf({ message }: Violation): string {
  return (
    message
      .replace(/"(?:[^"\\]|\\.)*"?/g, '""')
      .replace(/\d+/g, '0')
      .split('\n')[0]
      ?.slice(0, 90) ?? ''
  )
}

export function told(violation: Violation): string {
  const { input, seen } = violation
  return [
    violation.message,
    '',
    `the case:\n${shown(input)}`,
    ...seen.map((transcript) => `\n${shown(transcript)}`),
  ].join('\n')
}

function shown(value: unknown): string {
  return inspect(abbreviated(value), { depth: 8, breakLength: 140, maxArrayLength: 40, maxStringLength: 2_000 })
}

/** What can be read in the bytes that are told. */
const untold = new Set([
  'rawHeaders',
  'requests',
  'forwarded',
  'clientAddress',
  'localPort',
  'secure',
  'hasBody',
  'upgrade',
])

/** Long runs of one character are told by their length. */
function abbreviated(value: unknown): unknown {
  if (typeof value === 'string') {
    return value
      .replace(/(.)\1{99,}/gs, (run: string) => `<${run.length} × ${run.charAt(0)}>`)
      .replace(/[\x7f-\xff]/g, (high) => `<${high.charCodeAt(0).toString(16)}>`)
  }
  if (Array.isArray(value) && value.length > 8 && value.every((piece) => typeof piece === 'string')) {
    const sizes = value.map((piece: string) => piece.length)
    return { inPiecesOf: Math.max(...sizes) === 1 ? 'one byte each' : sizes, bytes: abbreviated(value.join('')) }
  }
  if (Array.isArray(value)) return value.map(abbreviated)
  if (value === null || typeof value !== 'object') return value
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key]) => !untold.has(key))
      .map(([key, inner]) => [key, abbreviated(inner)]),
  )
}
