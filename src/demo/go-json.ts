/**
 * How does Go read a JSON object into a struct? Keys match without regard to case, `null` leaves a field as it was,
 * a wrong type or an unknown key is an error. Consul's clients rely on the first two, people who mistype on the last.
 */

import { parseGoDuration } from './go-duration.ts'
import { Refusal } from './refusal.ts'

const durationType = 'time.Duration'

/** The fields of one JSON object, read by name and type; the zero value of the type where one is absent. */
export class Fields {
  readonly #values: ReadonlyMap<string, unknown>

  private constructor(values: ReadonlyMap<string, unknown>) {
    this.#values = values
  }

  /** Reads `json`, of which only `keys` may be present. `where` names it in errors. Throws `Refusal`. */
  static of(json: unknown, where: string, keys: readonly string[]): Fields {
    const known = new Set(keys.map((key) => key.toLowerCase()))
    const values = new Map<string, unknown>()
    for (const [key, value] of Object.entries(json === null ? {} : asObject(json, where))) {
      const name = key.toLowerCase()
      if (!known.has(name)) throw decodeError(`json: unknown field ${JSON.stringify(key.slice(0, 100))}`)
      if (value !== null) values.set(name, value)
    }
    return new Fields(values)
  }

  get(key: string): unknown {
    return this.#values.get(key.toLowerCase())
  }

  /** Whether the field says anything: an empty text, list or object does not. */
  given(key: string): boolean {
    const value = this.get(key)
    if (value === undefined || value === '' || value === false) return false
    return typeof value !== 'object' || value === null || Object.keys(value).length > 0
  }

  text(key: string): string {
    const value = this.get(key) ?? ''
    if (typeof value !== 'string') throw wrongType(value, key, 'string')
    return value
  }

  flag(key: string): boolean {
    const value = this.get(key) ?? false
    if (typeof value !== 'boolean') throw wrongType(value, key, 'bool')
    return value
  }

  integer(key: string): number {
    const value = this.get(key) ?? 0
    if (typeof value !== 'number') throw wrongType(value, key, 'int')
    if (!Number.isSafeInteger(value)) throw wrongType(value, key, 'int', `number ${value}`)
    return value
  }

  /** Go's duration text, or a number of nanoseconds. */
  durationMs(key: string): number {
    const value = this.get(key) ?? 0
    if (typeof value === 'number') return value / 1e6
    if (typeof value !== 'string') throw wrongType(value, key, durationType)
    const ms = value === '' ? 0 : parseGoDuration(value)
    if (ms === null) throw decodeError(`time: invalid duration ${JSON.stringify(value.slice(0, 100))}`)
    return ms
  }

  texts(key: string): string[] {
    return asTexts(this.get(key) ?? [], key)
  }

  textMap(key: string): Record<string, string> {
    const entries = Object.entries(asObject(this.get(key) ?? {}, key))
    for (const [, value] of entries) if (typeof value !== 'string') throw wrongType(value, key, 'string')
    return Object.fromEntries(entries) as Record<string, string>
  }

  textListMap(key: string): Record<string, string[]> {
    const entries = Object.entries(asObject(this.get(key) ?? {}, key))
    return Object.fromEntries(entries.map(([name, value]) => [name, asTexts(value, key)]))
  }
}

/** The same value, known to be a JSON object. Throws `Refusal`. */
export function asObject(json: unknown, where: string): Record<string, unknown> {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) throw wrongType(json, where, 'struct')
  return json as Record<string, unknown>
}

/** The refusal of a value whose type Go would not take for the field. */
export function wrongType(value: unknown, field: string, goType: string, said = kindOf(value)): Refusal {
  const place = field === '' ? 'Go value' : `Go struct field .${field}`
  return decodeError(`json: cannot unmarshal ${said} into ${place} of type ${goType}`)
}

/** Consul's sentence for a body that cannot be read. */
export function decodeError(detail: string): Refusal {
  return new Refusal(400, `Request decode failed: ${detail}`)
}

function asTexts(json: unknown, where: string): string[] {
  if (!Array.isArray(json)) throw wrongType(json, where, '[]string')
  for (const item of json) if (typeof item !== 'string') throw wrongType(item, where, 'string')
  return json as string[]
}

function kindOf(value: unknown): string {
  if (Array.isArray(value)) return 'array'
  return typeof value === 'boolean' ? 'bool' : value === null ? 'null' : typeof value
}
