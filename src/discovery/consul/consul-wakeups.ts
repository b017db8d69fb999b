/** Whose watches wake for nothing? Counts them, for operators; forgets the services that leave. */

import type { SourceView } from '../source.ts'
import { compareText } from '../untrusted-text.ts'

const NAMED = 10

export interface Wakeups {
  /** A blocking request was answered. @param service null: the request is about no single service */
  woke(service: string | null, news: boolean): void
  forget(service: string): void
  view(): Pick<SourceView, 'wakeups' | 'noisiest'>
}

export function countWakeups(): Wakeups {
  const services = new Map<string, { useful: number; useless: number }>()
  const total = { useful: 0, useless: 0 }
  return {
    woke(service, news) {
      const which = news ? 'useful' : 'useless'
      total[which] += 1
      if (service === null) return
      const counts = services.get(service) ?? { useful: 0, useless: 0 }
      services.set(service, counts)
      counts[which] += 1
    },
    forget: (service) => void services.delete(service),
    view() {
      const noisy = [...services].filter(([, { useless }]) => useless > 0)
      noisy.sort(([a, x], [b, y]) => y.useless - x.useless || compareText(a, b))
      return {
        wakeups: { ...total },
        noisiest: noisy.slice(0, NAMED).map(([service, counts]) => ({ service, ...counts })),
      }
    },
  }
}
