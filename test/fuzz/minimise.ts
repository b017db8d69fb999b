/** Makes a failing case small: fewer pieces, fewer bytes, and still the same thing that is wrong. */

export interface Pieces {
  readonly pieces: readonly string[]
  readonly late?: readonly string[]
}

/**
 * @param fails whether a smaller case still shows what the first one showed
 * @param deadlineMs how long to go on; a case that hangs takes seconds for each try
 */
export async function minimise<T extends Pieces>(
  input: T,
  fails: (input: T) => Promise<boolean>,
  deadlineMs: number,
): Promise<T> {
  const endMs = performance.now() + deadlineMs
  let best = input
  const attempt = async (smaller: T): Promise<boolean> => {
    if (performance.now() > endMs || !(await fails(smaller))) return false
    best = smaller
    return true
  }
  await attempt({ ...best, pieces: [best.pieces.join('')] })
  await attempt({ ...best, pieces: [[...best.pieces, ...(best.late ?? [])].join('')], late: [] })
  for (const key of ['pieces', 'late'] as const) {
    for (let index = 0; index < (best[key]?.length ?? 0); index++) {
      await shrinkPiece(
        () => best[key]?.[index] ?? '',
        (piece) => attempt({ ...best, [key]: (best[key] ?? []).map((old, place) => (place === index ? piece : old)) }),
      )
    }
  }
  return best
}

/** Takes ever smaller slices away while the rest still fails. */
async function shrinkPiece(piece: () => string, attempt: (piece: string) => Promise<boolean>): Promise<void> {
  for (let size = Math.ceil(piece().length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let start = 0; start < piece().length; ) {
      const shorter = piece().slice(0, start) + piece().slice(start + size)
      if (!(await attempt(shorter))) start += size
    }
  }
}
