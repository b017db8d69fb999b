/** Which node does a path mean, and when is it read? */

import { expect, test } from 'vitest'
import { createReads, pathOf, type Target, targetAt } from '../../../src/discovery/zookeeper/zookeeper-reads.ts'

const web: Target = { kind: 'service', service: 'web' }
const first: Target = { kind: 'instance', service: 'web', id: '1' }

test.each<[string, Target | null]>([
  ['/services', { kind: 'services' }],
  ['/services/web', web],
  ['/services/web/1', first],
  ['/services/web/1/deeper', null],
  ['/servicesless/web', null],
  ['/', null],
])('%s is what it says, and nothing else', (path, target) => {
  expect(targetAt(path, '/services')).toEqual(target)
  if (target !== null) expect(`/services${pathOf(target)}`).toBe(path)
})

test('a node is read once, however often it is needed, and once more if it changes while it is being read', () => {
  const reads = createReads()
  for (const target of [web, first, web, first]) reads.need(target)
  expect([reads.next(), reads.next(), reads.next()]).toEqual([web, first, null])
  reads.need(first)
  reads.changed(web)
  reads.changed(web)
  expect(reads.next()).toBeNull()
  reads.finished(first)
  expect(reads.isDone('web')).toBe(false)
  reads.finished(web)
  expect([reads.isEmpty, reads.isDone('web')]).toEqual([false, false])
  expect([reads.next(), reads.next()]).toEqual([web, null])
  reads.finished(web)
  expect([reads.isEmpty, reads.isDone('web')]).toEqual([true, true])
})
