/** The engines that the contract suite runs over, and what each of them is known not to do. */

import { describe } from 'vitest'
import { httpProxyEngine } from '../../src/proxy/engines/http-proxy.ts'
import type { Engine } from '../../src/proxy/exchange.ts'

/** Something that the contract would like and that an engine may lack. Each has a test of what is done instead. */
export type Limitation =
  | 'duplicates-in-place'
  | 'early-hints-verbatim'
  | 'half-closed-client-answered'
  | 'huge-target-is-414'
  | 'method-names-open'

export interface EngineUnderTest {
  readonly name: string
  readonly engine: Engine
  /** Why it cannot, in words for the title of the test; absent when it can. */
  readonly cannot: Partial<Readonly<Record<Limitation, string>>>
}

export const engines: readonly EngineUnderTest[] = [
  {
    name: 'http-proxy',
    engine: httpProxyEngine,
    cannot: {
      'duplicates-in-place': 'the package copies headers through an object, so that equal names stand together',
      'early-hints-verbatim': 'Node writes only the hints of a 103 that has a Link header',
      'half-closed-client-answered': 'Node closes its side as soon as a client has closed its own',
      'huge-target-is-414': 'Node counts the target into the size of the head before anyone sees it',
      'method-names-open': 'the parser knows a fixed list of methods',
    },
  },
]

/** A suite for every engine. */
export function describeEngines(theme: string, suite: (engine: EngineUnderTest) => void): void {
  for (const engine of engines) describe(`${theme}, engine ${engine.name}`, () => suite(engine))
}
