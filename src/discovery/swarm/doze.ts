/** How does one wait for a while, or for something to happen? */

export interface Doze {
  /** Something has happened since `heed`. */
  readonly isRoused: boolean
  /** Ends a waiting; if there is none, the next one. */
  rouse(): void
  /** What has happened is being looked into. */
  heed(): void
  /** Waits `ms`, or until it is roused or `stop` is aborted; never rejects. */
  rest(ms: number, stop: AbortSignal): Promise<void>
}

/** For one that waits at a time. */
export function doze(): Doze {
  let isRoused = false
  let wake = (): void => {}
  return {
    get isRoused() {
      return isRoused
    },
    rouse() {
      isRoused = true
      wake()
    },
    heed() {
      isRoused = false
    },
    rest(ms, stop) {
      if (isRoused || stop.aborted) return Promise.resolve()
      return new Promise((resolve) => {
        const end = () => {
          clearTimeout(timer)
          stop.removeEventListener('abort', end)
          wake = () => {}
          resolve()
        }
        const timer = setTimeout(end, ms)
        stop.addEventListener('abort', end, { once: true })
        wake = end
      })
    },
  }
}
