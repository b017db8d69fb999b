/** Can a service be asked for, and is there anybody to answer? Pure. */

import { isNameable } from '../discovery/names.ts'
import { routeOf } from '../proxy/request-path.ts'
import type { Facts, InstanceFacts, ServiceFacts, SourceName } from './facts.ts'
import { count, type Finding, shownName } from './finding.ts'
import { type SourceWords, wordsOf } from './source-words.ts'

/** What is wrong with one service as a whole. */
export function serviceFindings(facts: Facts, service: ServiceFacts): readonly Finding[] {
  const { basePath, others } = facts
  const words = wordsOf(facts)
  const about = { service: shownName(service.name), where: shownName(service.name), instances: [] }
  const path = pathFor(service.name, basePath)
  const findings: Finding[] = []
  if (service.isExcluded) {
    findings.push({
      ...about,
      kind: 'excluded',
      severity: 'error',
      what: 'the config leaves this service out',
      why: 'the proxy does not follow it and answers 404 for it',
      cure: `mend ${words.excludeKeys}; the name that the proxy registers itself under (register.name) is always left out`,
    })
  }
  if (path === null) {
    findings.push({
      ...about,
      kind: 'bad-name',
      severity: 'error',
      what: 'its name cannot be a segment of a path',
      why: 'no request can name it: a slash, a backslash, a control character, ".", ".." and a name that is too long mean something else, or nothing, in a path',
      cure: 'register it under another name: letters, digits and hyphens work everywhere, in DNS too',
    })
    return findings
  }
  if (!isPlain(service.name, basePath)) {
    findings.push({
      ...about,
      kind: 'name-needs-encoding',
      severity: 'warning',
      what: `its name must be percent-encoded in a path: ${path}`,
      why: 'a client that writes it as it is gets 400, or asks for another service; dashboards and shells have trouble with it too',
      cure: 'register it under a name of letters, digits and hyphens, or make every client encode it',
    })
  }
  const routed = service.instances.filter(({ standing }) => standing === 'routed')
  const standIn = others?.routed.get(service.name) ?? null
  if (routed.length === 0 && !isToldAsName(facts, service)) {
    findings.push({
      ...about,
      kind: 'none-in-rotation',
      severity: standIn === null && service.standbys.length === 0 ? 'error' : 'warning',
      instances: service.instances.map(({ id, node, place, reason }) => ({ id, node, place, note: reason })),
      what: noneWords(service, words),
      why: noneWhy(service, standIn),
      cure: noneCure(service, words),
    })
  }
  return findings
}

/** That its name is not in DNS is a finding of its own. */
function isToldAsName({ registry }: Facts, { name }: ServiceFacts): boolean {
  return (
    registry.kind === 'dns' &&
    registry.names.some(({ service, answering }) => service === name && answering.length === 0)
  )
}

function noneWhy({ standbys }: ServiceFacts, standIn: SourceName | null): string {
  if (standIn !== null) return `its requests go to the endpoints that ${standIn} has; here it is nothing any more`
  return standbys.length === 0
    ? 'every request for it is answered 503'
    : `its requests go to another datacenter (${standbys.join(', ')}), or are answered 503 if that has none either`
}

function noneWords({ instances, untagged }: ServiceFacts, words: SourceWords): string {
  const critical = countOf(instances, 'critical')
  const out = instances.length - critical
  if (instances.length === 0) {
    if (untagged !== null && untagged.count > 0) {
      const tag = JSON.stringify(shownName(untagged.tag))
      return `none of its ${count(untagged.count, 'instance')} has the tag ${tag}, which the config wants`
    }
    return words.noInstance
  }
  const ill = `${words.calledIll} of ${out === 0 ? 'all of them' : critical}`
  if (critical === 0) return 'no instance of it is in rotation'
  return `no instance of it is in rotation: ${ill}${out > 0 ? `, ${out} out for another reason` : ''}`
}

function noneCure({ instances, untagged }: ServiceFacts, words: SourceWords): string {
  if (instances.length > 0) return words.noneCure
  return untagged !== null && untagged.count > 0 ? words.tagCure : words.noInstanceCure
}

function countOf(instances: readonly InstanceFacts[], standing: InstanceFacts['standing']): number {
  return instances.filter((instance) => instance.standing === standing).length
}

/** How a client must write it, by the proxy's own rules; null: it cannot. */
function pathFor(name: string, basePath: string): string | null {
  if (!isNameable(name)) return null
  try {
    const path = `${basePath}/${encodeURIComponent(name)}/`
    return names(path, name, basePath) ? path : null
  } catch {
    // Half a character has no encoding.
    return null
  }
}

function isPlain(name: string, basePath: string): boolean {
  return names(`${basePath}/${name}/`, name, basePath)
}

function names(target: string, name: string, basePath: string): boolean {
  const route = routeOf(target, basePath, () => true)
  return route.kind === 'route' && route.service === name
}
