/**
 * Does the whole thing keep its promises: a real Consul agent, real instances, the real program, real load? The drills
 * at a small size and without a word on times; `npm run drills` runs them at full size.
 */

import { describe, expect, test } from 'vitest'
import { even, evenSmall } from '../drills/even.ts'
import { flip, flipSmall } from '../drills/flip.ts'
import { kill, killSmall } from '../drills/kill.ts'
import { sick, sickSmall } from '../drills/sick.ts'
import { walk, walkSmall } from '../drills/walk.ts'

describe('requests, from a real Consul catalog', () => {
  test('walk over the instances that the consul command registered, and leave out one that it deregistered', async () => {
    const { broken, figures } = await walk(walkSmall)
    expect(broken).toEqual([])
    expect(figures).toMatchObject({
      'walked over': 'account-1 account-2 account-3 account-1 account-2 account-3',
      'after `consul services deregister`': 'account-1 account-3 account-1 account-3',
    })
  }, 60_000)

  test('are shared equally over 50 connections, with and without upstream keep-alive, while another service flaps', async () => {
    const { broken, figures } = await even(evenSmall)
    expect(broken).toEqual([])
    for (const how of ['keep-alive off', 'keep-alive on', 'keep-alive on, another service flaps']) {
      expect(figures).toHaveProperty(how, 'a:200 b:200 c:200')
    }
  }, 60_000)

  test('survive the kill -9 of an instance that Consul does not know of: only POSTs fail, and only those it had', async () => {
    const { broken, figures } = await kill(killSmall)
    expect(broken).toEqual([])
    expect(figures['100 ms of work: GETs failed']).toMatch(/^0 of \d{3}/)
  }, 90_000)

  test('leave out an instance that answers 500 until a probe goes well, and none when all answer 500', async () => {
    const { broken, figures } = await sick(sickSmall)
    expect(broken).toEqual([])
    expect(figures).toMatchObject({ 'answers until it was ejected': 5, 'all sick: shares': 'a:200 b:200 c:200' })
  }, 60_000)

  test('stop coming to an instance whose check fails, and come back when it passes', async () => {
    const { broken, figures } = await flip(flipSmall)
    expect(broken).toEqual([])
    expect(figures['requests failed']).toMatch(/^0 of \d{3}/)
  }, 60_000)
})
