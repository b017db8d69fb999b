import { randomFillSync } from 'node:crypto'
import { expect, it } from 'vitest'
import { createTraceMaker } from '../../src/proxy/trace-context.ts'
import { describeEngines } from './engines.ts'
import { request, startProxy } from './harness.ts'
import { headerLines, type Message } from './messages.ts'
import { answering, ok, refusingEndpoint, startOrigin } from './sockets.ts'

const traceId = '4bf92f3577b34da6a3ce929d0e0e4736'
const valid = `00-${traceId}-00f067aa0ba902b7-01`
const makes = createTraceMaker(() => ({ enabled: true, sample: 1 }), randomFillSync, Math.random)

const traceOf = (message: Message | undefined) =>
  message === undefined ? [] : [headerLines(message, 'traceparent'), headerLines(message, 'tracestate')]
const idIn = (message: Message | undefined) =>
  message === undefined ? undefined : headerLines(message, 'traceparent')[0]?.split('-')[1]

describeEngines('the trace of a request', (engine) => {
  const cases: readonly (readonly [what: string, fields: readonly string[], passes: string[][], id: string | null])[] =
    [
      ['a valid one', [`traceparent: ${valid}`, 'tracestate: a=1,b=2'], [[valid], ['a=1,b=2']], traceId],
      ['one of a version to come', [`Traceparent: 01-${valid.slice(3)}-x`], [[`01-${valid.slice(3)}-x`], []], traceId],
      ['an invalid one', ['traceparent: 00-abc', 'tracestate: a=1'], [['00-abc'], ['a=1']], null],
      ['a state alone', ['tracestate: a=1'], [[], ['a=1']], null],
      ['none', [], [[], []], null],
      [
        'one that Connection names',
        ['Connection: traceparent, tracestate', `traceparent: ${valid}`, 'tracestate: a=1'],
        [[valid], ['a=1']],
        traceId,
      ],
    ]

  it.each(cases)('passes as it came, and %s is logged for what it is', async (_, fields, passes, id) => {
    const origin = await answering(ok())
    const proxy = await startProxy(engine, { services: { s: [origin] } })
    await proxy.ask(request('/s/', fields))
    expect(traceOf(origin.requests()[0])).toEqual(passes)
    expect((await proxy.record()).traceId).toBe(id)
  })

  it('passes unchanged where traces are made, when it is valid', async () => {
    const origin = await answering(ok())
    const proxy = await startProxy(engine, { services: { s: [origin] }, newTrace: makes })
    await proxy.ask(request('/s/', [`traceparent: ${valid}`, 'tracestate: a=1', 'Tracestate: b=2']))
    const [seen] = origin.requests()
    expect(traceOf(seen)).toEqual([[valid], ['a=1', 'b=2']])
    expect((await proxy.record()).traceId).toBe(traceId)
  })

  it.each([
    ['without one', []],
    ['with a state alone', ['tracestate: a=1']],
    ['with an invalid one', [`traceparent: ff-${valid.slice(3)}`, 'tracestate: a=1']],
    ['with two', [`traceparent: ${valid}`, `Traceparent: ${valid}`, 'tracestate: a=1']],
  ])('is made for a request %s, whose state is dropped', async (_, fields) => {
    const origin = await answering(ok())
    const proxy = await startProxy(engine, { services: { s: [origin] }, newTrace: makes })
    await proxy.ask(request('/s/', fields))
    const [seen] = origin.requests()
    expect(traceOf(seen)).toEqual([[expect.stringMatching(/^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/)], []])
    expect((await proxy.record()).traceId).toBe(idIn(seen))
  })

  it('is the same for every attempt of a request', async () => {
    const first = await startOrigin(async (connection) => {
      await connection.head()
      connection.socket.destroy()
    })
    const second = await answering(ok())
    const proxy = await startProxy(engine, {
      services: { s: [await refusingEndpoint(), first, second] },
      newTrace: makes,
    })
    // Whoever's turn it is first: over three requests each endpoint has been tried.
    for (let i = 0; i < 3; i++) await proxy.ask(request('/s/'))
    const ids = [...first.requests(), ...second.requests()].map(idIn)
    const recorded = (await Promise.all([0, 1, 2].map(proxy.record))).map((each) => each.traceId)
    expect(ids.length).toBeGreaterThan(3)
    expect(new Set(ids)).toEqual(new Set(recorded))
    expect(new Set(recorded).size).toBe(3)
  })

  it('is recorded of what the proxy answers itself', async () => {
    const proxy = await startProxy(engine, { newTrace: makes })
    await proxy.ask(request('/nobody/', [`traceparent: ${valid}`]))
    await proxy.ask(request('/nobody/'))
    expect((await proxy.record(0)).traceId).toBe(traceId)
    expect((await proxy.record(1)).traceId).toMatch(/^[0-9a-f]{32}$/)
  })
})
