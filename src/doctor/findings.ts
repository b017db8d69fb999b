/** What is wrong, and what is the worst of it? Pure: facts in, findings out; the same facts give the same findings. */

import { compareText } from '../discovery/untrusted-text.ts'
import type { Facts } from './facts.ts'
import type { Finding } from './finding.ts'
import { addressFindings } from './findings-address.ts'
import { churnFindings, uncheckedFindings } from './findings-checks.ts'
import { localFindings, reachFindings } from './findings-reach.ts'
import { registryFindings } from './findings-registry.ts'
import { serviceFindings } from './findings-service.ts'
import { severalFindings } from './findings-several.ts'
import { sourceFindings } from './findings-source.ts'

/** All findings, those of one service together: first what is about no service, then the service with the most errors. */
export function diagnose(...all: readonly Facts[]): readonly Finding[] {
  const [local] = all.map(localFindings).filter((found) => found.length > 0)
  return worstFirst([...all.flatMap(ofSource), ...(local ?? []), ...(all.length > 1 ? severalFindings(all) : [])])
}

function ofSource(facts: Facts): readonly Finding[] {
  const { source } = facts
  const perService = facts.services.flatMap((service) => [
    ...serviceFindings(facts, service),
    ...reachFindings(facts, service),
    ...addressFindings(facts, service),
    ...(source === 'consul' ? uncheckedFindings(service) : []),
  ])
  const found = [...sourceFindings(facts), ...registryFindings(facts), ...perService, ...churnFindings(facts)]
  return found.map((finding) => ({ ...finding, source }))
}

/** Within a service errors come first, and else the order in which they were found. */
function worstFirst(findings: readonly Finding[]): readonly Finding[] {
  const groups = new Map<string | null, Finding[]>()
  for (const finding of findings) groups.set(finding.service, [...(groups.get(finding.service) ?? []), finding])
  const errors = (group: readonly Finding[]) => group.filter(({ severity }) => severity === 'error').length
  return [...groups]
    .sort(
      ([aName, a], [bName, b]) =>
        Number(bName === null) - Number(aName === null) ||
        errors(b) - errors(a) ||
        b.length - a.length ||
        compareText(aName ?? '', bName ?? ''),
    )
    .flatMap(([, group]) => [
      ...group.filter(({ severity }) => severity === 'error'),
      ...group.filter(({ severity }) => severity === 'warning'),
    ])
}
