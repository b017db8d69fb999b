/**
 * The whole story of `evenkeel run`: the command starts; it is registered once it is well; a signal takes it out of the
 * registry first, waits until the proxies have noticed, and is passed on then; when the command ends it is taken out, and its
 * exit code is ours.
 */

import type { Logger } from 'pino'
import { pause } from '../discovery/loop.ts'
import type { Registrant, Registrar } from '../discovery/registrar.ts'
import { untilAborted } from '../discovery/until-aborted.ts'
import { startCommand } from './command-process.ts'
import { type HealthTiming, healthTiming, type ProbeTarget, probeOf, watchHealth } from './health.ts'
import type { OwnAddress } from './own-address.ts'
import { createStay, type Stay } from './stay.ts'
import { within } from './within.ts'

export interface RunOptions {
  readonly service: string
  /** Null: made of the service, the address and the port. */
  readonly id: string | null
  /** Where it listens: 1–65535. */
  readonly port: number
  readonly tags: readonly string[]
  /** What to GET to see whether it is well; null: a connect is enough. */
  readonly health: string | null
  /** From its leaving the registry to the passing on of the signal: for those who have to notice. */
  readonly drainMs: number
  readonly command: readonly [string, ...string[]]
}

export interface RunTiming extends HealthTiming {
  /** How long taking it out of the registry may take. */
  readonly leaveMs: number
  /** A command that has outlived SIGHUP by so much has taken it for "read your config again", and is registered anew; SIGQUIT likewise. */
  readonly hangUpMs: number
  /** It is told that the command is not well yet when this is over. */
  readonly patienceMs: number
}

export interface RunDeps {
  readonly log: Logger
  /** From 0 to less than 1: jitter. */
  readonly random: () => number
  /** At which address others reach the service, asked until it is known. */
  readonly address: () => Promise<OwnAddress>
  /** Is it one of this machine's? Then that is where the health is looked at, for it is what others see. */
  readonly isOwn: (address: string) => boolean
  readonly registrar: (registrant: Registrant) => Registrar
  /** One line for stderr. */
  readonly complain: (line: string) => void
  /** Listens to the signals of this process until what is returned is called. */
  readonly signals: (listener: (signal: NodeJS.Signals) => void) => () => void
  /** For tests; the defaults are `runTiming`. */
  readonly timing?: Partial<RunTiming>
}

export const runTiming: RunTiming = { ...healthTiming, leaveMs: 5000, hangUpMs: 5000, patienceMs: 10_000 }

/** How long a registrar may take to close what is open; the signal waits for it. */
const closeMs = 500

/** These end a command, as a rule; all others that can be passed on are none of the registry's business. */
const ending: readonly NodeJS.Signals[] = ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT']
/** After these some go on for good: they read their config again, or write down what their threads do (Java). */
const survivable: readonly NodeJS.Signals[] = ['SIGHUP', 'SIGQUIT']
export const passedOn: readonly NodeJS.Signals[] = [...ending, 'SIGUSR1', 'SIGUSR2', 'SIGWINCH']

/** @returns the exit code: the command's; 128 and a signal's number when that ended it; 126 or 127 when it cannot be started */
export async function runService(options: RunOptions, deps: RunDeps): Promise<number> {
  const timing = { ...runTiming, ...deps.timing }
  const { log } = deps
  // Before the command: a signal that comes meanwhile is meant for it.
  const early: NodeJS.Signals[] = []
  let onSignal = (signal: NodeJS.Signals): void => void early.push(signal)
  const unlisten = deps.signals((signal) => onSignal(signal))
  const started = await startCommand(options.command)
  if (started.kind === 'failed') {
    unlisten()
    deps.complain(started.message)
    return started.code
  }
  const { command } = started
  log.info({ pid: command.pid }, 'the command has started')
  let presence = createPresence(options, deps, timing)
  /** Aborted by the next signal; null: no signal has come, or it was survived. */
  let hurry = null as AbortController | null
  let isToEnd = false

  async function endBy(signal: NodeJS.Signals, hurried: AbortSignal): Promise<void> {
    log.info({ signal }, 'a signal: it is deregistered before it is passed on')
    const left = await untilAborted(presence.leave(), hurried, 'failed')
    if (left === 'left') await pause(options.drainMs, hurried)
    // The second signal has passed by itself.
    if (hurried.aborted || !command.isRunning) return
    command.send(signal)
    log.info({ signal }, 'the signal was passed on')
    await comeBack(signal, hurried)
  }

  async function comeBack(signal: NodeJS.Signals, hurried: AbortSignal): Promise<void> {
    if (isToEnd) return
    // Its last word must not come after the first one of the next.
    await presence.leave()
    await pause(timing.hangUpMs, hurried)
    if (hurried.aborted || !command.isRunning) return
    log.info({ signal }, 'the command has outlived the signal: it is registered again when it is well')
    hurry = null
    presence = createPresence(options, deps, timing)
  }

  onSignal = (signal) => {
    if (!ending.includes(signal)) {
      command.send(signal)
      return
    }
    isToEnd ||= !survivable.includes(signal)
    const before = hurry
    hurry = new AbortController()
    if (before === null) {
      void endBy(signal, hurry.signal)
      return
    }
    log.warn({ signal }, 'another signal: it is passed on at once')
    before.abort()
    command.send(signal)
    void comeBack(signal, hurry.signal)
  }
  for (const signal of early) onSignal(signal)

  const ended = await command.ended
  log.info({ code: ended.code, signal: ended.signal }, 'the command has ended')
  hurry?.abort()
  await presence.leave()
  unlisten()
  return ended.code
}

