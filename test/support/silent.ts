/** An observer of a balancer that nobody asks. */

import type { BalancerObserver } from '../../src/balancer/observer.ts'

export const silent: BalancerObserver = {
  onEjected() {},
  onRestored() {},
  onWithheld() {},
  onDrained() {},
  onUndrained() {},
  onPanicPick() {},
}
