/** Can the checks be relied on? Pure. */

import type { ChurningCheck, Facts, ServiceFacts } from './facts.ts'
import { count, type Finding, foundInstance, seconds, shareOf, shownName } from './finding.ts'

/** Instances of one service that nobody looks after. */
export function uncheckedFindings(service: ServiceFacts): readonly Finding[] {
  const unchecked = service.instances.filter(({ checks, standing }) => checks === 0 && standing === 'routed')
  if (unchecked.length === 0) return []
  return [
    {
      kind: 'no-checks',
      severity: 'warning',
      service: shownName(service.name),
      instances: unchecked.map((each) => foundInstance(each)),
      where: shownName(service.name),
      what: `${shareOf(unchecked.length, service.instances.length)} ${unchecked.length === 1 ? 'has' : 'have'} no check`,
      why: 'to Consul it is passing for ever, dead or alive, at most until its node is lost: only failing requests show it',
      cure: 'register a check that does what clients do: an http check on a health path, or at least a tcp check on its port',
    },
  ]
}

/**
 * Fewer changes than this in the time that was watched are no churn: any check has news at times, and by default an agent tells
 * of a new output once in five minutes (check_update_interval).
 */
const CHURN = 2

/** Those of services with the service that they belong to; those of nodes in one. */
export function churnFindings({ churn, services }: Facts): readonly Finding[] {
  const known = new Set(services.map(({ name }) => name))
  const groups = new Map<string | null, ChurningCheck[]>()
  for (const check of churn.checks) {
    if (check.changes < CHURN || (check.service !== null && !known.has(check.service))) continue
    groups.set(check.service, [...(groups.get(check.service) ?? []), check])
  }
  return [...groups].map(([service, checks]) => {
    const most = Math.max(...checks.map(({ changes }) => changes))
    return {
      kind: 'churning-check',
      severity: 'warning',
      service: service === null ? null : shownName(service),
      instances: checks.map(({ instance, node, check, changes }) => ({
        id: instance === '' ? node : instance,
        node,
        place: '',
        note: `check "${check}": ${count(changes, 'change')}`,
      })),
      where: service === null ? 'checks of nodes' : shownName(service),
      what: `the output of ${count(checks.length, 'check')} keeps changing while the status stays the same: up to ${most} times in ${seconds(churn.watchedMs)}`,
      why:
        service === null
          ? 'each change wakes everybody who watches any service of that node, and is written by every Consul server: nobody learns anything'
          : 'each change wakes everybody who watches the service, this proxy included, and is written by every Consul server: nobody learns anything',
      cure: "keep times, counters and request ids out of the check's output; a longer interval, or check_update_interval in the agent's config, makes it rarer",
    }
  })
}
