import { describe, expect, it } from 'vitest'
import { type Fault, faultOf, isLocalError, type Outcome, outcomeKinds } from '../../src/balancer/outcome.ts'

const isFaultStatus = (status: number) => status >= 500

describe('whose fault an outcome was', () => {
  const rows: { name: string; outcome: Outcome; fault: Fault }[] = [
    { name: 'a good response is nobody’s', outcome: { kind: 'responded', status: 200, relayed: true }, fault: 'none' },
    {
      name: 'a switch of protocols is a good response',
      outcome: { kind: 'responded', status: 101, relayed: true },
      fault: 'none',
    },
    {
      name: 'a 404 is a good response: the endpoint did its work',
      outcome: { kind: 'responded', status: 404, relayed: true },
      fault: 'none',
    },
    {
      name: 'the last status before the faulty ones',
      outcome: { kind: 'responded', status: 499, relayed: true },
      fault: 'none',
    },
    {
      name: 'the first faulty status is the endpoint’s',
      outcome: { kind: 'responded', status: 500, relayed: true },
      fault: 'response',
    },
    {
      name: 'a faulty status counts, although another endpoint was tried instead',
      outcome: { kind: 'responded', status: 503, relayed: false },
      fault: 'response',
    },
    { name: 'a refused connection', outcome: { kind: 'connect-failed', code: 'ECONNREFUSED' }, fault: 'connect' },
    { name: 'an unroutable address', outcome: { kind: 'connect-failed', code: 'EHOSTUNREACH' }, fault: 'connect' },
    { name: 'a name that does not resolve', outcome: { kind: 'connect-failed', code: 'ENOTFOUND' }, fault: 'connect' },
    {
      name: 'a connection that does not come to stand in time',
      outcome: { kind: 'timed-out', phase: 'connect' },
      fault: 'connect',
    },
    { name: 'no response head in time', outcome: { kind: 'timed-out', phase: 'response' }, fault: 'response' },
    { name: 'a body that stalls', outcome: { kind: 'timed-out', phase: 'idle' }, fault: 'response' },
    {
      name: 'a connection that dies before the head',
      outcome: { kind: 'broke-off', afterHeaders: false, code: 'ECONNRESET' },
      fault: 'response',
    },
    {
      name: 'a kept connection that is dead when it is taken up again',
      outcome: { kind: 'broke-off', afterHeaders: false, code: 'ECONNRESET', stale: true },
      fault: 'not-upstream',
    },
    {
      name: 'a connection that dies in the body',
      outcome: { kind: 'broke-off', afterHeaders: true, code: 'EPIPE' },
      fault: 'response',
    },
    {
      name: 'something that is not HTTP',
      outcome: { kind: 'bad-response', afterHeaders: false, detail: 'SSH-2.0' },
      fault: 'response',
    },
    { name: 'a client that left says nothing', outcome: { kind: 'client-left' }, fault: 'not-upstream' },
    {
      name: 'a bad request says nothing',
      outcome: { kind: 'bad-request', status: 413, detail: 'too large' },
      fault: 'not-upstream',
    },
    { name: 'no free port here', outcome: { kind: 'connect-failed', code: 'EADDRNOTAVAIL' }, fault: 'not-upstream' },
    {
      name: 'a source address in use here',
      outcome: { kind: 'connect-failed', code: 'EADDRINUSE' },
      fault: 'not-upstream',
    },
    {
      name: 'no free file descriptor in this process',
      outcome: { kind: 'connect-failed', code: 'EMFILE' },
      fault: 'not-upstream',
    },
    {
      name: 'no free file descriptor on this machine',
      outcome: { kind: 'connect-failed', code: 'ENFILE' },
      fault: 'not-upstream',
    },
    { name: 'no buffer space here', outcome: { kind: 'connect-failed', code: 'ENOBUFS' }, fault: 'not-upstream' },
    { name: 'no memory here', outcome: { kind: 'connect-failed', code: 'ENOMEM' }, fault: 'not-upstream' },
  ]
  for (const { name, outcome, fault } of rows) {
    it(`${name}: ${fault}`, () => expect(faultOf(outcome, isFaultStatus)).toBe(fault))
  }

  it('every kind of outcome has a row above', () => {
    expect(new Set(rows.map(({ outcome }) => outcome.kind))).toEqual(new Set(outcomeKinds))
    expect(new Set(outcomeKinds).size).toBe(outcomeKinds.length)
  })

  it('which statuses are faults is the caller’s word', () => {
    const only404 = (status: number) => status === 404
    expect(faultOf({ kind: 'responded', status: 404, relayed: true }, only404)).toBe('response')
    expect(faultOf({ kind: 'responded', status: 500, relayed: true }, only404)).toBe('none')
  })

  it('a connection refused by the other side is no local error', () => {
    expect(['ECONNREFUSED', 'ETIMEDOUT', 'ENETUNREACH', ''].filter(isLocalError)).toEqual([])
  })
})