interface Presence {
  leave: Stay['leave']
}

/** Being in the registry, from now until `leave`: once the address is known, and the command is well. */
function createPresence(options: RunOptions, deps: RunDeps, timing: RunTiming): Presence {
  const { port, health, service, tags } = options
  const stop = new AbortController()
  let left: ReturnType<Stay['leave']> | null = null

  async function begin(): Promise<{ readonly stay: Stay; readonly registrar: Registrar } | null> {
    const address = await addressOf(deps, stop.signal)
    if (address === null) return null
    const authority = `${address.includes(':') ? `[${address}]` : address}:${port}`
    const id = options.id ?? `${service}-${address}-${port}`
    const registrar = deps.registrar({ service, id, address, port, tags })
    const log = deps.log.child({ service, id, address: authority, registry: registrar.where })
    const stay = createStay(registrar, { log, random: deps.random, leaveMs: timing.leaveMs })
    // An address of somebody else (in front of this machine) leads here, but perhaps not from here.
    const host = deps.isOwn(address) ? address : 'localhost'
    const impatient = createImpatience(log, { host, port, path: health }, timing.patienceMs)
    const probe = probeOf({ host, port, path: health, authority }, timing.deadlineMs)
    const onLook = (found: 'starting' | 'well' | 'sick', why: string): void => {
      if (found === 'well') stay.keep()
      else if (found === 'sick') stay.suspend(why)
      else impatient(why)
    }
    void watchHealth(probe, timing, onLook, stop.signal)
    return { stay, registrar }
  }
  const begun = begin().catch((err: unknown) => {
    deps.log.error({ err }, 'the registration failed for good')
    return null
  })

  async function leave(): ReturnType<Stay['leave']> {
    stop.abort()
    const parts = await begun
    const came = (await parts?.stay.leave()) ?? 'was-not-there'
    if (parts !== null) await within(closeMs, parts.registrar.close())
    return came
  }
  return {
    leave() {
      left ??= leave()
      return left
    },
  }
}

/** Null: it was given up, or there is none that may be told. */
async function addressOf({ address, log }: RunDeps, signal: AbortSignal): Promise<string | null> {
  const nobody: OwnAddress = { kind: 'unknown', why: '' }
  for (let told = ''; !signal.aborted; ) {
    const own = await untilAborted(address(), signal, nobody)
    if (signal.aborted) break
    switch (own.kind) {
      case 'found':
        return own.address
      case 'refused':
        log.error({ why: own.why }, 'it cannot be registered: no address to register it at')
        return null
      case 'unknown':
        if (told !== own.why) log.warn({ why: own.why }, 'the address to register is not known yet; it is tried again')
        told = own.why
        await pause(1000, signal)
        break
      default:
        return own satisfies never
    }
  }
  return null
}

/** Tells once that nothing answers yet, and what might be the cause. */
function createImpatience(
  log: Logger,
  { host, port, path }: Omit<ProbeTarget, 'authority'>,
  patienceMs: number,
): (why: string) => void {
  const untilMs = performance.now() + patienceMs
  let isTold = false
  return (why) => {
    if (isTold || performance.now() < untilMs) return
    isTold = true
    const listens = `does the command listen on ${host} (0.0.0.0 is all addresses, 127.0.0.1 this machine only), and is ${port} its port?`
    const cure = path === null ? listens : `${listens} Does it answer GET ${path} with 2xx or 3xx, and soon?`
    log.warn({ why, cure }, 'the command is not well yet, and so not registered')
  }
}
