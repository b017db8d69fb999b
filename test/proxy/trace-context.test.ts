import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createTraceMaker, type MadeTrace, traceIdIn, traceOf } from '../../src/proxy/trace-context.ts'

const traceId = '4bf92f3577b34da6a3ce929d0e0e4736'
const parentId = '00f067aa0ba902b7'
const valid = `00-${traceId}-${parentId}-01`
const zeros = '0'.repeat(32)

describe('what a traceparent says', () => {
  const rows: readonly (readonly [why: string, value: string, id: string | null])[] = [
    ['the example of the recommendation', valid, traceId],
    ['not sampled', `00-${traceId}-${parentId}-00`, traceId],
    ['flags that nobody knows yet', `00-${traceId}-${parentId}-ff`, traceId],
    ['an unknown version of the same length', `01-${traceId}-${parentId}-01`, traceId],
    ['the highest version that may come', `fe-${traceId}-${parentId}-01`, traceId],
    ['an unknown version with more behind a dash', `cc-${traceId}-${parentId}-01-what-the-future-will-be`, traceId],
    ['an unknown version that ends in a dash', `01-${traceId}-${parentId}-01-`, traceId],
    ['an unknown version with more behind no dash', `cc-${traceId}-${parentId}-01.more`, null],
    ['version 00 with more behind a dash', `${valid}-more`, null],
    ['version 00 that ends in a dash', `${valid}-`, null],
    ['the version that is none', `ff-${traceId}-${parentId}-01`, null],
    ['a trace id of zeros', `00-${zeros}-${parentId}-01`, null],
    ['a parent id of zeros', `00-${traceId}-${'0'.repeat(16)}-01`, null],
    ['a trace id that only ends in zeros', `00-1${'0'.repeat(31)}-${parentId}-01`, `1${'0'.repeat(31)}`],
    ['upper case in the trace id', `00-${traceId.toUpperCase()}-${parentId}-01`, null],
    ['upper case in the parent id', `00-${traceId}-${parentId.toUpperCase()}-01`, null],
    ['upper case in the version', `0A-${traceId}-${parentId}-01`, null],
    ['upper case in the flags', `00-${traceId}-${parentId}-0A`, null],
    ['a letter that is no digit', `00-${traceId.slice(1)}g-${parentId}-01`, null],
    ['too short a trace id', `00-${traceId.slice(1)}-${parentId}-01`, null],
    ['too long a parent id', `00-${traceId}-${parentId}0-01`, null],
    ['flags of one digit', `00-${traceId}-${parentId}-1`, null],
    ['no flags', `00-${traceId}-${parentId}`, null],
    ['underscores', valid.replaceAll('-', '_'), null],
    ['a blank in front', ` ${valid}`, null],
    ['a line end behind', `${valid}\n`, null],
    ['two in one field', `${valid}, ${valid}`, null],
    ['nothing', '', null],
  ]

  it.each(rows)('%s: %j', (_, value, id) => {
    expect(traceIdIn(['traceparent', value])).toBe(id)
  })

  it('is nothing without the field, and nothing when there are two of it, alike or not', () => {
    expect(traceIdIn(['Host', 'h', 'tracestate', 'a=1'])).toBeNull()
    expect(traceIdIn(['traceparent', valid, 'Traceparent', valid])).toBeNull()
    expect(traceIdIn(['traceparent', 'no', 'traceparent', valid])).toBeNull()
  })

  it('is read whatever the case of its name', () => {
    for (const name of ['Traceparent', 'TraceParent', 'TRACEPARENT']) {
      expect(traceIdIn(['Host', 'h', name, valid])).toBe(traceId)
    }
  })

  it('is read from whatever has its form, and from nothing else', () => {
    const hex = (length: number) =>
      fc.string({ unit: fc.constantFrom(...'0123456789abcdef'), minLength: length, maxLength: length })
    fc.assert(
      fc.property(hex(2), hex(32), hex(16), hex(2), fc.string(), (version, id, parent, flags, rest) => {
        const isValid = version !== 'ff' && /[^0]/.test(id) && /[^0]/.test(parent)
        expect(traceIdIn(['traceparent', `${version}-${id}-${parent}-${flags}`])).toBe(isValid ? id : null)
        const isReadOn = isValid && version !== '00'
        expect(traceIdIn(['traceparent', `${version}-${id}-${parent}-${flags}-${rest}`])).toBe(isReadOn ? id : null)
      }),
    )
    fc.assert(fc.property(fc.string({ unit: 'binary' }), (value) => traceIdIn(['traceparent', value]) === null))
    fc.assert(
      fc.property(fc.nat(valid.length - 1), fc.constantFrom(...'g-. A\0'), (at, letter) => {
        const spoilt = `${valid.slice(0, at)}${letter}${valid.slice(at + 1)}`
        expect(traceIdIn(['traceparent', spoilt])).toBe(spoilt === valid ? traceId : null)
      }),
    )
  })
})

