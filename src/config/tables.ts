/** How are the keys of a section renamed, in both directions, and maps by service name copied? */

export type Show = (value: never) => unknown
export type Table = Readonly<Record<string, { readonly as: string; readonly show: Show }>>
export type Inside<V, T extends Table> = { [K in keyof V as K extends keyof T ? T[K]['as'] : never]: V[K] }

export function inside<V extends object, const T extends Table>(value: V, table: T): Inside<V, T> {
  const entries = Object.entries(value).map(([key, item]) => [table[key]?.as ?? key, item])
  return Object.fromEntries(entries) as Inside<V, T>
}

export function outside(value: object, table: Table): Record<string, unknown> {
  const options = new Map(Object.entries(value))
  const told = Object.entries(table).filter(([, { as }]) => options.has(as))
  return Object.fromEntries(told.map(([key, { as, show }]) => [key, show(options.get(as) as never)]))
}

/** Without a prototype, so that looking up a service called `constructor` finds nothing. */
export function byName<V, R>(record: Readonly<Record<string, V>>, convert: (value: V) => R): Record<string, R> {
  const result: Record<string, R> = Object.create(null)
  for (const [name, value] of Object.entries(record)) result[name] = convert(value)
  return result
}
