/** The clients of the soak that do not behave: they leave, reset, dawdle and talk nonsense, at every moment there is. */

import { setTimeout as sleep } from 'node:timers/promises'
import { type ClientWorld, count, fault } from './soak-clients.ts'
import { type Link, openLink } from './soak-link.ts'
import { type Ask, chunk, download, headOf, oneOf, type Random, upload, upTo, verdict } from './soak-requests.ts'
import { knownBody, mostBytes, smuggled } from './soak-words.ts'

/** Is a client that has ended its side still answered? */
export interface VandalWorld extends ClientWorld {
  readonly answersHalfClosed: boolean
}

const malformed: readonly string[] = [
  'hello\r\n\r\n',
  '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03',
  'GET /good/b/1/1 HTTP/1.1\r\n\r\n',
  'GET /good/b/1/1 HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n',
  'GET /good/b/1/1 HTTP/9.9\r\nHost: soak\r\n\r\n',
  `POST /good/v/1 HTTP/1.1\r\nHost: soak\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${smuggled}`,
  `POST /good/v/1 HTTP/1.1\r\nHost: soak\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n${smuggled}`,
  `POST /good/v/1 HTTP/1.1\r\nHost: soak\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n${smuggled}`,
  `POST /good/v/1 HTTP/1.1\r\nHost: soak\r\nTransfer-Encoding: chunked\r\n\r\n0x10\r\n${smuggled}`,
  `POST /good/v/1 HTTP/1.1\r\nHost: soak\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n${smuggled}`,
  `POST /good/v/1 HTTP/1.1\r\nHost: soak\r\nContent-Length : 5\r\n\r\n${smuggled}`,
]

/** One client after another, each with a connection of its own. */
export async function vandalise(world: VandalWorld): Promise<void> {
  const { random, counts } = world
  while (!world.isStopping()) {
    const [what, act] = oneOf(random, acts)
    const link = await openLink(world.port)
    if (link === null) {
      fault(counts, 'a connection was refused')
      await sleep(100)
      continue
    }
    count(counts, `vandal: ${what}`)
    await act(world, link)
    link.leave()
  }
}

type Act = (world: VandalWorld, link: Link) => Promise<void>

const acts: readonly (readonly [number, readonly [string, Act]])[] = [
  [2, ['connects and leaves', async ({ random }, link) => leave(random, link)]],
  [1, ['says nothing', async ({ random }, link) => pause(random, 300).then(() => leave(random, link))]],
  [6, ['leaves in the head', leavesInHead]],
  [10, ['leaves before the answer', leavesBeforeAnswer]],
  [10, ['leaves in the answer', leavesInAnswer]],
  [10, ['leaves in an upload', leavesInUpload]],
  [5, ['leaves in a pipeline', leavesInPipeline]],
  [5, ['leaves a tunnel', leavesTunnel]],
  [4, ['ends its side behind the request', halfCloses]],
  [2, ['reads slowly', readsSlowly]],
  [2, ['sends slowly', sendsSlowly]],
  [6, ['talks nonsense', talksNonsense]],
]

/** In one of the ways there are. */
function leave(random: Random, link: Link): void {
  oneOf(random, [
    [2, () => link.reset()],
    [2, () => link.leave()],
    [1, () => link.halfClose()],
  ])()
}

/** Leaves, and gives a mere end some time to be seen for what it is. */
async function leaveFor(random: Random, link: Link): Promise<void> {
  leave(random, link)
  if (!link.socket.destroyed) await pause(random, 20)
}

async function pause(random: Random, mostMs: number): Promise<void> {
  await sleep(upTo(random, mostMs))
}

const anywhere = (random: Random) => (random() < 0.8 ? 'good' : 'evil')

async function leavesInHead({ random }: VandalWorld, link: Link): Promise<void> {
  const { head } = download(random, anywhere(random))
  link.send(head.slice(0, upTo(random, head.length - 1)))
  await pause(random, 10)
  await leaveFor(random, link)
}

async function leavesBeforeAnswer({ random }: VandalWorld, link: Link): Promise<void> {
  link.send(download(random, anywhere(random)).head)
  if (random() < 0.7) await pause(random, 4)
  await leaveFor(random, link)
}

async function leavesInAnswer({ random }: VandalWorld, link: Link): Promise<void> {
  const bytes = 100_000 + upTo(random, mostBytes - 100_000)
  link.send(download(random, anywhere(random), bytes).head)
  await link.take(1 + upTo(random, bytes), 2_000)
  await leaveFor(random, link)
}

