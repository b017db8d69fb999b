/** How long is something waited for that cannot be given up? */

import { pause } from '../discovery/loop.ts'

/** What `work` resolves with within `ms`; undefined when it has not by then. Rejects as `work` does, if that is first. */
export async function within<T>(ms: number, work: Promise<T>): Promise<T | undefined> {
  const over = new AbortController()
  try {
    return await Promise.race([work, pause(ms, over.signal).then(() => undefined)])
  } finally {
    over.abort()
  }
}
