/** Can the catalog and the way to it be relied on? Pure. */

import type { AnswerFacts, Facts, UnreadFacts } from './facts.ts'
import { count, type Finding, type FindingKind, seconds, shownName } from './finding.ts'
import { wordsOf } from './source-words.ts'

/** Clocks that differ by less are no news. */
const CLOCK_MS = 2000
/** A server that has not heard of its leader for so long may have missed something. */
const LAST_CONTACT_MS = 1000

/** What is wrong with the source, whatever it says of single services. */
export function sourceFindings(facts: Facts): readonly Finding[] {
  return [...unreadFindings(facts), ...emptiness(facts), ...headFindings(facts)]
}

function finding(
  facts: Facts,
  kind: FindingKind,
  severity: Finding['severity'],
  words: Pick<Finding, 'what' | 'why' | 'cure'> & Partial<Pick<Finding, 'service' | 'where'>>,
): Finding {
  return { kind, severity, service: null, instances: [], where: facts.from, ...words }
}

/** Readings that failed alike are one finding: when an agent dies, a thousand do. */
function unreadFindings(facts: Facts): readonly Finding[] {
  const groups = new Map<string, UnreadFacts[]>()
  for (const unread of facts.unread) {
    const key = JSON.stringify([unread.what.kind, unread.failure.message])
    groups.set(key, [...(groups.get(key) ?? []), unread])
  }
  return [...groups.values()].flatMap((group) => {
    const [first] = group
    if (first === undefined) return []
    const { message, cure } = first.failure
    switch (first.what.kind) {
      case 'list':
        return [
          finding(facts, 'unreadable', 'error', {
            what: `the list of services cannot be read: ${message}`,
            why:
              facts.others === null
                ? 'a proxy with this config would serve nothing, or what it last knew; nothing else could be looked at'
                : 'a proxy keeps what it last knew from it, and serves what the other sources name; nothing else of it could be looked at',
            cure,
          }),
        ]
      case 'server':
        return [
          finding(facts, 'unreadable', 'warning', {
            what: `not all that was asked answered: ${message}`,
            why: 'another one did; when that one is lost too nothing is known any more',
            cure,
          }),
        ]
      case 'proxy':
        return [
          finding(facts, 'unreadable', 'warning', {
            what: `what was pushed cannot be judged: ${message}`,
            why: 'only the running proxy knows it: there is nothing else to read',
            cure,
          }),
        ]
      case 'checks':
        return [
          finding(facts, 'unreadable', 'error', {
            what: `the checks cannot be read: ${message}`,
            why: 'a proxy with many services sees changes of health late; whether checks churn is not known',
            cure,
          }),
        ]
      case 'service': {
        const names = group.flatMap(({ what }) => (what.kind === 'service' ? [shownName(what.name)] : []))
        const shown = names.slice(0, 5).join(', ')
        return [
          finding(facts, 'unreadable', 'error', {
            service: names.length === 1 ? shown : null,
            where:
              names.length > 5 ? `${facts.from}: ${shown} and ${names.length - 5} more` : `${facts.from}: ${shown}`,
            what: `the instances of ${count(names.length, 'service')} cannot be read: ${message}`,
            why: 'a proxy keeps what it last knew of it, and its catalog counts as stale',
            cure,
          }),
        ]
      }
      default:
        return first.what satisfies never
    }
  })
}

function emptiness(facts: Facts): readonly Finding[] {
  if (facts.listed === null) return []
  const words = wordsOf(facts)
  if (facts.only !== null) {
    const isUnread = facts.unread.some(({ what }) => what.kind === 'service')
    if (facts.services.length > 0 || isUnread || facts.others?.listed.has(facts.only)) return []
    return [
      finding(facts, 'unknown-service', 'error', {
        service: shownName(facts.only),
        what: `there is no service of this name among the ${facts.listed} that are listed`,
        why: 'the proxy answers 404 for it',
        cure: words.unknownCure,
      }),
    ]
  }
  if (facts.listed - facts.excluded > 0) return []
  // Of several sources one may have been left already, or not be moved to yet.
  const isAll = facts.others === null || facts.others.listed.size === 0
  return [
    finding(facts, 'empty-catalog', isAll ? 'error' : 'warning', {
      what: facts.excluded === 0 ? emptyWords(facts) : allLeftOut(facts),
      why: isAll ? whyEmpty(facts) : 'all requests go to what the other sources name',
      cure: words.emptyCure,
    }),
  ]
}

