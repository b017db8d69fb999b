/** How is something awaited that cannot be given up? By not waiting for it any more. */

/** What `work` resolves with, or `otherwise` as soon as `signal` is aborted. Rejects as `work` does, if that is first. */
export async function untilAborted<T>(work: Promise<T>, signal: AbortSignal, otherwise: T): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => resolve(otherwise)
    if (signal.aborted) abort()
    signal.addEventListener('abort', abort, { once: true })
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
  })
}
