/**
 * Is that instance alive? Runs the HTTP and TCP checks that services registered with, each at its own interval, by
 * Consul's rules: 2xx passes, 429 warns, everything else is critical. Unlike Consul, which waits a random part of the
 * interval first, it asks once at once, because somebody is watching the demo.
 */

import { request as httpRequest, type IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { connect } from 'node:net'
import type { CheckRecord } from './catalog-records.ts'
import type { CheckDefinition, CheckProbe, CheckStatus } from './registration.ts'

export interface CheckResult {
  readonly status: CheckStatus
  readonly output: string
}

export interface CheckRunner {
  /** Starts the check, in the place of one with the same id. */
  start(check: CheckRecord): void
  stop(checkId: string): void
  /** Ends every check, requests in flight included. */
  close(): void
}

type OnResult = (checkId: string, definition: CheckDefinition, result: CheckResult) => void
type HttpProbe = Extract<CheckProbe, { kind: 'http' }>
type TcpProbe = Extract<CheckProbe, { kind: 'tcp' }>

/** Consul cuts a check's output there. */
const maxOutputLength = 4096

/** `onResult` is told of every run that was not stopped before it ended. */
export function createCheckRunner(onResult: OnResult): CheckRunner {
  const running = new Map<string, AbortController>()

  function stop(checkId: string): void {
    running.get(checkId)?.abort()
    running.delete(checkId)
  }

  return {
    start({ checkId, definition }) {
      stop(checkId)
      const stopped = new AbortController()
      running.set(checkId, stopped)
      void repeat(definition.probe, stopped.signal, (result) => onResult(checkId, definition, result))
    },
    stop,
    close() {
      for (const checkId of [...running.keys()]) stop(checkId)
    },
  }
}

async function repeat(probe: CheckProbe, stopped: AbortSignal, report: (result: CheckResult) => void): Promise<void> {
  if (probe.kind === 'ttl') return
  while (!stopped.aborted) {
    const startedAt = performance.now()
    const result = await (probe.kind === 'http' ? runHttp(probe, stopped) : runTcp(probe, stopped))
    if (stopped.aborted) return
    report(result)
    await pause(Math.max(0, probe.intervalMs - (performance.now() - startedAt)), stopped)
  }
}

function pause(ms: number, stopped: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(end, ms)
    stopped.addEventListener('abort', end, { once: true })
    function end(): void {
      clearTimeout(timer)
      stopped.removeEventListener('abort', end)
      resolve()
    }
  })
}

function runHttp(probe: HttpProbe, stopped: AbortSignal): Promise<CheckResult> {
  const title = `HTTP ${probe.method} ${probe.url}:`
  return once(stopped, probe.timeoutMs, (signal, settle) => {
    const url = new URL(probe.url)
    const secure = url.protocol === 'https:'
    const headers = { 'user-agent': 'Consul Health Check', accept: 'text/plain, text/*, */*', ...copy(probe.headers) }
    const options = { method: probe.method, headers, signal, agent: false, rejectUnauthorized: !probe.skipVerify }
    const request = secure ? httpsRequest(url, options) : httpRequest(url, options)
    request.on('error', (error) => settle('critical', `${title} ${error.message}`))
    request.on('response', (response) => {
      const code = response.statusCode ?? 0
      const status = code >= 200 && code < 300 ? 'passing' : code === 429 ? 'warning' : 'critical'
      readSome(response, (text) => settle(status, `${title} ${code} ${response.statusMessage ?? ''} Output: ${text}`))
    })
    request.end(probe.body)
  })
}

function readSome(response: IncomingMessage, onText: (text: string) => void): void {
  let text = ''
  response.setEncoding('utf8')
  response.on('data', (piece: string) => {
    if (text.length < maxOutputLength) text += piece
  })
  response.on('close', () => onText(text))
}

function copy(headers: HttpProbe['headers']): Record<string, string[]> {
  return Object.fromEntries(Object.entries(headers).map(([name, values]) => [name.toLowerCase(), [...values]]))
}

function runTcp(probe: TcpProbe, stopped: AbortSignal): Promise<CheckResult> {
  return once(stopped, probe.timeoutMs, (signal, settle) => {
    const colon = probe.address.lastIndexOf(':')
    const host = probe.address.slice(0, colon).replace(/^\[(.*)\]$/, '$1')
    const socket = connect({ host, port: Number(probe.address.slice(colon + 1)), signal })
    socket.on('connect', () => {
      socket.destroy()
      settle('passing', `TCP connect ${probe.address}: Success`)
    })
    socket.on('error', (error) => settle('critical', error.message))
  })
}

/** One run with a deadline of its own. A probe that cannot even start, for a bad URL or port, is critical too. */
function once(
  stopped: AbortSignal,
  timeoutMs: number,
  run: (signal: AbortSignal, settle: (status: CheckStatus, output: string) => void) => void,
): Promise<CheckResult> {
  return new Promise((resolve) => {
    const deadline = new AbortController()
    const timer = setTimeout(() => {
      settle('critical', `no answer within ${timeoutMs} ms`)
      deadline.abort()
    }, timeoutMs)
    const cancel = () => {
      settle('critical', 'stopped')
      deadline.abort()
    }
    stopped.addEventListener('abort', cancel, { once: true })
    function settle(status: CheckStatus, output: string): void {
      clearTimeout(timer)
      stopped.removeEventListener('abort', cancel)
      resolve({ status, output: output.slice(0, maxOutputLength) })
    }
    try {
      run(deadline.signal, settle)
    } catch (error) {
      settle('critical', error instanceof Error ? error.message : String(error))
    }
  })
}
