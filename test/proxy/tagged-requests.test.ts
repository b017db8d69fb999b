/** What becomes of a request that a route has? Exchanges are mocked. */

import { expect, test } from 'vitest'
import { routeTable } from '../../src/proxy/route-table.ts'
import { answered, fakeExchange, world } from './handler-world.ts'

const [whole, cut] = [
  { strip: '', prepend: '' },
  { strip: '/shop', prepend: '' },
]
/** Of service `s`: `a` wants the path whole, `b` and `c` want it cut. */
const wayOf = new Map([
  ['a:1', whole],
  ['b:1', cut],
  ['c:1', cut],
])
const tagRoutes = routeTable([{ name: 's', host: '', path: '/shop', ways: [whole, cut], wayOf }])

function prefixIn(headers: readonly string[]): string | null {
  const at = headers.findIndex((name) => name.toLowerCase() === 'x-forwarded-prefix')
  return at < 0 ? null : (headers[at + 1] ?? null)
}

test('each endpoint sees the path as its own tag says, on every attempt of one request', async () => {
  const w = world({ tagRoutes, attempts: 2 })
  const seen: string[] = []
  const exchange = fakeExchange(
    (to, plan) => {
      seen.push(`${to.id} ${plan.target} ${prefixIn(plan.requestHeaders)}`)
      return seen.length < 3 ? { kind: 'connect-failed', code: 'ECONNREFUSED' } : answered(200)(to, plan)
    },
    { target: '/shop/basket?x' },
  )
  expect(await w.run(exchange)).toMatchObject({ status: 200, service: 's', attempts: 3 })
  expect(seen.sort()).toEqual(['a:1 /shop/basket?x null', 'b:1 /basket?x /shop', 'c:1 /basket?x /shop'])
})

test('a request that leaves its route is refused before anybody is asked; one without a route names its service', async () => {
  const w = world({ tagRoutes })
  const nobody = () => {
    throw new Error('nobody is to be asked')
  }
  const refused = fakeExchange(nobody, { target: '/shop/../admin' })
  expect(await w.run(refused)).toMatchObject({ status: 400, outcome: 'refused', service: null })
  const named = fakeExchange(answered(200), { target: '/s/x' })
  expect(await w.run(named)).toMatchObject({ status: 200, service: 's' })
  expect(w.defects).toEqual([])
})
