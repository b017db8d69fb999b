/**
 * Which nodes are to be read, and which are being read? Pure but for what it remembers: a node stands here once, however
 * often it changes.
 */

/** The path itself, a service below it, or an instance of one. */
export type Target =
  | { readonly kind: 'services' }
  | { readonly kind: 'service'; readonly service: string }
  | { readonly kind: 'instance'; readonly service: string; readonly id: string }

export interface Reads {
  readonly isEmpty: boolean
  /** Is nothing of this service to be read, nor being read? */
  isDone(service: string): boolean
  /** It has to be read; a reading that is under way will do. */
  need(target: Target): void
  /** It has changed: a reading that is under way may have seen it as it was before, so it is read again after it. */
  changed(target: Target): void
  /** The one that has waited longest, which counts as being read from now on; null: there is none. */
  next(): Target | null
  /** Its reading is over. */
  finished(target: Target): void
  clear(): void
}

/** What stands behind the path in the path of a node. */
export function pathOf(target: Target): string {
  switch (target.kind) {
    case 'services':
      return ''
    case 'service':
      return `/${target.service}`
    case 'instance':
      return `/${target.service}/${target.id}`
    default:
      return target satisfies never
  }
}

/** @returns null for what is deeper, or not below it at all */
export function targetAt(path: string, base: string): Target | null {
  if (path === base) return { kind: 'services' }
  if (!path.startsWith(`${base}/`)) return null
  const [service = '', id, ...deeper] = path.slice(base.length + 1).split('/')
  if (id === undefined) return { kind: 'service', service }
  return deeper.length === 0 ? { kind: 'instance', service, id } : null
}

export function createReads(): Reads {
  const waiting = new Map<string, Target>()
  /** By path, whether it has changed meanwhile. */
  const underWay = new Map<string, boolean>()
  const ofService = new Map<string, number>()

  function count(target: Target, change: 1 | -1): void {
    if (target.kind === 'services') return
    const left = (ofService.get(target.service) ?? 0) + change
    if (left === 0) ofService.delete(target.service)
    else ofService.set(target.service, left)
  }

  function need(target: Target): void {
    const path = pathOf(target)
    if (waiting.has(path) || underWay.has(path)) return
    waiting.set(path, target)
    count(target, 1)
  }

  return {
    get isEmpty() {
      return waiting.size === 0 && underWay.size === 0
    },
    isDone: (service) => !ofService.has(service),
    need,
    changed(target) {
      const path = pathOf(target)
      if (underWay.has(path)) underWay.set(path, true)
      else need(target)
    },
    next() {
      const [first] = waiting
      if (first === undefined) return null
      const [path, target] = first
      waiting.delete(path)
      underWay.set(path, false)
      return target
    },
    finished(target) {
      const path = pathOf(target)
      const again = underWay.get(path) ?? false
      if (underWay.delete(path)) count(target, -1)
      if (again) need(target)
    },
    clear() {
      waiting.clear()
      underWay.clear()
      ofService.clear()
    },
  }
}
