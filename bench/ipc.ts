/** How do the bench and its forked processes talk? One question, one answer, over Node's own channel. */

import type { ChildProcess } from 'node:child_process'

interface Question {
  readonly id: number
  readonly ask: unknown
}

interface Answer {
  readonly id: number
  readonly value?: unknown
  readonly error?: string
}

let lastId = 0

/** Rejects when the child says so, or when it ends before it has answered. */
export function ask<A>(child: ChildProcess, question: unknown): Promise<A> {
  lastId++
  const id = lastId
  return new Promise((resolve, reject) => {
    const done = (): void => {
      child.off('message', onMessage)
      child.off('exit', onExit)
    }
    const onMessage = (message: unknown): void => {
      const answer = message as Answer
      if (answer.id !== id) return
      done()
      if (answer.error === undefined) resolve(answer.value as A)
      else reject(new Error(answer.error))
    }
    const onExit = (): void => {
      done()
      reject(new Error('the process ended before it answered'))
    }
    child.on('message', onMessage)
    child.on('exit', onExit)
    child.send({ id, ask: question } satisfies Question, (error) => {
      if (error === null) return
      done()
      reject(error)
    })
  })
}

/** The child's side. The process ends with its parent, however that one ends. */
export function answer<Q>(reply: (question: Q) => unknown): void {
  process.on('message', (message: unknown) => {
    const { id, ask: question } = message as Question
    void Promise.resolve()
      .then(() => reply(question as Q))
      .then(
        (value): Answer => ({ id, value }),
        (error: unknown): Answer => ({ id, error: error instanceof Error ? error.message : String(error) }),
      )
      .then((said) => process.send?.(said))
  })
  process.on('disconnect', () => process.exit(0))
}
