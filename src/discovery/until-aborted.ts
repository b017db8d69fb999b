/** How is something awaited that cannot be given up, by not waiting for it any more; or given up for one of several reasons? */

/** What `work` resolves with, or `otherwise` as soon as `signal` is aborted. Rejects as `work` does, if that is first. */
export async function untilAborted<T>(work: Promise<T>, signal: AbortSignal, otherwise: T): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => resolve(otherwise)
    if (signal.aborted) abort()
    signal.addEventListener('abort', abort, { once: true })
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
  })
}

/**
 * What `work` resolves with, given a signal that is aborted with the first of these. They keep nothing of it afterwards, which
 * a signal that lives on does of each AbortSignal.any in Node 20.
 */
export async function withEither<T>(
  signals: readonly AbortSignal[],
  work: (either: AbortSignal) => Promise<T>,
): Promise<T> {
  const stop = new AbortController()
  const abort = () => stop.abort()
  for (const signal of signals) {
    if (signal.aborted) abort()
    signal.addEventListener('abort', abort)
  }
  try {
    return await work(stop.signal)
  } finally {
    for (const signal of signals) signal.removeEventListener('abort', abort)
  }
}
