/** Does admission let go whoever leaves what is pushed, at once, however many they are? */

import { expect, test } from 'vitest'
import { type Admission, judgeAnswer, newAdmission } from '../../../src/discovery/admission.ts'
import { createLeases, DEPARTED_MS, type Leases } from '../../../src/discovery/push/push-leases.ts'

const max = 100_000

/** The leases, and what admission makes of each catalog of theirs. */
function world() {
  const leases = createLeases()
  let admission: Admission = newAdmission({ catalog: null, isJudge: false })
  const put = (service: string, id: string, port: number, nowMs = 0) =>
    leases.put({ service, id, address: '10.0.0.1', port, weight: 1, tags: [], ttlMs: 30_000 }, '127.0.0.1', nowMs, max)
  return {
    put,
    leases,
    /** `web 2, api 0`, and how many are held. */
    judged(nowMs: number): string {
      const options = { enabled: true, holdMs: 10_000 }
      const given = { nowMs, options, settled: () => true, vitals: () => null }
      admission = judgeAnswer(admission, leases.catalog(), { rewound: false }, given).admission
      const services = [...(admission.table?.services ?? [])]
      const table = services.map(([name, { endpoints }]) => `${name} ${endpoints.length}`)
      return `${table.join(', ')}; held ${admission.suspects.size}`
    },
  }
}

test.each<[string, (leases: Leases) => unknown]>([
  ['are silent', (leases) => leases.expire(30_000)],
  [
    'are removed',
    (leases) => {
      for (const { service, id } of [...leases.all()]) leases.remove(service, id, 30_000)
    },
  ],
])('all that %s', (_, leave) => {
  const { put, leases, judged } = world()
  for (const service of ['api', 'web']) for (let at = 0; at < 3; at += 1) put(service, `${at}`, 80 + at)
  expect(judged(0)).toBe('api 3, web 3; held 0')
  leave(leases)
  expect(judged(30_000)).toBe('api 0, web 0; held 0')
  leases.expire(30_000 + DEPARTED_MS)
  expect(judged(30_000 + DEPARTED_MS)).toBe('; held 0')
})

test('all of a service that move together', () => {
  const { put, judged } = world()
  for (let at = 0; at < 3; at += 1) put('web', `${at}`, 80 + at)
  expect(judged(0)).toBe('web 3; held 0')
  for (let at = 0; at < 3; at += 1) put('web', `${at}`, 90 + at)
  expect(judged(1)).toBe('web 3; held 0')
})
