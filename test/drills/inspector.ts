/** What does a process hold once everything that it needs no more is collected? Asked through Node's own inspector. */

import { WebSocket } from 'ws'

/** In bytes. */
export interface HeldMemory {
  /** JavaScript objects. */
  readonly heap: number
  /** Buffers and what else lives beside the heap. */
  readonly external: number
  readonly rss: number
}

/** How often it collects: what is released by one collection is found by the next. */
const collections = 3

/** @param url as `node --inspect` prints it on stderr */
export async function heldMemory(url: string): Promise<HeldMemory> {
  const socket = new WebSocket(url)
  const failed = new Promise<never>((_, reject) => {
    socket.on('error', reject)
    socket.once('close', () => reject(new Error('the inspector went away')))
  })
  failed.catch(() => {})
  let lastId = 0
  const ask = (method: string, params: object = {}): Promise<Record<string, unknown>> => {
    const id = ++lastId
    const answer = new Promise<Record<string, unknown>>((resolve) => {
      const onMessage = (text: unknown) => {
        const message = JSON.parse(String(text))
        if (message.id !== id) return
        socket.off('message', onMessage)
        resolve(message.result ?? {})
      }
      socket.on('message', onMessage)
    })
    socket.send(JSON.stringify({ id, method, params }))
    return Promise.race([answer, failed])
  }
  try {
    await Promise.race([new Promise((resolve) => socket.once('open', resolve)), failed])
    for (let round = 0; round < collections; round++) await ask('HeapProfiler.collectGarbage')
    const expression = 'JSON.stringify(process.memoryUsage())'
    const { result } = (await ask('Runtime.evaluate', { expression })) as { result?: { value?: string } }
    const { heapUsed, external, rss } = JSON.parse(result?.value ?? '{}')
    return { heap: heapUsed, external, rss }
  } finally {
    socket.terminate()
  }
}