describe('the trace of a request', () => {
  const made: MadeTrace = { id: 'f'.repeat(32), sampled: true, made: `00-${'f'.repeat(32)}-${parentId}-01` }
  const never = () => {
    throw new Error('nothing is to be made')
  }

  it('is the one that came, and nothing is made', () => {
    expect(traceOf(['traceparent', valid], never)).toEqual({ id: traceId, sampled: true, made: null })
  })

  it.each([
    ['00', false],
    ['01', true],
    ['02', false],
    ['03', true],
    ['fe', false],
    ['ff', true],
  ])('with the flags %s is to be recorded: %s', (flags, sampled) => {
    expect(traceOf(['traceparent', valid.slice(0, -2) + flags], never).sampled).toBe(sampled)
    expect(traceOf(['traceparent', `01${valid.slice(2, -2)}${flags}-x`], never).sampled).toBe(sampled)
  })

  it('is made where none came, or an invalid one', () => {
    expect(traceOf([], () => made)).toBe(made)
    expect(traceOf(['traceparent', 'x', 'tracestate', 'a=1'], () => made)).toBe(made)
  })

  it('is none when nothing is to be made', () => {
    expect(traceOf(['traceparent', 'x'], () => null)).toEqual({ id: null, sampled: false, made: null })
  })
})

describe('making traces', () => {
  const counting = () => {
    let byte = 0
    return (bytes: Uint8Array) => {
      for (let index = 0; index < bytes.length; index++) bytes[index] = ++byte % 256
    }
  }

  it('makes a valid one of fresh bytes each time', () => {
    const make = createTraceMaker(() => ({ enabled: true, sample: 1 }), counting(), Math.random)
    expect(make()?.made).toBe('00-0102030405060708090a0b0c0d0e0f10-1112131415161718-01')
    expect(make()?.made).toBe('00-191a1b1c1d1e1f202122232425262728-292a2b2c2d2e2f30-01')
  })

  it('draws again when all are used, and no bytes serve twice', () => {
    const fills: number[] = []
    const make = createTraceMaker(
      () => ({ enabled: true, sample: 1 }),
      (bytes) => {
        fills.push(bytes.length)
        for (let index = 0; index < bytes.length; index++) bytes[index] = Math.random() * 256
      },
      Math.random,
    )
    const seen = new Set(Array.from({ length: 600 }, () => make()?.id))
    expect([seen.size, new Set(fills).size, fills.length]).toEqual([600, 1, 3])
  })

  it('makes no id of zeros, whatever is drawn', () => {
    const make = createTraceMaker(
      () => ({ enabled: true, sample: 1 }),
      () => {},
      () => 0,
    )
    for (let i = 0; i < 300; i++) {
      const trace = make()
      expect(traceIdIn(['traceparent', trace?.made ?? ''])).toBe(trace?.id)
    }
  })

  it('flags the share that is to be recorded, and asks anew each time', () => {
    let options = { enabled: true, sample: 0.5 }
    const drawn = [0, 0.49, 0.5, 0.99, 0]
    const make = createTraceMaker(
      () => options,
      () => {},
      () => drawn.shift() ?? 0,
    )
    const flags = () => {
      const trace = make()
      expect(trace?.sampled).toBe(trace?.made.endsWith('-01'))
      return trace?.made.slice(-2)
    }
    expect([flags(), flags(), flags(), flags()]).toEqual(['01', '01', '00', '00'])
    options = { enabled: true, sample: 0 }
    expect(flags()).toBe('00')
    options = { enabled: false, sample: 1 }
    expect(make()).toBeNull()
  })
})
