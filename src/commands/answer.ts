/**
 * How is an answer of a running proxy read? It may be of another version, or of something that is no proxy at all, and much
 * of it was written by whoever may register a service: so it is read without trust, and its texts are made printable.
 */

import { printable } from '../discovery/untrusted-text.ts'

export type Fields = Readonly<Record<string, unknown>>

const longestText = 2_000

/** An object's fields; none of anything else. */
export function fieldsOf(value: unknown): Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : {}
}

/** The objects of a list; none of anything else. */
export function listOf(value: unknown): readonly Fields[] {
  return Array.isArray(value) ? value.map(fieldsOf) : []
}

/** A text as one printable line; empty for anything else. */
export function textOf(value: unknown): string {
  return typeof value === 'string' ? printable(value, longestText) : ''
}

/** The texts of a list. */
export function textsOf(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.map(textOf) : []
}

export function numberOf(value: unknown): number | null {
  return typeof value === 'number' && Number.isFinite(value) ? value : null
}
