import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { PickRole, Standing } from '../../src/balancer/balancer.ts'
import { type Outcome, outcomeKinds } from '../../src/balancer/outcome.ts'
import type { OutOfRotation } from '../../src/balancer/view.ts'
import type { Try } from '../../src/proxy/observer.ts'
import { trailCode } from '../../src/proxy/trail-code.ts'

const endpoints = (count: number) =>
  Array.from({ length: count }, (_, index) => ({
    id: `10.0.0.${index}:80`,
    instance: `i-${index}`,
    address: `10.0.0.${index}`,
    port: 80,
    weight: 1,
  }))

function standing(count: number, states: readonly OutOfRotation['state'][] = [], absent = 0, unread = 0): Standing {
  const all = endpoints(count)
  const unreadWord = { instance: '', address: '', reason: 'no answer yet', unread: true } as const
  const gone = { instance: 'gone', address: '', reason: 'check "http" is critical' }
  return {
    service: { endpoints: all, absent: [...new Array(absent).fill(gone), ...new Array(unread).fill(unreadWord)] },
    out: states.map((state, index) => ({ endpoint: all[index]?.id ?? '', state, reason: null })),
  }
}

const responded = (status: number): Outcome => ({ kind: 'responded', status, relayed: true })
const refused: Outcome = { kind: 'connect-failed', code: 'ECONNREFUSED' }

function attempt(outcome: Outcome, role: PickRole = 'regular', found = standing(3)): Try {
  const times = { startMs: 0, durationMs: 1, connectMs: null, firstByteMs: null }
  return { endpoint: '10.0.0.2:80', role, standing: found, outcome, retried: null, ...times }
}

const code = (...tries: readonly Try[]) => trailCode({ tries, standing: null, outcome: 'responded' })

describe('the code of a request', () => {
  it.each<[title: string, tries: readonly Try[], expected: string]>([
    ['all in rotation, and it answered', [attempt(responded(200))], '3/3:200'],
    [
      'one ejected, a refused connect, and another',
      [attempt(refused, 'regular', standing(3, ['ejected'])), attempt(responded(200))],
      '2/3e1:cf>200',
    ],
    [
      'every way of being out',
      [attempt(responded(204), 'regular', standing(6, ['ejected', 'drained', 'probing', 'ejected'], 3))],
      '2/9e2p1d1a3:204',
    ],
    [
      'a word that there is no answer of the catalog is no instance',
      [attempt(responded(200), 'regular', standing(1, [], 1, 1))],
      '1/2a1:200',
    ],
    ['a probe', [attempt(responded(503), 'probe', standing(2, ['ejected']))], '1/2e1:?503'],
    ['a panic pick', [attempt(responded(500), 'panic', standing(2, ['ejected', 'ejected']))], '0/2e2:!500'],
    [
      'three attempts, of which the second found another standing',
      [attempt(refused), attempt(refused, 'probe', standing(1)), attempt(responded(200), 'panic')],
      '3/3:cf>?cf>!200',
    ],
  ])('%s', (_, tries, expected) => {
    expect(code(...tries)).toBe(expected)
  })

  it.each<[Outcome, string]>([
    [refused, 'cf'],
    [{ kind: 'timed-out', phase: 'connect' }, 'tc'],
    [{ kind: 'timed-out', phase: 'response' }, 'tr'],
    [{ kind: 'timed-out', phase: 'idle' }, 'ti'],
    [{ kind: 'broke-off', afterHeaders: false, code: 'ECONNRESET' }, 'bo'],
    [{ kind: 'broke-off', afterHeaders: true, code: 'ECONNRESET' }, 'bo+'],
    [{ kind: 'bad-response', afterHeaders: false, detail: 'x' }, 'br'],
    [{ kind: 'bad-response', afterHeaders: true, detail: 'x' }, 'br+'],
    [{ kind: 'client-left' }, 'cl'],
    [{ kind: 'bad-request', status: 413, detail: 'x' }, 'bq'],
    [{ kind: 'responded', status: 503, relayed: false }, '503'],
  ])('%j is %s', (outcome, token) => {
    expect(code(attempt(outcome))).toBe(`3/3:${token}`)
  })

  it('says who there was when there was nobody to try', () => {
    const none = (found: Standing | null) => trailCode({ tries: [], standing: found, outcome: 'no-endpoints' })
    expect(none(standing(0, [], 2))).toBe('0/2a2:none')
    expect(none(standing(2, ['drained', 'drained']))).toBe('0/2d2:none')
    expect(none(null)).toBe('0/0:none')
  })

  it.each(['refused', 'unknown-service', 'answered'] as const)('is none of a request that was %s', (outcome) => {
    expect(trailCode({ tries: [], standing: null, outcome })).toBeNull()
  })

  it('leaves out the middle of more than twenty attempts', () => {
    const tries = (count: number) => [...new Array(count - 1).fill(attempt(refused)), attempt(responded(200))]
    expect(code(...tries(20))).toBe(`3/3:${'cf>'.repeat(19)}200`)
    expect(code(...tries(21))).toBe(`3/3:${'cf>'.repeat(10)}+1>${'cf>'.repeat(9)}200`)
    expect(code(...tries(2_000))?.length).toBeLessThan(100)
  })

  it('is one short word, with the numbers of the standing in it, whatever happened', () => {
    const outcome = fc.constantFrom(...outcomeKinds).map((kind): Outcome => {
      const rest = { status: 200, relayed: true, code: 'E x\n', phase: 'idle', afterHeaders: true, detail: 'a b' }
      return { kind, ...rest } as unknown as Outcome
    })
    const states = fc.array(fc.constantFrom<OutOfRotation['state']>('ejected', 'probing', 'drained'), { maxLength: 50 })
    const role = fc.constantFrom<PickRole>('regular', 'probe', 'panic')
    fc.assert(
      fc.property(
        fc.array(fc.tuple(outcome, role), { minLength: 1, maxLength: 40 }),
        states,
        fc.nat(9),
        fc.nat(9),
        (list, out, more, absent) => {
          const found = standing(out.length + more, out, absent)
          const word = code(...list.map(([each, as]) => attempt(each, as, found))) ?? ''
          const form =
            /^(\d+)\/(\d+)(?:e(\d+))?(?:p(\d+))?(?:d(\d+))?(?:a(\d+))?:([?!]?(\d{3}|[a-z]{2}\+?)(>|$)|\+\d+>)+$/.exec(
              word,
            )
          expect(form, word).not.toBeNull()
          const [inRotation = 0, known = 0, ...counts] = (form ?? []).slice(1, 7).map((text) => Number(text ?? 0))
          expect(inRotation).toBe(more)
          expect(known).toBe(inRotation + counts.reduce((sum, count) => sum + count, 0))
          expect(word.length).toBeLessThan(160)
        },
      ),
    )
  })
})
