#!/usr/bin/env node
/** The command line: one command, one exit code (0 clean, 1 cannot run, 2 wrong usage). */

import process from 'node:process'
import { type CommandLine, readCommandLine } from './commands/usage.ts'
import { version } from './version.ts'

const out = (text: string) => void process.stdout.write(text)
const err = (text: string) => void process.stderr.write(text)

function wrongUsage(message: string): number {
  err(`evenkeel: ${message}\n`)
  return 2
}

/** Each command is loaded only when it runs: `--help` and `check` need no proxy. */
async function run(line: CommandLine): Promise<number> {
  switch (line.kind) {
    case 'help':
      out(line.text)
      return 0
    case 'nothing':
      err(line.text)
      return 2
    case 'wrong':
      return wrongUsage(line.message)
    case 'version':
      out(`${version}\n`)
      return 0
    case 'check': {
      const { check } = await import('./commands/check.ts')
      return check(line.file, out)
    }
    case 'serve': {
      // A flag that is wrong whatever the file says is wrong usage; all else is told by serve itself.
      const { flagProblems } = await import('./config/load.ts')
      const { formatProblem } = await import('./config/problem.ts')
      const [problem] = flagProblems(line.flags)
      if (problem !== undefined) return wrongUsage(formatProblem(problem))
      const { serve } = await import('./commands/serve.ts')
      return serve({ file: line.file, flags: line.flags, env: process.env })
    }
    case 'demo': {
      const { demo } = await import('./commands/demo.ts')
      return demo({ port: line.port, adminPort: line.adminPort })
    }
    case 'explain': {
      const { explain } = await import('./commands/explain.ts')
      return explain(line, process.env, out)
    }
    case 'doctor': {
      const { doctor } = await import('./commands/doctor.ts')
      return doctor(line, process.env, out)
    }
    case 'hand': {
      const { hand } = await import('./commands/hand.ts')
      return hand(line, process.env, out)
    }
    case 'run': {
      const { run: runCommand } = await import('./commands/run.ts')
      return runCommand(line, process.env)
    }
    default:
      return line satisfies never
  }
}

/** Nothing below may throw to here: it is a defect, told in one line unless NODE_DEBUG=evenkeel asks for all of it. */
function crash(error: unknown): void {
  const all = process.env.NODE_DEBUG?.split(',').includes('evenkeel') ?? false
  const text = error instanceof Error ? (all ? (error.stack ?? error.message) : error.message) : String(error)
  err(`evenkeel: internal error: ${all ? text : text.replace(/\s+/g, ' ')}\n`)
  process.exit(1)
}

process.on('uncaughtException', crash)
process.on('unhandledRejection', crash)
// `evenkeel --help | head -1` closes the pipe early, which is no error of ours.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') crash(error)
})

process.exitCode = await run(readCommandLine(process.argv.slice(2)))
