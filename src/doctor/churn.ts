/** Whose output changes all the time, though the check says the same? Pure: answers about all checks in, changes counted. */

import { compareText, printable } from '../discovery/untrusted-text.ts'
import type { ChurningCheck } from './facts.ts'

export interface ChurnCount {
  /** Takes in one reading: the JSON of `health/state/any` or `health/checks/:service`. False: it is no list of checks. */
  add(body: unknown): boolean
  /** Those that changed at least once, the most restless first. */
  checks(): readonly ChurningCheck[]
}

const MAX_TEXT_LENGTH = 128

/** @param isWanted whether a check of this service (null: of a node) is of interest */
export function countChurn(isWanted: (service: string | null) => boolean): ChurnCount {
  const seen = new Map<
    string,
    { status: unknown; output: unknown; check: Omit<ChurningCheck, 'changes'>; changes: number }
  >()
  return {
    add(body) {
      if (!Array.isArray(body)) return false
      for (const check of body) {
        if (typeof check !== 'object' || check === null) continue
        const { Node, CheckID, ServiceID, ServiceName, Name, Status, Output } = check as Record<string, unknown>
        const service = text(ServiceName) || null
        if (!isWanted(service)) continue
        const key = JSON.stringify([Node, CheckID, ServiceID])
        const before = seen.get(key)
        const changes = before?.changes ?? 0
        const isNoise = before !== undefined && before.status === Status && before.output !== Output
        seen.set(key, {
          status: Status,
          output: Output,
          check: {
            service,
            instance: shown(ServiceID),
            node: shown(Node),
            check: shown(Name) || shown(CheckID),
          },
          changes: changes + (isNoise ? 1 : 0),
        })
      }
      return true
    },
    checks: () =>
      [...seen.values()]
        .filter(({ changes }) => changes > 0)
        .map(({ check, changes }) => ({ ...check, changes }))
        .sort((a, b) => b.changes - a.changes || compareText(a.instance, b.instance) || compareText(a.check, b.check)),
  }
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

function shown(value: unknown): string {
  return printable(text(value), MAX_TEXT_LENGTH)
}
