/** What can a section of the config file be? Every key with its default, or none of them needed. */

import { z } from 'zod'
import { serviceNameText } from './leaves.ts'

type Shape = Readonly<Record<string, z.ZodType>>
type WithDefaults<S extends Shape> = { [K in keyof S]: z.ZodPrefault<S[K]> }
type AllOptional<S extends Shape> = { [K in keyof S]: z.ZodExactOptional<S[K]> }

function map<S extends Shape>(shape: S, change: (leaf: z.ZodType, key: string) => z.ZodType): unknown {
  return Object.fromEntries(Object.entries(shape).map(([key, leaf]) => [key, change(leaf, key)]))
}

export function keyed<S extends Shape>(shape: S) {
  return z.strictObject(shape, {
    error: (issue) =>
      issue.code === 'invalid_type' ? `a section with the keys ${Object.keys(shape).join(', ')}` : undefined,
  })
}

/** A section with nothing in it but comments is read by YAML as null: it means what an absent one means. */
export function orEmpty<T extends z.ZodType>(schema: T) {
  return z.preprocess((value) => value ?? {}, schema)
}

/** Every key has its default, in the file's own units. */
export function complete<S extends Shape>(shape: S, defaults: { [K in keyof S]: z.input<S[K]> }) {
  return keyed(map(shape, (leaf, key) => leaf.prefault(defaults[key] as never)) as WithDefaults<S>)
}

export function section<S extends Shape>(shape: S, defaults: { [K in keyof S]: z.input<S[K]> }) {
  return orEmpty(complete(shape, defaults)).prefault({})
}

/** The same keys, none of them needed: what a service may say otherwise. */
export function partial<S extends Shape>(shape: S) {
  return keyed(map(shape, (leaf) => leaf.exactOptional()) as AllOptional<S>)
}

/** A map by the names of services. */
export function byService<T extends z.ZodType>(of: T) {
  return orEmpty(z.record(serviceNameText, of, { error: 'a map of service names' })).prefault({})
}
