/** A resolver that says what a test wants it to, over UDP and TCP, also what no real one would. */

import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { type RecordType, typeCodes } from '../../../src/discovery/dns/dns-message.ts'

/** In words: `a 10.0.0.1`, `aaaa fd00::1`, `srv 0 1 80 host.test`, `cname other.test`, `soa 5`; with its owner and ttl. */
export interface FakeRecord {
  readonly name: string
  readonly ttlS?: number
  readonly is: string
}

export interface FakeAnswer {
  readonly rcode?: number
  readonly truncated?: boolean
  /** It asks others (the default), or it does not; the zone is never its own. */
  readonly recursive?: boolean
  readonly answers?: readonly FakeRecord[]
  readonly authority?: readonly FakeRecord[]
  readonly additional?: readonly FakeRecord[]
}

export interface FakeQuestion {
  readonly name: string
  readonly type: RecordType
  readonly transport: 'udp' | 'tcp'
}

/** null: no answer; bytes: as they are, behind the id of the question. */
export type FakeResponder = (question: FakeQuestion) => FakeAnswer | Buffer | null

export interface FakeDns {
  readonly resolver: string
  readonly asked: readonly FakeQuestion[]
  respond: FakeResponder
  /** True: a connection that has served a question is cut by the next one. */
  closesOnQuestion: boolean
  /** Connections so far, and now. */
  readonly accepted: number
  readonly connections: number
  stop(): Promise<void>
}

/** @param tcp false: nobody listens there */
export async function startFakeDns(respond: FakeResponder, { tcp = true } = {}): Promise<FakeDns> {
  const asked: FakeQuestion[] = []
  const connections = new Set<Socket>()
  let accepted = 0
  const fake = {
    respond,
    closesOnQuestion: false,
    asked,
    get accepted() {
      return accepted
    },
    get connections() {
      return connections.size
    },
  }

  function answer(query: Buffer, transport: 'udp' | 'tcp'): Buffer | null {
    const { name, type, end } = readQuestion(query)
    const question = { name, type, transport }
    asked.push(question)
    const said = fake.respond(question)
    if (said === null) return null
    if (Buffer.isBuffer(said)) return Buffer.concat([query.subarray(0, 2), said])
    return encodeAnswer(query.subarray(0, 2), query.subarray(12, end), said)
  }

  const server = createServer((socket) => {
    connections.add(socket)
    accepted += 1
    let served = 0
    socket.on('error', () => {})
    socket.on('close', () => connections.delete(socket))
    socket.on('data', (bytes: Buffer) => {
      if (fake.closesOnQuestion && served > 0) {
        socket.destroy()
        return
      }
      served += 1
      const reply = answer(bytes.subarray(2), 'tcp')
      // In two pieces, as the network may cut it.
      if (reply === null) return
      socket.write(Buffer.from([reply.length >> 8]))
      setImmediate(() => socket.write(Buffer.concat([Buffer.from([reply.length & 0xff]), reply])))
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const udp = createSocket('udp4')
  udp.on('message', (bytes, from) => {
    const reply = answer(bytes, 'udp')
    if (reply !== null) udp.send(reply, from.port, from.address)
  })
  udp.bind(port, '127.0.0.1')
  await once(udp, 'listening')
  if (!tcp) server.close()
  return Object.assign(fake, {
    resolver: `127.0.0.1:${port}`,
    async stop() {
      for (const socket of connections) socket.destroy()
      if (server.listening) server.close()
      udp.close()
      await once(udp, 'close')
    },
  })
}

function readQuestion(query: Buffer): { name: string; type: RecordType; end: number } {
  const labels: string[] = []
  let at = 12
  for (let size = query.readUInt8(at); size > 0; size = query.readUInt8(at)) {
    labels.push(query.toString('latin1', at + 1, at + 1 + size))
    at += size + 1
  }
  const code = query.readUInt16BE(at + 1)
  const type = (Object.keys(typeCodes) as RecordType[]).find((each) => typeCodes[each] === code) ?? 'A'
  return { name: labels.join('.'), type, end: at + 5 }
}

/** @param question the question's section, as it came */
export function encodeAnswer(id: Buffer, question: Buffer, said: FakeAnswer): Buffer {
  const sections = [said.answers ?? [], said.authority ?? [], said.additional ?? []]
  const flags =
    (said.recursive === false ? 0x8100 : 0x8180) | (said.truncated === true ? 0x0200 : 0) | (said.rcode ?? 0)
  return Buffer.concat([
    id,
    words(flags, 1, ...sections.map(({ length }) => length)),
    question,
    ...sections.flat().map(encode),
  ])
}

function encode({ name, ttlS = 0, is }: FakeRecord): Buffer {
  const [type = '', ...rest] = is.split(' ')
  const [code, data] = dataOf(type, rest)
  const ttl = Buffer.alloc(4)
  ttl.writeUInt32BE(ttlS)
  return Buffer.concat([encodeName(name), words(code, 1), ttl, words(data.length), data])
}

function dataOf(type: string, [first = '', ...rest]: string[]): [number, Buffer] {
  switch (type) {
    case 'a':
      return [1, Buffer.from(first.split('.').map(Number))]
    case 'aaaa': {
      const [head = '', tail = ''] = first.split('::')
      const [left, right] = [head, tail].map((text) => text.split(':').filter(Boolean))
      const groups = [
        ...(left ?? []),
        ...Array(8 - (left?.length ?? 0) - (right?.length ?? 0)).fill('0'),
        ...(right ?? []),
      ]
      return [28, words(...groups.map((group) => Number.parseInt(group, 16)))]
    }
    case 'srv':
      return [33, Buffer.concat([words(Number(first), Number(rest[0]), Number(rest[1])), encodeName(rest[2] ?? '')])]
    case 'cname':
      return [5, encodeName(first)]
    case 'soa': {
      const numbers = Buffer.alloc(20)
      numbers.writeUInt32BE(Number(first), 16)
      return [6, Buffer.concat([encodeName('ns.test'), encodeName('root.test'), numbers])]
    }
    default:
      throw new Error(`no such record: ${type}`)
  }
}

function words(...values: number[]): Buffer {
  return Buffer.from(values.flatMap((value) => [value >> 8, value & 0xff]))
}

export function encodeName(name: string): Buffer {
  const labels = name.split('.').filter(Boolean)
  return Buffer.concat([
    ...labels.flatMap((label) => [Buffer.from([label.length]), Buffer.from(label, 'latin1')]),
    Buffer.from([0]),
  ])
}
