/**
 * How do people talk with the running demo? Reads commands from a terminal, lets the fleet do them, and says what was
 * done. What the proxy has to say in the meantime is written above the prompt, not into what is being typed.
 */

import { createInterface, type Interface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { type Command, helpText, parseCommand } from './prompt.ts'
import type { Fleet, InstanceView } from './services.ts'

export interface Console {
  /** Writes lines of text without disturbing what is being typed. */
  say(text: string): void
  /** Reads commands until `quit`, end of input or Ctrl-C; resolves then. */
  run(fleet: Fleet): Promise<void>
  /** Lets go of the input; may be called twice. */
  close(): void
}

/** Carriage return, erase to the end of the line: takes the prompt away. */
const eraseLine = '\r\u001b[K'

/** @param source null: there is nobody to read from, and `run` never resolves */
export function createConsole(source: Readable | null, output: Writable, isTerminal: boolean): Console {
  if (source === null) {
    return { say: (text) => void output.write(text), run: () => new Promise(() => {}), close: () => {} }
  }
  const input: Readable = source
  /** Null: nothing is read (any more). Before that, Ctrl-C must reach the process as a signal. */
  let lines: Interface | null = null

  function say(text: string): void {
    if (lines === null || !isTerminal) output.write(text)
    else {
      output.write(eraseLine + text)
      lines.prompt(true)
    }
  }

  function close(): void {
    const open = lines
    lines = null
    if (open === null) return
    if (isTerminal) output.write(eraseLine)
    open.close()
  }

  async function run(fleet: Fleet): Promise<void> {
    const reading = createInterface({ input, output, terminal: isTerminal, prompt: 'demo> ' })
    lines = reading
    let working: Promise<void> = Promise.resolve()
    let quitting = false
    const left = new Promise<void>((resolve) => {
      reading.once('close', resolve)
      reading.once('SIGINT', resolve)
      reading.on('line', (line) => {
        if (quitting) return
        const command = parseCommand(line)
        quitting = command.kind === 'quit'
        if (quitting) resolve()
        else working = working.then(() => obey(fleet, command)).then(say)
      })
    })
    say('')
    await left
    await working
    close()
  }

  return { say, run, close }
}

/** Does one command; what there is to say of it. Never rejects. */
async function obey(fleet: Fleet, command: Command): Promise<string> {
  try {
    return await answerTo(fleet, command)
  } catch (error) {
    return `that failed: ${error instanceof Error ? error.message : String(error)}\n`
  }
}

async function answerTo(fleet: Fleet, command: Command): Promise<string> {
  switch (command.kind) {
    case 'nothing':
    case 'quit':
      return ''
    case 'wrong':
      return `${command.message}\n`
    case 'help':
      return helpText
    case 'list':
      return table(fleet.list())
    case 'scale': {
      const touched = await fleet.scale(command.service, command.count)
      const running = `${command.service} runs ${command.count} ${command.count === 1 ? 'instance' : 'instances'}`
      return touched.length === 0 ? `${running} already\n` : `${running} now\n`
    }
    case 'kill':
      return told(await fleet.kill(command.service), 'was killed', `no ${command.service} runs: type heal or scale`)
    case 'sick':
      return told(await fleet.sick(command.service), 'answers 500 now', `no ${command.service} is well: type heal`)
    case 'heal':
      return told(await fleet.heal(), 'runs well again', 'nothing to heal: none is sick, none was killed')
    default:
      return command satisfies never
  }
}

function told(ids: readonly string[], what: string, nothing: string): string {
  return ids.length === 0 ? `${nothing}\n` : ids.map((id) => `${id} ${what}\n`).join('')
}

function table(instances: readonly InstanceView[]): string {
  if (instances.length === 0) return 'no instance runs: type scale accountservice 3\n'
  const idWidth = Math.max(...instances.map(({ id }) => id.length))
  const atWidth = Math.max(...instances.map(({ at }) => at.length))
  return instances.map(({ id, at, state }) => `  ${id.padEnd(idWidth)}  ${at.padEnd(atWidth)}  ${state}\n`).join('')
}
