/** The engines that the contract suite runs over, and what each of them is known not to do. */

import { describe } from 'vitest'
import { httpProxyEngine } from '../../src/proxy/engines/http-proxy.ts'
import { wireEngine } from '../../src/proxy/engines/wire/wire.ts'
import type { Engine } from '../../src/proxy/exchange.ts'

/** Something that the contract would like and that an engine may lack. Each has a test of what is done instead. */
export type Limitation =
  | 'aborts-noticed-while-not-reading'
  | 'blanks-counted'
  | 'chunk-extensions-in-all'
  | 'duplicates-in-place'
  | 'early-hints-verbatim'
  | 'early-refusal-heard'
  | 'first-bytes-count'
  | 'forbidden-trailers-refused'
  | 'half-closed-client-answered'
  | 'hints-stripped'
  | 'huge-target-is-414'
  | 'leading-zeros-refused'
  | 'many-fields-refused'
  | 'method-names-open'
  | 'odd-blanks-refused'
  | 'odd-targets-close'
  | 'one-space-each'
  | 'sizes-in-53-bits'
  | 'stalled-upload-is-the-clients'
  | 'stray-line-ends-seen'
  | 'trailers-counted'
  | 'unread-answers-cut'

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
      'aborts-noticed-while-not-reading': 'Node tells of the end of a connection only to those who read it',
      'blanks-counted': 'the parser skips them one by one, and keeps none',
      'chunk-extensions-in-all': 'Node bounds them at 16 KiB a chunk',
      'duplicates-in-place': 'the package copies headers through an object, so that equal names stand together',
      'early-hints-verbatim': 'Node writes only the hints of a 103 that has a Link header',
      'early-refusal-heard': 'Node throws the answer away with a connection that it cannot write to',
      'first-bytes-count': 'Node says that a connection broke, not whether an answer had begun',
      'forbidden-trailers-refused': 'trailers come when the body has been passed on: they are dropped',
      'half-closed-client-answered': 'Node closes its side as soon as a client has closed its own',
      'hints-stripped': 'Node writes the headers of a hint as they came',
      'huge-target-is-414': 'Node counts the target into the size of the head before anyone sees it',
      'leading-zeros-refused': 'the parser takes them for decimal',
      'many-fields-refused': 'Node leaves out what comes behind the 2000th field',
      'method-names-open': 'the parser knows a fixed list of methods',
      'odd-blanks-refused': 'the parser reads it as an unknown coding, and says so only when the body comes',
      'odd-targets-close': 'a target is judged behind the parser, when the request has been framed beyond doubt',
      'one-space-each': 'the parser skips blanks between the parts of a request line',
      'sizes-in-53-bits': 'the parser counts in 64 bits, and waits for what is announced',
      'stalled-upload-is-the-clients':
        'whoever does not send is told from whoever does not take only before the answer',
      'stray-line-ends-seen': 'the parser skips line ends between messages',
      'unread-answers-cut': 'Node waits for ever for a client to read an answer of the proxy’s own',
      'trailers-counted': 'Node bounds the bytes of trailers, not their number',
    },
  },
  {
    name: 'wire',
    engine: wireEngine,
    cannot: {
      'aborts-noticed-while-not-reading':
        'Node tells of the end of a connection only to those who read it, decision 014',
    },
  },
]

/** A suite for every engine. */
export function describeEngines(theme: string, suite: (engine: EngineUnderTest) => void): void {
  for (const engine of engines) describe(`${theme}, engine ${engine.name}`, () => suite(engine))
}
