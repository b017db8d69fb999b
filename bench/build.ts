/**
 * What code is measured? The product and the processes of the bench, compiled as for a release: run from source they
 * would carry helpers that the compiler of the moment adds, and those cost CPU in every request.
 */

import { spawnSync } from 'node:child_process'
import { copyFileSync, existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'

export interface Build {
  /** A compiled file, by its path in the repository: `src/main.ts`. */
  path(source: string): string
  /** What the compiler complains of although it has compiled; empty when all is well. */
  readonly complaints: string
  remove(): void
}

/**
 * Compiles into a folder of this run inside the repository, from where packages resolve.
 * @throws Error when the compiler gives nothing to run
 */
export function build(root: string): Build {
  const dir = join(root, '.cache', `bench-${process.pid}`)
  const compiler = join(root, 'node_modules', 'typescript', 'bin', 'tsc')
  const run = spawnSync(process.execPath, [compiler, '-p', join(root, 'bench'), '--outDir', dir], { encoding: 'utf8' })
  const path = (source: string): string => join(dir, source.replace(/\.ts$/, '.js'))
  const complaints = `${run.stdout ?? ''}${run.stderr ?? ''}`.trim()
  if (!existsSync(path('src/main.ts'))) throw new Error(`the compiler gave nothing to run: ${complaints}`)
  copyFileSync(join(root, 'package.json'), join(dir, 'package.json'))
  return { path, complaints, remove: () => rmSync(dir, { recursive: true, force: true }) }
}
