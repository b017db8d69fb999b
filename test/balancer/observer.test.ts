import { expect, it } from 'vitest'
import { allOf, type BalancerObserver } from '../../src/balancer/observer.ts'

it('all observers hear of what they have a method for, although one throws, and those that come later too', () => {
  const heard: string[] = []
  const broken = () => {
    throw new Error('an observer')
  }
  const observers: Partial<BalancerObserver>[] = [{ onDrained: broken, onPanicPick: broken }]
  const all = allOf(observers)
  observers.push({ onDrained: (...event) => heard.push(event.join(' ')) }, { onPanicPick: (name) => heard.push(name) })
  all.onDrained('web', 'a:1', 'anna')
  all.onPanicPick('web')
  all.onRestored('web', 'a:1')
  expect(heard).toEqual(['web a:1 anna', 'web'])
})
