/**
 * What do clients notice of whatever can be wrong with Consul, and does `/readyz` tell the truth meanwhile? Every fault at
 * full length, one after another; prints the table that docs/consul-faults.md shows.
 */

import { consulFaults } from './consul-fault-list.ts'
import {
  complaintsOf,
  type FaultReport,
  type FaultSize,
  faultsFull,
  runFault,
  startSharedWorld,
} from './consul-fault-run.ts'
import { downAtStart, downAtStartWithSnapshot, staleAtStart } from './consul-start.ts'
import { collectFindings, type Findings } from './findings.ts'
import type { ReadyzSpell } from './readyz.ts'
import { scoped } from './scope.ts'

export { faultsFull }

export function consulFaultsDrill(size: FaultSize, print: (line: string) => void): Promise<Findings> {
  return scoped(async (scope) => {
    const findings = collectFindings()
    const shared = await startSharedWorld(scope)
    for (const line of tableHead) print(line)

    const play = async (title: string, work: () => Promise<readonly string[]>) => {
      try {
        const complaints = await work()
        findings.promise(title, complaints.length === 0, complaints.join('; '))
      } catch (error) {
        findings.promise(title, false, error instanceof Error ? error.message : String(error))
      }
    }
    await play('down at the start, without a snapshot', async () => {
      const start = await scoped((own) => downAtStart(own, shared, 'fault-start', size))
      print(row(start.report, `${start.clientsBefore}; then ${clientsOf(start.report)}`))
      return start.isClosed ? [] : [`the data port was open: ${start.clientsBefore}`]
    })
    for (const comesBack of ['as it was', 'empty'] as const) {
      await play(`down at the start, with a snapshot; back ${comesBack}`, async () => {
        const service = `fault-snapshot-${comesBack.replaceAll(' ', '-')}`
        const report = await scoped((own) => downAtStartWithSnapshot(own, shared, service, size, comesBack))
        print(row(report))
        return complaintsOf(report, staleAtStart, size)
      })
    }
    for (const [index, fault] of consulFaults.entries()) {
      await play(fault.title, async () => {
        const report = await scoped((own) => runFault(own, shared, `fault-${index}`, fault, size))
        print(row(report))
        return complaintsOf(report, fault, size)
      })
    }
    return findings.done()
  })
}

const tableHead = [
  '| Consul | lasts | what clients saw | what `/readyz` said | endpoints lost | a change followed after |',
  '|---|---|---|---|---|---|',
]

function row(report: FaultReport, clients = clientsOf(report)): string {
  const { title, endedMs, readyz, lost, followedMs } = report
  const cells = [
    title,
    seconds(endedMs),
    clients,
    saidOf(readyz),
    lost.length === 0 ? 'none' : lost.length,
    seconds(followedMs),
  ]
  return `| ${cells.join(' | ')} |`
}

function clientsOf({ requests, failed, statuses }: FaultReport): string {
  return failed === 0 ? `nothing: ${requests} × 200` : `${failed} of ${requests} failed (${statuses})`
}

const spellsShown = 6

function saidOf(spells: readonly ReadyzSpell[]): string {
  const shown = spells
    .slice(0, spellsShown)
    .map(({ state, fromMs }, at) => (at === 0 ? state : `${seconds(fromMs)} ${state}`))
  const more = spells.length - spellsShown
  return [...shown, ...(more > 0 ? [`… ${more} more, at last ${spells.at(-1)?.state}`] : [])].join(', ')
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`
}
