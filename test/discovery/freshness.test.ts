import { describe, expect, it } from 'vitest'
import { createFreshness } from '../../src/discovery/freshness.ts'

const failure = { where: 'GET /v1/catalog/services', message: 'connection refused', cure: 'start it' }

describe('freshness of the catalog', () => {
  it('is starting, without an age, until the first confirmation, whatever fails before', () => {
    const freshness = createFreshness(() => 0)
    freshness.failed(failure)
    expect(freshness.readiness()).toEqual({ state: 'starting', ageMs: null })
  })

  it('is stale from the first failure on and fresh from the next confirmation on, and says how old it is', () => {
    let nowMs = 1_000
    const freshness = createFreshness(() => nowMs)
    expect(freshness.confirmed()).toBe('still')
    nowMs = 5_000
    expect(freshness.readiness()).toEqual({ state: 'fresh', ageMs: 4_000 })
    freshness.failed(failure)
    expect(freshness.readiness()).toEqual({ state: 'stale', ageMs: 4_000 })
    expect(freshness.confirmed()).toBe('recovered')
    expect(freshness.readiness()).toEqual({ state: 'fresh', ageMs: 0 })
  })

  it('is stale after a restore, as old as the snapshot and older with time, until the first confirmation', () => {
    let nowMs = 1_000
    const freshness = createFreshness(() => nowMs)
    freshness.failed(failure)
    freshness.restored(86_400_000)
    expect(freshness.readiness()).toEqual({ state: 'stale', ageMs: 86_400_000 })
    nowMs = 6_000
    freshness.failed(failure)
    expect(freshness.readiness()).toEqual({ state: 'stale', ageMs: 86_405_000 })
    expect(freshness.confirmed()).toBe('recovered')
    expect(freshness.readiness()).toEqual({ state: 'fresh', ageMs: 0 })
    expect(freshness.confirmed()).toBe('still')
  })

  it('ignores a restore after a confirmation, and an age below 0', () => {
    const freshness = createFreshness(() => 1_000)
    freshness.restored(-5)
    expect(freshness.readiness()).toEqual({ state: 'stale', ageMs: 0 })
    freshness.confirmed()
    freshness.restored(60_000)
    expect(freshness.readiness()).toEqual({ state: 'fresh', ageMs: 0 })
  })

  it('tells a failure once a minute, and another failure at once', () => {
    let nowMs = 0
    const freshness = createFreshness(() => nowMs)
    expect(freshness.failed(failure)).toBe(true)
    nowMs = 59_999
    expect(freshness.failed(failure)).toBe(false)
    expect(freshness.failed({ ...failure, message: 'status 500' })).toBe(true)
    nowMs = 60_000
    expect(freshness.failed(failure)).toBe(true)
  })

  it('remembers a bounded number of failures', () => {
    const freshness = createFreshness(() => 0)
    for (let index = 0; index <= 1_000; index++) freshness.failed({ ...failure, where: `GET /${index}` })
    expect(freshness.failed({ ...failure, where: 'GET /0' })).toBe(true)
  })
})
