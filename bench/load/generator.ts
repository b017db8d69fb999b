/** The process that makes the load: one job at a time, told by the bench. Not for use by hand. */

import { answer } from '../ipc.ts'
import { bulk } from './bulk.ts'
import { closedLoop } from './closed.ts'
import { paced } from './paced.ts'
import type { LoadJob } from './protocol.ts'

const ways = { closed: closedLoop, paced, bulk } satisfies Record<LoadJob['kind'], unknown>

answer((job: LoadJob) => ways[job.kind](job))