function allLeftOut({ excluded }: Facts): string {
  return `the config leaves out all that is listed: ${count(excluded, 'service')}`
}

function emptyWords(facts: Facts): string {
  const { registry } = facts
  const { empty } = wordsOf(facts)
  switch (registry.kind) {
    case 'entries': {
      const { path, count: entries } = registry
      const found =
        entries === null ? '' : entries === 0 ? ': nothing is there' : `: ${entries} there are something else`
      return `${empty} (${shownName(path)})${found}`
    }
    case 'swarm':
      return `${empty} ${JSON.stringify(shownName(registry.label))}`
    default:
      return empty
  }
}

function whyEmpty({ source }: Facts): string {
  return source === 'static'
    ? 'every request is answered 404'
    : 'every request is answered 404; a proxy that runs already keeps what it had for a while (admission)'
}

function headFindings(facts: Facts): readonly Finding[] {
  const { answers } = facts
  const findings: Finding[] = []
  const add = (...rest: Parameters<typeof finding> extends [Facts, ...infer Rest] ? Rest : never) =>
    findings.push(finding(facts, ...rest))
  if (answers.some(({ knowsLeader }) => knowsLeader === false)) {
    add('no-leader', 'error', {
      what: 'a Consul server says that it knows no leader',
      why: 'nothing can be registered or change its health until there is one: what is read here is old',
      cure: 'look at the Consul servers: consul operator raft list-peers, and their logs',
    })
  }
  const lastContactMs = Math.max(0, ...answers.map((answer) => answer.lastContactMs ?? 0))
  if (lastContactMs > LAST_CONTACT_MS) {
    add('stale-server', 'warning', {
      what: `the server that answered had not heard of its leader for ${seconds(lastContactMs)}`,
      why: 'with discovery.consul.stale any server may answer: this one is behind, and changes are seen that much later',
      cure: 'look at that server and its network; discovery.consul.stale: false asks the leader only',
    })
  }
  const unusable = answers.find(({ index }) => index === null || !/^[1-9]\d*$/.test(index))
  if (unusable !== undefined) {
    const shown =
      unusable.index === null ? 'no X-Consul-Index' : `X-Consul-Index ${JSON.stringify(shownName(unusable.index))}`
    add('index-missing', 'error', {
      what: `an answer has ${shown}: ${shownName(unusable.query)}`,
      why: 'without an index above 0 a query cannot wait for a change, so it must be asked again and again and changes are seen late',
      cure: 'does something between rewrite headers, or is this no Consul? Ask the agent directly',
    })
  }
  const backwards = wentBackwards(answers)
  if (backwards !== null) {
    add('index-backwards', 'warning', {
      what: `the index went backwards, from ${backwards.before} to ${backwards.after}: ${shownName(backwards.query)}`,
      why: 'servers that are behind one another answer in turn, or the catalog was restored from a backup: what is read may be older than what was read before',
      cure: 'look for a server that lags (consul operator raft list-peers); after a restore it is over by itself',
    })
  }
  const ahead = answers.map(({ clockAheadMs }) => clockAheadMs ?? 0)
  const apart = ahead.reduce((worst, each) => (Math.abs(each) > Math.abs(worst) ? each : worst), 0)
  if (Math.abs(apart) > CLOCK_MS) {
    add('clock', 'warning', {
      what: `the agent's clock is ${seconds(Math.abs(apart))} ${apart > 0 ? 'ahead of' : 'behind'} this machine's`,
      why: 'its log and the log of the proxy cannot be laid side by side, and certificates and tokens expire too early or too late on one of the two',
      cure: 'run a time service (chrony, systemd-timesyncd) on both',
    })
  }
  return findings
}

function wentBackwards(answers: readonly AnswerFacts[]): { query: string; before: string; after: string } | null {
  const last = new Map<string, string>()
  for (const { query, index } of answers) {
    if (index === null || !/^\d{1,20}$/.test(index)) continue
    const before = last.get(query)
    if (before !== undefined && BigInt(index) < BigInt(before)) return { query, before, after: index }
    last.set(query, index)
  }
  return null
}
