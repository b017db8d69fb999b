/** What did somebody type at the demo's prompt? From one line to a command, or to one line that says what to type. */

import { maxInstances, type ServiceName, serviceNames } from './services.ts'

export type Command =
  | { readonly kind: 'scale'; readonly service: ServiceName; readonly count: number }
  | { readonly kind: 'kill'; readonly service: ServiceName }
  | { readonly kind: 'sick'; readonly service: ServiceName }
  | { readonly kind: 'heal' }
  | { readonly kind: 'list' }
  | { readonly kind: 'help' }
  | { readonly kind: 'quit' }
  | { readonly kind: 'nothing' }
  | { readonly kind: 'wrong'; readonly message: string }

export const helpText = `  scale <service> <n>   make n instances run (0 to ${maxInstances})
  kill <service>        end one instance as kill -9 would: it says no goodbye
  sick <service>        make one instance answer 500 to everything but /health
  heal                  make the sick ones well and start the killed ones again
  list                  the instances and how they are
  quit                  deregister, close everything, and end (also Ctrl-C, Ctrl-D)
  Services: ${serviceNames.join(', ')}
`

/** How each command is typed. */
const forms = {
  scale: 'scale <service> <n>',
  kill: 'kill <service>',
  sick: 'sick <service>',
  heal: 'heal',
  list: 'list',
  help: 'help',
  quit: 'quit',
} as const

type Verb = keyof typeof forms

/** Reads one line. Case and extra blanks do not matter; every other mistake is named together with its cure. */
export function parseCommand(line: string): Command {
  const [verb = '', ...args] = line.trim().toLowerCase().split(/\s+/)
  if (verb === '') return { kind: 'nothing' }
  if (!isVerb(verb)) return wrong(`no command ${quoted(verb)}: type one of ${Object.keys(forms).join(', ')}`)
  const wanted = forms[verb].split(' ').length - 1
  if (args.length !== wanted) {
    const what = wanted === 0 ? 'nothing more' : wanted === 1 ? 'a service' : 'a service and a number'
    return wrong(`${verb} takes ${what}: type ${forms[verb]}`)
  }
  const [name = '', number = ''] = args
  if (wanted === 0) return { kind: verb as 'heal' | 'list' | 'help' | 'quit' }
  const service = serviceNames.find((each) => each === name)
  if (service === undefined) return wrong(`no service ${quoted(name)}: there are ${serviceNames.join(' and ')}`)
  if (verb !== 'scale') return { kind: verb as 'kill' | 'sick', service }
  const count = /^\d{1,4}$/.test(number) ? Number(number) : Number.NaN
  if (!(count <= maxInstances)) {
    return wrong(`${quoted(number)} instances cannot be: type a whole number from 0 to ${maxInstances}`)
  }
  return { kind: 'scale', service, count }
}

function isVerb(text: string): text is Verb {
  return Object.hasOwn(forms, text)
}

function wrong(message: string): Command {
  return { kind: 'wrong', message }
}

/** What was typed may be long, or hold bytes that would upset the terminal. */
function quoted(text: string): string {
  return JSON.stringify(text.length > 40 ? `${text.slice(0, 40)}…` : text)
}
