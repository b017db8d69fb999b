import { expect, test } from 'vitest'
import { countWakeups } from '../../../src/discovery/consul/consul-wakeups.ts'

test('wake-ups are counted in all and by service, and the noisiest come first', () => {
  const wakeups = countWakeups()
  for (let at = 0; at < 12; at += 1) {
    for (let times = 0; times <= at; times += 1) wakeups.woke(`s${at}`, false)
  }
  wakeups.woke('s11', true)
  wakeups.woke('quiet', true)
  wakeups.woke(null, false)
  const { wakeups: total, noisiest } = wakeups.view()
  expect(total).toEqual({ useful: 2, useless: 79 })
  expect(noisiest.map(({ service }) => service)).toEqual('s11 s10 s9 s8 s7 s6 s5 s4 s3 s2'.split(' '))
  expect(noisiest[0]).toEqual({ service: 's11', useful: 1, useless: 12 })
})

test('a service that leaves is forgotten, though not in the sum', () => {
  const wakeups = countWakeups()
  wakeups.woke('web', false)
  wakeups.forget('web')
  expect(wakeups.view()).toEqual({ wakeups: { useful: 0, useless: 1 }, noisiest: [] })
})
