/** What is all wrong with a catalog file, and where in it? As the source judges it, but problem by problem. */

import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import { decodeFile, type FileRules } from '../discovery/file/file-catalog.ts'
import { readDocument } from '../discovery/file/file-document.ts'

export type FileProblems = readonly { readonly place: string; readonly message: string }[]

const MAX_FILE_BYTES = 2 ** 21

/**
 * Empty: there are none, or the file cannot be read at all, which the source tells better. Never rejects.
 */
export async function fileProblems(path: string): Promise<FileProblems> {
  try {
    // A pipe without a writer would keep an ordinary open waiting for ever.
    const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
    try {
      if (!(await file.stat()).isFile()) return []
      const { buffer, bytesRead } = await file.read(Buffer.alloc(MAX_FILE_BYTES + 1), 0, MAX_FILE_BYTES + 1, 0)
      return bytesRead > MAX_FILE_BYTES ? [] : problemsIn(buffer.toString('utf8', 0, bytesRead))
    } finally {
      await file.close()
    }
  } catch {
    return []
  }
}

function problemsIn(text: string): FileProblems {
  const rules: FileRules = { tag: null, include: ['*'], exclude: [] }
  const document = readDocument(text)
  const decoded = document.kind === 'read' ? decodeFile(document.value, document.placeOf, rules) : document
  return decoded.kind === 'catalog' ? [] : decoded.problems
}
