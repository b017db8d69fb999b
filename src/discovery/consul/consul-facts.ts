/**
 * What does Consul say of each instance of a service, for people? Pure: `unknown` JSON and what was read before go in,
 * facts come out.
 *
 * They stand beside the catalog and are no part of it: outputs of checks change all the time, and the catalog is the same
 * as long as its endpoints are. Consul does not say since when a check is as it is, so that is when this was first read.
 * Whoever may register a service chooses these texts: they are bounded and made printable here. An output is only kept of
 * a check that does not pass.
 */

import { badness, type CheckFacts, type InstanceFacts, type ServiceFacts } from '../facts.ts'
import { compareText, printable } from '../untrusted-text.ts'
import {
  type Identity,
  type InstanceRules,
  identityOf,
  isObject,
  type Json,
  lacksTag,
  readCheck,
  text,
} from './consul-instances.ts'

export const MAX_FACTS = 1000
export const MAX_CHECKS = 20
const MAX_TAGS = 20
const MAX_TEXT = 64
/** An agent names the checks of a service after it: `service:<its id>:2` must not be cut down to the name of the first. */
const MAX_ID = 255
const MAX_OUTPUT = 300

/**
 * The facts of an answer to `health/service/:name`; what is no instance in it is left out. Never throws.
 * @param before of the same service, the last time; null: it has not been read before
 * @param nowMs of the source's clock
 */
export function decodeFacts(
  body: unknown,
  rules: InstanceRules,
  before: ServiceFacts | null,
  nowMs: number,
): ServiceFacts {
  const known = new Map(before?.instances.map((each) => [keyOf(each), each]))
  const instances: InstanceFacts[] = []
  let moreInstances = 0
  for (const entry of Array.isArray(body) ? body : []) {
    if (!isObject(entry) || !isObject(entry.Service)) continue
    if (instances.length === MAX_FACTS) {
      moreInstances += 1
      continue
    }
    const identity = identityOf(entry, entry.Service)
    const node = printable(identity.node, MAX_TEXT)
    const former = known.get(keyOf({ instance: identity.instance, node, address: identity.place })) ?? null
    instances.push(instanceFacts(entry, entry.Service, { ...identity, node }, rules, former, before === null, nowMs))
  }
  return { readMs: nowMs, instances, moreInstances }
}

function keyOf({ instance, node, address }: Pick<InstanceFacts, 'instance' | 'node' | 'address'>): string {
  return `${instance}\n${node}\n${address}`
}

function instanceFacts(
  entry: Json,
  service: Json,
  { instance, node, place }: Identity,
  rules: InstanceRules,
  former: InstanceFacts | null,
  isFirst: boolean,
  nowMs: number,
): InstanceFacts {
  const all = Array.isArray(entry.Checks) ? entry.Checks : []
  const kept = all.length <= MAX_CHECKS ? all : worstOf(all)
  const checks = kept.map((check) => checkFacts(check, former, isFirst, nowMs)).sort(compareChecks)
  const tags = (Array.isArray(service.Tags) ? service.Tags : [])
    .slice(0, MAX_TAGS)
    .map((tag) => printable(text(tag), MAX_TEXT))
  const lacking = lacksTag(service, rules) && rules.tag !== null ? printable(rules.tag, MAX_TEXT) : null
  const moreChecks = all.length - kept.length
  // The same object as before where nothing is new, so that a reading leaves no garbage behind.
  if (
    former !== null &&
    former.lacksTag === lacking &&
    former.moreChecks === moreChecks &&
    sameItems(former.checks, checks) &&
    sameItems(former.tags, tags)
  ) {
    return former
  }
  return { instance, node, address: place, tags, checks, moreChecks, lacksTag: lacking }
}

/** Of too many checks those that matter: whatever keeps the instance out is among them. */
function worstOf(checks: readonly unknown[]): readonly unknown[] {
  return checks
    .map((check) => ({ check, bad: badness(readCheck(check, ignore).state) }))
    .sort((a, b) => b.bad - a.bad)
    .slice(0, MAX_CHECKS)
    .map(({ check }) => check)
}

function checkFacts(check: unknown, former: InstanceFacts | null, isFirst: boolean, nowMs: number): CheckFacts {
  const given = isObject(check) ? check : {}
  const { state, name } = readCheck(check, ignore)
  const id = printable(text(given.CheckID), MAX_ID)
  const known = former?.checks.find((each) => each.id === id && each.status === state)
  // Maintenance has its reason in the notes, and no output.
  const isMaintenance = badness(state) > badness('critical')
  const said = state === 'passing' ? '' : text(given.Output) || (isMaintenance ? text(given.Notes) : '')
  const facts = {
    id,
    name: printable(name, MAX_TEXT),
    status: state,
    output: said === '' ? '' : printable(oneLine(said), MAX_OUTPUT),
    ofNode: text(given.ServiceID) === '',
    sinceMs: known?.sinceMs ?? nowMs,
    orLonger: known?.orLonger ?? isFirst,
  }
  const isAsBefore = known?.name === facts.name && known.output === facts.output && known.ofNode === facts.ofNode
  return isAsBefore && known !== undefined ? known : facts
}

/** Outputs have many lines; a reader wants the words. No more of it is looked at than may be shown. */
function oneLine(output: string): string {
  return output
    .slice(0, 4 * MAX_OUTPUT)
    .replace(/\s+/g, ' ')
    .trim()
}

function compareChecks(a: CheckFacts, b: CheckFacts): number {
  return badness(b.status) - badness(a.status) || compareText(a.name, b.name) || compareText(a.id, b.id)
}

function sameItems<T>(a: readonly T[], b: readonly T[]): boolean {
  return a.length === b.length && a.every((item, at) => item === b[at])
}

function ignore(): void {}
