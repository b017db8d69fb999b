/** What does the keyboard do? `/` finds, the arrows (or j and k) walk, Enter opens, letters sort, Escape takes back. */

import { type Actions, sortKeys } from './view.ts'

export interface KeyTargets extends Actions {
  /** Names of the services on the page, in order. */
  readonly names: () => readonly string[]
  readonly current: () => string | null
  /** Gives the keyboard to that row. */
  readonly goTo: (name: string) => void
}

export function listenToKeys(targets: KeyTargets): void {
  document.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return
    const filter = document.querySelector<HTMLInputElement>('#filter')
    const isTyping = event.target instanceof HTMLInputElement || event.target instanceof HTMLSelectElement
    if (isTyping && event.target !== filter) return
    if (isTyping) {
      if (event.key === 'Escape') {
        if (filter?.value === '') filter.blur()
        targets.filter('')
      } else if (event.key === 'ArrowDown' || event.key === 'Enter') walk(targets, 0, true)
      else return
      event.preventDefault()
      return
    }
    // The list of events is scrolled by the same keys.
    const isInFeed = event.target instanceof Element && event.target.closest('.feed ol') !== null
    if (isInFeed && /^(Arrow|Home)/.test(event.key)) return
    const sort = sortKeys.get(event.key)
    if (event.key === '/') filter?.focus()
    else if (event.key === 'Escape') targets.filter('')
    else if (event.key === 'ArrowDown' || event.key === 'j') walk(targets, 1, false)
    else if (event.key === 'ArrowUp' || event.key === 'k') walk(targets, -1, false)
    else if (event.key === 'Home') walk(targets, 0, true)
    else if (sort !== undefined) targets.sortBy(sort)
    else return
    event.preventDefault()
  })
}

/** @param isFromStart false: from the row that has the keyboard, or the first one when none has it */
function walk({ names, current, goTo }: KeyTargets, steps: number, isFromStart: boolean): void {
  const list = names()
  const has = document.activeElement instanceof HTMLElement && document.activeElement.dataset.name !== undefined
  const from = isFromStart || !has ? 0 : Math.max(0, list.indexOf(current() ?? '')) + steps
  const name = list[Math.min(list.length - 1, Math.max(0, from))]
  if (name !== undefined) goTo(name)
}
