/** What a test opened is closed when it is over: the peers first, so that the proxy can be seen to let go by itself. */

import { onTestFinished } from 'vitest'

/** In the order in which they are closed. */
const kinds = ['client', 'origin', 'proxy'] as const

let opened: { kind: (typeof kinds)[number]; close: () => unknown }[] = []

/** To be called from within a running test. */
export function closeAfterTest(kind: (typeof kinds)[number], close: () => unknown): void {
  if (opened.length === 0) onTestFinished(closeAll)
  opened.push({ kind, close })
}

async function closeAll(): Promise<void> {
  const all = opened
  opened = []
  const failures: unknown[] = []
  for (const wanted of kinds) {
    for (const { kind, close } of all) {
      if (kind !== wanted) continue
      try {
        await close()
      } catch (error) {
        failures.push(error)
      }
    }
  }
  if (failures.length > 0) throw failures[0]
}