async function leavesInUpload({ random }: VandalWorld, link: Link): Promise<void> {
  const service = anywhere(random)
  const bytes = 1 + upTo(random, 200_000)
  const isChunked = random() < 0.5
  // What the instance would read as a request, if it ever took the body for something else.
  const body = random() < 0.5 ? Buffer.from(smuggled.repeat(Math.ceil(bytes / smuggled.length))) : knownBody(1, bytes)
  const part = body.subarray(0, upTo(random, bytes - 1))
  link.send(
    headOf(
      'POST',
      `/${service}/v/${bytes}`,
      isChunked ? 'Transfer-Encoding: chunked\r\n' : `Content-Length: ${bytes}\r\n`,
    ),
  )
  if (random() < 0.3) await pause(random, 5)
  if (isChunked && part.length > 0) {
    const whole = chunk(part)
    link.send(whole.subarray(0, 1 + upTo(random, whole.length - 1)))
  } else link.send(part)
  await pause(random, 10)
  await leaveFor(random, link)
}

async function leavesInPipeline({ random }: VandalWorld, link: Link): Promise<void> {
  const asks = Array.from({ length: 2 + upTo(random, 8) }, () => download(random, anywhere(random)))
  link.send(asks.map(({ head }) => head).join(''))
  await link.take(upTo(random, 5_000), 200)
  await leaveFor(random, link)
}

async function leavesTunnel({ random }: VandalWorld, link: Link): Promise<void> {
  link.send(headOf('GET', `/${anywhere(random)}/up/1`, 'Connection: Upgrade\r\nUpgrade: echo\r\n'))
  if (random() < 0.7) {
    await link.take(1, 500)
    link.send(knownBody(1, upTo(random, 20_000)))
  }
  await pause(random, 5)
  await leaveFor(random, link)
}

async function halfCloses({ random, counts, answersHalfClosed }: VandalWorld, link: Link): Promise<void> {
  const ask: Ask = random() < 0.7 ? download(random, 'good') : upload(random, 'good')
  for (const piece of [ask.head, ...ask.body]) link.send(piece)
  link.halfClose()
  const reply = await link.reply(ask.isHead)
  const found = verdict(ask, reply)
  if (found === 'good') count(counts, 'half-closed: answered')
  else if (!answersHalfClosed && reply.kind === 'cut') count(counts, 'half-closed: cut')
  else fault(counts, `half-closed: ${typeof found === 'string' ? found : found.fault}`)
}

/** To the end, or until it has had enough; what it gets is right as far as it goes. */
async function readsSlowly({ random, counts, isStopping }: VandalWorld, link: Link): Promise<void> {
  const bytes = 500_000 + upTo(random, mostBytes - 500_000)
  const ask = { ...download(random, 'good', bytes), kind: 'slow reader' }
  const endsEarly = random() < 0.3
  link.send(ask.head)
  let isOver = false
  const reply = link.reply(ask.isHead).then((each) => {
    isOver = true
    return each
  })
  for (let turn = 0; turn < 15 && !isOver && !isStopping(); turn++) {
    link.socket.pause()
    await pause(random, 100)
    link.socket.resume()
    await sleep(1)
    if (endsEarly && turn > 3) {
      leave(random, link)
      link.leave()
      await reply
      return count(counts, 'slow reader: left')
    }
  }
  link.socket.resume()
  const found = verdict(ask, await reply)
  if (typeof found === 'string') count(counts, `slow reader: ${found}`)
  else fault(counts, found.fault)
}

async function sendsSlowly({ random, counts, isStopping }: VandalWorld, link: Link): Promise<void> {
  const ask = { ...download(random, 'good'), kind: 'slow sender' }
  const endsEarly = random() < 0.3
  for (let at = 0; at < ask.head.length && !isStopping(); at += 8) {
    link.send(ask.head.slice(at, at + 8))
    await pause(random, 15)
    if (endsEarly && at > ask.head.length / 2) return leaveFor(random, link)
  }
  if (isStopping()) return
  const found = verdict(ask, await link.reply(ask.isHead))
  if (typeof found === 'string') count(counts, `slow sender: ${found}`)
  else fault(counts, found.fault)
}

/** It is refused, or at least never answered as if it had been understood in full; nothing of it is read as a request. */
async function talksNonsense({ random, counts }: VandalWorld, link: Link): Promise<void> {
  const text = malformed[upTo(random, malformed.length - 1)] ?? ''
  link.send(text)
  const reply = await Promise.race([link.reply(), sleep(5_000, null)])
  if (reply === null) return count(counts, 'nonsense: left waiting')
  if (reply.kind === 'whole' && reply.status < 400) {
    return fault(counts, `nonsense was answered with ${reply.status}: ${JSON.stringify(text)}`)
  }
  count(counts, `nonsense: ${reply.kind === 'whole' ? reply.status : reply.kind}`)
}
