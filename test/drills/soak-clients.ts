/** The clients of the soak that behave: each sends its next request when it has its answer, and looks at every byte. */

import { setTimeout as sleep } from 'node:timers/promises'
import { type Link, openLink } from './soak-link.ts'
import {
  type Ask,
  bare,
  download,
  headOf,
  oneOf,
  provocation,
  type Random,
  type ServiceName,
  upload,
  upTo,
  verdict,
} from './soak-requests.ts'
import { knownBody, mostBytes } from './soak-words.ts'

/** What all clients together have seen. */
export interface SoakCounts {
  /** By what was asked for and what came of it: `good GET: good`. */
  readonly ends: Map<string, number>
  /** The first of each kind, in words. */
  readonly faults: string[]
  faultCount: number
  answers: number
}

export interface ClientWorld {
  readonly port: number
  readonly random: Random
  readonly counts: SoakCounts
  isStopping(): boolean
}

export function count(counts: SoakCounts, what: string): void {
  counts.ends.set(what, (counts.ends.get(what) ?? 0) + 1)
}

export function fault(counts: SoakCounts, what: string): void {
  counts.faultCount++
  count(counts, 'FAULT')
  if (counts.faults.length < 30) counts.faults.push(what)
}

/** One client of a good service, with one connection at a time. */
export async function behave(world: ClientWorld): Promise<void> {
  const { random } = world
  await converse(world, (link) =>
    oneOf(random, [
      [60, () => one(world, link, download(random, 'good'))],
      [20, () => one(world, link, upload(random, 'good'))],
      [4, () => one(world, link, bare(random, 'good'))],
      [8, () => pipeline(world, link)],
      [1, () => one(world, link, download(random, 'good', upTo(random, mostBytes)))],
      [1, () => one(world, link, upload(random, 'good', upTo(random, mostBytes)))],
      [1, () => tunnel(world, link, 'good')],
    ])(),
  )
}

/** One client of instances that misbehave; in between it asks them for something sensible. */
export async function suffer(world: ClientWorld): Promise<void> {
  const { random } = world
  await converse(world, (link) =>
    oneOf(random, [
      [60, () => one(world, link, provocation(random))],
      [20, () => one(world, link, download(random, 'evil'))],
      [20, () => one(world, link, download(random, 'sick'))],
      [8, () => one(world, link, upload(random, 'evil'))],
      [2, () => tunnel(world, link, 'evil')],
    ])(),
  )
}

/** Asks over one connection as long as it lasts, then over the next. */
async function converse(world: ClientWorld, ask: (link: Link) => Promise<boolean>): Promise<void> {
  let link: Link | null = null
  while (!world.isStopping()) {
    link ??= await openLink(world.port)
    if (link === null) {
      fault(world.counts, 'a connection was refused')
      await sleep(100)
      continue
    }
    const canGoOn = (await ask(link)) && !link.over
    if (canGoOn && link.unread > 0) fault(world.counts, `${link.unread} bytes that nobody asked for`)
    if (canGoOn && link.unread === 0 && world.random() > 0.01) continue
    link.leave()
    link = null
  }
  link?.leave()
}

/** @returns whether the connection can be used again */
async function one(world: ClientWorld, link: Link, ask: Ask): Promise<boolean> {
  link.send(ask.head)
  for (const piece of ask.body) {
    if (world.random() < 0.1) await sleep(upTo(world.random, 5))
    link.send(piece)
  }
  return judge(world, ask, link)
}

async function judge({ counts }: ClientWorld, ask: Ask, link: Link): Promise<boolean> {
  const reply = await link.reply(ask.isHead)
  const found = verdict(ask, reply)
  counts.answers++
  if (typeof found === 'string') count(counts, `${ask.service} ${ask.kind}: ${found}`)
  else fault(counts, found.fault)
  return reply.kind === 'whole' && !/^connection:.*close/im.test(reply.head)
}

async function pipeline(world: ClientWorld, link: Link): Promise<boolean> {
  const { random } = world
  const asks = Array.from({ length: 2 + upTo(random, 4) }, () =>
    random() < 0.8 ? download(random, 'good') : bare(random, 'good'),
  )
  link.send(asks.map(({ head }) => head).join(''))
  for (const ask of asks) {
    if (!(await judge(world, { ...ask, kind: 'pipelined' }, link))) return false
  }
  return true
}

/** Through a tunnel, and back, unchanged; some of it sent at once with the request. */
async function tunnel(world: ClientWorld, link: Link, service: ServiceName): Promise<boolean> {
  const { random, counts } = world
  const seed = upTo(random, mostBytes)
  const sent = knownBody(seed, 1 + upTo(random, 50_000))
  const early = random() < 0.5 ? upTo(random, Math.min(1_000, sent.length)) : 0
  link.send(headOf('GET', `/${service}/up/${seed}`, 'Connection: Upgrade\r\nUpgrade: echo\r\n'))
  link.send(sent.subarray(0, early))
  const reply = await link.reply()
  counts.answers++
  if (reply.kind !== 'whole' || reply.status !== 101) {
    if (service === 'good' || reply.kind === 'malformed' || reply.kind === 'stuck') {
      const what = reply.kind === 'whole' ? `${reply.status}` : JSON.stringify(reply)
      fault(counts, `${service} upgrade: ${what}`)
    } else count(counts, 'evil upgrade: refused or cut')
    return false
  }
  link.send(sent.subarray(early))
  const back = await link.take(sent.length)
  if (back.equals(sent)) count(counts, `${service} upgrade: good`)
  else if (service === 'evil' && back.equals(sent.subarray(0, back.length))) count(counts, 'evil upgrade: cut')
  else fault(counts, `${service} upgrade: ${back.length} of ${sent.length} bytes came back, or others`)
  // The end must get through the tunnel, and back.
  link.halfClose()
  if (!(await link.untilOver(10_000))) fault(counts, `${service} upgrade: the tunnel outlives its client's end`)
  return false
}
