/**
 * When may a file have changed? Something happened in its directory, or in that of the file that it is a link to: editors,
 * deployments and Kubernetes replace a file, or a link on the way to it, by renaming. It is a hint and no more: file
 * systems over a network tell nothing, so who listens here looks by himself every few seconds as well.
 */

import { type FSWatcher, watch } from 'node:fs'
import { realpath, stat } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'

export interface FileChanges {
  /** Listens where the file is now: to be called now and then, for a directory may be another one by the same name. */
  arm(): Promise<void>
  close(): void
}

interface Listening {
  readonly inode: string
  readonly watcher: FSWatcher
}

/** @param onHint called for whatever happens beside the file; often, and in vain most of the time */
export function fileChanges(path: string, onHint: () => void): FileChanges {
  const directories = new Map<string, Listening>()
  let isClosed = false

  function drop(directory: string): void {
    directories.get(directory)?.watcher.close()
    directories.delete(directory)
  }

  function listen(directory: string, inode: string): void {
    drop(directory)
    try {
      const watcher = watch(directory, { persistent: false }, onHint)
      directories.set(directory, { inode, watcher })
      watcher.on('error', () => {
        if (directories.get(directory)?.watcher === watcher) drop(directory)
      })
    } catch {
      // No directory, or no more watches to be had: looking now and then has to do.
    }
  }

  return {
    async arm() {
      const own = dirname(resolve(path))
      const target = await realpath(path).then(dirname, () => own)
      const wanted = new Set([own, target])
      for (const directory of wanted) {
        const inode = await stat(directory).then(
          ({ dev, ino }) => `${dev}:${ino}`,
          () => null,
        )
        if (isClosed) return
        if (inode === null) drop(directory)
        else if (directories.get(directory)?.inode !== inode) listen(directory, inode)
      }
      for (const directory of directories.keys()) if (!wanted.has(directory)) drop(directory)
    },
    close() {
      isClosed = true
      for (const directory of [...directories.keys()]) drop(directory)
    },
  }
}
