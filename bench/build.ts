/**
 * What code is measured? The product and the processes of the bench, compiled as for a release: run from source they
 * would carry helpers that the compiler of the moment adds, and those cost CPU in every request.
 */

import { spawnSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, rmSync } from 'node:fs'
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
  return compiled(root, root, join(root, '.cache', `bench-${process.pid}`))
}

/**
 * The same of another state of the repository, with the packages of this one.
 * @param ref whatever git takes for a commit
 * @throws Error when there is no such commit, or it does not compile
 */
export function buildOf(root: string, ref: string): Build {
  const sources = join(root, '.cache', `bench-${process.pid}-sources`)
  mkdirSync(sources, { recursive: true })
  try {
    const archive = spawnSync(
      'git',
      ['archive', '--format=tar', ref, 'src', 'bench', 'package.json', 'tsconfig.json'],
      {
        cwd: root,
        maxBuffer: 256 * 2 ** 20,
      },
    )
    if (archive.status !== 0) throw new Error(`--against ${ref}: ${archive.stderr.toString().trim()}`)
    const unpacked = spawnSync('tar', ['-x', '-C', sources], { input: archive.stdout })
    if (unpacked.status !== 0) throw new Error(`--against ${ref}: ${unpacked.stderr.toString().trim()}`)
    return compiled(root, sources, join(root, '.cache', `bench-${process.pid}-against`))
  } finally {
    rmSync(sources, { recursive: true, force: true })
  }
}

function compiled(root: string, sources: string, dir: string): Build {
  const compiler = join(root, 'node_modules', 'typescript', 'bin', 'tsc')
  const run = spawnSync(process.execPath, [compiler, '-p', join(sources, 'bench'), '--outDir', dir], {
    encoding: 'utf8',
  })
  const path = (source: string): string => join(dir, source.replace(/\.ts$/, '.js'))
  const complaints = `${run.stdout ?? ''}${run.stderr ?? ''}`.trim()
  if (!existsSync(path('src/main.ts'))) throw new Error(`the compiler gave nothing to run: ${complaints}`)
  copyFileSync(join(sources, 'package.json'), join(dir, 'package.json'))
  return { path, complaints, remove: () => rmSync(dir, { recursive: true, force: true }) }
}
