/** How much is alive? */

import v8 from 'node:v8'
import vm from 'node:vm'

v8.setFlagsFromString('--expose-gc')
const collect = vm.runInNewContext('gc') as () => void

/** Bytes of the heap that somebody still refers to. */
export function liveBytes(): number {
  collect()
  return process.memoryUsage().heapUsed
}
