/** Which engines are fuzzed? The first is the reference that the others are compared with. */

import { httpProxyEngine } from '../../src/proxy/engines/http-proxy.ts'
import { wireEngine } from '../../src/proxy/engines/wire/wire.ts'
import type { Engine } from '../../src/proxy/exchange.ts'

export interface FuzzedEngine {
  readonly name: string
  readonly engine: Engine
}

export const engines: readonly [FuzzedEngine, ...FuzzedEngine[]] = [
  { name: 'http-proxy', engine: httpProxyEngine },
  { name: 'wire', engine: wireEngine },
]
