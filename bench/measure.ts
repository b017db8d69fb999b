/**
 * What has a process used? CPU time and resident memory, from Linux's /proc.
 *
 * CPU time comes from `schedstat` of every thread, in nanoseconds; a kernel that has none is asked for `stat`, in ticks
 * of 10 ms. Elsewhere than on Linux there is no figure, and the report says so.
 */

import { readdirSync, readFileSync } from 'node:fs'

/** `null`: this system has no /proc to read it from. */
export interface Usage {
  readonly cpuMs: number | null
  readonly rssMiB: number | null
}

export const measurable = process.platform === 'linux'

/** What is lost where it is not measurable; null where it is. */
export const missing: string | null = measurable
  ? null
  : `CPU and memory are read from /proc, which ${process.platform} does not have: those columns stay empty`

const ticksPerSecond = 100

/** The sum over some processes; one that is gone counts nothing. */
export function usageOf(pids: readonly number[]): Usage {
  if (!measurable) return { cpuMs: null, rssMiB: null }
  let cpuMs = 0
  let rssMiB = 0
  for (const pid of pids) {
    cpuMs += cpuMsOf(pid)
    rssMiB += rssMiBIn(read(`/proc/${pid}/status`) ?? '')
  }
  return { cpuMs, rssMiB }
}

/** The process and all that descend from it: nginx works in a child of the process that was started. */
export function processTree(root: number): readonly number[] {
  if (!measurable) return [root]
  const parents = new Map<number, number>()
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue
    const stat = read(`/proc/${name}/stat`)
    if (stat !== null) parents.set(Number(name), parseStat(stat).parent)
  }
  return descendants(root, parents)
}

/** The root first. */
export function descendants(root: number, parents: ReadonlyMap<number, number>): readonly number[] {
  const tree = [root]
  for (const pid of tree) {
    for (const [child, parent] of parents) if (parent === pid) tree.push(child)
  }
  return tree
}

function cpuMsOf(pid: number): number {
  let nanoseconds = 0
  for (const thread of threadsOf(pid)) {
    nanoseconds += parseSchedstat(read(`/proc/${pid}/task/${thread}/schedstat`) ?? '')
  }
  if (nanoseconds > 0) return nanoseconds / 1e6
  const stat = read(`/proc/${pid}/stat`)
  return stat === null ? 0 : (parseStat(stat).cpuTicks * 1000) / ticksPerSecond
}

function threadsOf(pid: number): readonly string[] {
  try {
    return readdirSync(`/proc/${pid}/task`)
  } catch {
    return []
  }
}

/** `/proc/<pid>/task/<tid>/schedstat` → nanoseconds on a CPU, kernel time included; 0 when there is nothing to read. */
export function parseSchedstat(text: string): number {
  const onCpu = Number(text.split(' ', 1)[0])
  return Number.isFinite(onCpu) ? onCpu : 0
}

/** `/proc/<pid>/stat` (proc(5)): the name in parentheses may hold blanks and parentheses itself. */
export function parseStat(text: string): { readonly parent: number; readonly cpuTicks: number } {
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  const field = (number: number) => Number(fields[number - 3] ?? 0)
  return { parent: field(4), cpuTicks: field(14) + field(15) }
}

/** `/proc/<pid>/status` → VmRSS in MiB; 0 for a process that is gone. */
export function rssMiBIn(text: string): number {
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(text)?.[1] ?? 0) / 1024
}

function read(path: string): string | null {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return null
  }
}
