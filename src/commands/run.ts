/** `evenkeel run`: runs a command that does not register itself, and registers it (see run/run-service.ts for the story). */

import { writeSync } from 'node:fs'
import { networkInterfaces } from 'node:os'
import { flagProblems, loadConfig } from '../config/load.ts'
import { formatProblem } from '../config/problem.ts'
import { createLog } from '../log.ts'
import { interfaceAddress, isOwn, type OwnAddress, ownAddress } from '../run/own-address.ts'
import { registrarOf, registryPlaces } from '../run/registrar-of.ts'
import { passedOn, runService } from '../run/run-service.ts'
import { within } from '../run/within.ts'
import type { RunCommand } from './usage-run.ts'

/** Longer than this the command does not wait for a name to be resolved. */
const placeWithinMs = 2000

/** @returns the exit code: the command's; 1 when it was not started, 2 for wrong usage, 126 or 127 when it cannot be started */
export async function run(options: RunCommand, env: NodeJS.ProcessEnv): Promise<number> {
  const [wrongFlag] = flagProblems(options.flags)
  if (wrongFlag !== undefined) return refuse(formatProblem(wrongFlag), 2)
  const loaded = loadConfig({ file: options.file, env, flags: options.flags })
  if (!loaded.ok) {
    for (const problem of loaded.problems) complain(formatProblem(problem))
    return 1
  }
  const { discovery, log: level } = loaded.config
  const registrar = registrarOf(options.to, discovery)
  const places = registryPlaces(options.to, discovery)
  const address = (): Promise<OwnAddress> => {
    if (options.at === null) return ownAddress(places, networkInterfaces)
    if ('address' in options.at) return Promise.resolve({ kind: 'found', address: options.at.address })
    return Promise.resolve(interfaceAddress(options.at.interface, networkInterfaces()))
  }
  // What will not change is told before anything has started.
  const first = await within(placeWithinMs, address())
  if (first?.kind === 'refused') return refuse(first.why, 1)

  const log = createLog({ level: level.level, destination: { write: toStderr } })
  return runService(options, {
    log: log.log,
    random: Math.random,
    address,
    isOwn: (text) => isOwn(text, networkInterfaces()),
    registrar,
    complain,
    signals(listener) {
      for (const signal of passedOn) process.on(signal, listener)
      return () => {
        for (const signal of passedOn) process.off(signal, listener)
      }
    },
  })
}

function refuse(line: string, code: number): number {
  complain(line)
  return code
}

function complain(line: string): void {
  toStderr(`evenkeel: ${line}\n`)
}

/**
 * Not through `process.stderr`, which would make the command's own stderr one that does not wait, if it is opened after the
 * command has started.
 */
function toStderr(text: string): void {
  try {
    writeSync(2, text)
  } catch {
    // Nobody reads it. The service is to go on being registered all the same.
  }
}
