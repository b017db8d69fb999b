/** A catalog file could not be read or used: in which words, and with which cure? Pure. */

import type { Failure } from '../failure.ts'
import { printable } from '../untrusted-text.ts'
import type { FileProblem } from './file-document.ts'

const MAX_PROBLEMS = 50
const CHECK_PATH = 'check discovery.file.path'

/** The system would not give it. @param code its name for the reason; empty: it has none */
export function accessFailure(code: string, message: string): Failure {
  const words = printable(message, 200)
  switch (code) {
    case '':
      return { speed: 'wrong', message: words, cure: CHECK_PATH }
    case 'ENOENT':
      return {
        speed: 'away',
        message: 'there is no such file',
        cure: `put it back, or ${CHECK_PATH}; a catalog without services is a file that says services: {}`,
      }
    case 'EACCES':
    case 'EPERM':
      return { speed: 'away', message: words, cure: 'let the user of this process read it, and search its directories' }
    case 'EMFILE':
    case 'ENFILE':
      return { speed: 'away', message: words, cure: 'this machine is short of files (ulimit -n)' }
    default:
      return { speed: 'away', message: words, cure: CHECK_PATH }
  }
}

export function largeFailure(maxBytes: number): Failure {
  return {
    speed: 'wrong',
    message: `is larger than ${maxBytes / 2 ** 20} MiB`,
    cure: `${CHECK_PATH}; so many services want a registry`,
  }
}

export function lateFailure(afterMs: number): Failure {
  return {
    speed: 'away',
    message: `could not be read within ${Math.round(afterMs / 1000)} s`,
    cure: 'does the file system that it is on hang?',
  }
}

export function restlessFailure(afterMs: number): Failure {
  return {
    speed: 'wrong',
    message: `changes all the time: for ${Math.round(afterMs / 1000)} s no two readings were alike`,
    cure: 'write it elsewhere and rename it into place',
  }
}

/** All that is wrong with its content, each with its place; of very many the first, and how many more there are. */
export function contentFailure(problems: readonly FileProblem[]): Failure {
  const shown = problems.slice(0, MAX_PROBLEMS).map(({ place, message }) => [place, message].filter(Boolean).join(': '))
  const more = problems.length - shown.length
  const count = problems.length === 1 ? '' : `${problems.length} problems: `
  return {
    speed: 'wrong',
    message: `${count}${shown.join('; ')}${more > 0 ? `; and ${more} more` : ''}`,
    cure: 'mend the file: until then the last good one holds, as a whole',
  }
}
