/** What can go wrong with Consul, and with the way to it? Each fault, and how it is made and mended for real. */

import { randomUUID } from 'node:crypto'
import type { ConsulAgent } from '../support/consul.ts'
import {
  aclNotFound,
  emptyCatalog,
  endlessChunks,
  gzipGarbage,
  htmlPage,
  noLeader,
  notHttp,
  tooManyRequests,
  truncatedJson,
} from '../support/fault-answers.ts'
import type { Fault, ProxiedRequest } from '../support/fault-proxy.ts'
import { waitFor } from '../support/wait.ts'
import type { ConsulFault, FaultSize, Play, Stage } from './consul-fault-run.ts'

const stale = { small: 'stale', full: 'stale' } as const

/** A fault on the way to an agent that is well. */
function onTheWay(fault: (size: FaultSize) => Fault): Play {
  return {
    begin: ({ way, size }) => way.set(fault(size)),
    end: ({ way }) => way.set({ kind: 'pass' }),
  }
}

function answers(title: string, answer: Extract<Fault, { kind: 'replace' }>['answer']): ConsulFault {
  return { title, isReplacing: true, says: stale, play: () => onTheWay(() => ({ kind: 'replace', answer })) }
}

/** Waits until the agent has its old data. */
function untilItKnows({ consul, service, settled }: Stage): Promise<unknown> {
  return waitFor('Consul has its old data', async () => {
    const answer = await consul.send('GET', `/v1/health/service/${service}?passing`).catch(() => null)
    return answer?.status === 200 && JSON.parse(answer.text).length === settled.length
  })
}

const minute = { small: 2, full: 60 } as const

const down: ConsulFault = {
  title: 'down, and back with its data',
  agent: { persistent: true },
  isDirect: true,
  seconds: minute,
  says: stale,
  play: () => ({
    begin: ({ consul }) => consul.kill('SIGKILL'),
    end: async (stage) => {
      await stage.consul.start()
      await untilItKnows(stage)
    },
  }),
}

const downWithChecks: ConsulFault = {
  ...down,
  title: 'down for less than its TTL checks last, and back with its data',
  seconds: { small: 2, full: 20 },
  check: { Name: 'beat', TTL: '60s', Status: 'passing' },
}

const backWithCritical: ConsulFault = {
  ...downWithChecks,
  title: 'down for longer than its TTL checks last: all are critical until their next beat',
  check: { Name: 'beat', TTL: '1s', Status: 'passing' },
  play: () => ({
    begin: async (stage) => {
      stage.beat(false)
      await stage.consul.kill('SIGKILL')
    },
    end: async (stage) => {
      await stage.consul.start()
      await waitFor('Consul says that all are critical', async () => {
        const answer = await stage.consul.send('GET', `/v1/health/checks/${stage.service}`).catch(() => null)
        return answer?.status === 200 && answer.text.match(/"Status":"critical"/g)?.length === stage.settled.length
      })
      stage.beat(true)
      await untilItKnows(stage)
    },
  }),
}

const hung: ConsulFault = {
  title: 'hung, not refused (SIGSTOP)',
  agent: {},
  isDirect: true,
  seconds: { small: 1, full: 60 },
  says: { full: 'stale' },
  play: () => ({
    begin: async ({ consul }) => signal(consul, 'SIGSTOP'),
    end: async ({ consul }) => signal(consul, 'SIGCONT'),
  }),
}

function signal({ pid }: ConsulAgent, name: NodeJS.Signals): void {
  if (pid === null) throw new Error('the agent does not run')
  process.kill(pid, name)
}

const blackHole: ConsulFault = {
  title: 'every connection goes silent for ever, new ones too',
  seconds: { small: 1, full: 3 },
  says: { full: 'stale' },
  play: () => ({ begin: ({ way }) => way.set({ kind: 'hang', isLost: true }), end: mendStuck }),
}

const neverEnding: ConsulFault = {
  title: 'a chunked answer that never ends',
  isReplacing: true,
  says: { full: 'stale' },
  play: () => ({ begin: ({ way }) => way.set({ kind: 'replace', answer: endlessChunks }), end: mendStuck }),
}

/** Connections are stuck: they stay so for as long as the proxy lets them, but for the small size they are cut. */
async function mendStuck({ way, size }: Stage): Promise<void> {
  if (size.name === 'small') await way.set({ kind: 'refuse' })
  await way.set({ kind: 'pass' })
}

const slow: ConsulFault = {
  title: 'late with every answer (10 s; for the small size 0.5 s)',
  seconds: { small: 2, full: 40 },
  play: () => onTheWay(({ name }) => ({ kind: 'delay', ms: name === 'full' ? 10_000 : 500 })),
}

const instancesFail: ConsulFault = {
  title: '500 for the instances only; the list of services is answered',
  isReplacing: true,
  seconds: { small: 2, full: 25 },
  says: stale,
  play: () => ({
    begin: async ({ way, poke }) => {
      const answer = (request: ProxiedRequest) => (request.target.startsWith(namesPath) ? null : noLeader(request))
      await way.set({ kind: 'replace', answer })
      await waitFor('it asks again', () => way.replaced.length >= 4)
      // So that there is an answer to the list of services meanwhile, at the small size too.
      await poke()
    },
    end: ({ way }) => way.set({ kind: 'pass' }),
  }),
}

const namesPath = '/v1/catalog/services'

const revoked: ConsulFault = {
  title: '403: its token was revoked',
  agent: { aclToken: randomUUID() },
  says: stale,
  play: async (consul, service) => {
    const secret = randomUUID()
    await put(consul, '/v1/acl/policy', { Name: 'evenkeel', Rules: rulesFor(service) })
    const grant = () => put(consul, '/v1/acl/token', { SecretID: secret, Policies: [{ Name: 'evenkeel' }] })
    let token = await grant()
    return {
      set: [`discovery.consul.token=${secret}`],
      begin: async ({ poke }) => {
        const { status, text } = await consul.send('DELETE', `/v1/acl/token/${token.AccessorID}`)
        if (status !== 200) throw new Error(`the token cannot be revoked: ${status} ${text}`)
        await poke()
      },
      end: async () => {
        token = await grant()
      },
    }
  },
}

/** A token whose policy becomes another one: Consul goes on answering 200, and leaves out what may not be seen. */
function narrowed(title: string, rules: string): ConsulFault {
  return {
    title,
    agent: { aclToken: randomUUID() },
    // For less long than an empty answer is held.
    seconds: { small: 1, full: 6 },
    play: async (consul, service) => {
      const policy = { Name: 'evenkeel', Rules: rulesFor(service) }
      const { ID } = await put(consul, '/v1/acl/policy', policy)
      const { SecretID } = await put(consul, '/v1/acl/token', { Policies: [{ Name: 'evenkeel' }] })
      return {
        set: [`discovery.consul.token=${SecretID}`],
        begin: async ({ poke }) => {
          await put(consul, `/v1/acl/policy/${ID}`, { ...policy, ID, Rules: rules })
          await poke()
        },
        end: async ({ poke, way, size }) => {
          await put(consul, `/v1/acl/policy/${ID}`, { ...policy, ID })
          if (size.name === 'full') return
          // Nothing wakes a query when a policy changes, and one that waits is answered by the old one.
          const { requests } = way
          await poke()
          await waitFor('it asks with the new policy', () => way.requests >= requests + 1)
        },
      }
    },
  }
}

const servicesOnly = 'service_prefix "" { policy = "read" }'

function rulesFor(service: string): string {
  return `service_prefix "${service}" { policy = "read" } node_prefix "" { policy = "read" }`
}

async function put(consul: ConsulAgent, path: string, body: unknown): Promise<Readonly<Record<string, string>>> {
  const { status, text } = await consul.send('PUT', path, body)
  if (status !== 200) throw new Error(`PUT ${path}: ${status} ${text}`)
  return JSON.parse(text)
}

const restartedEmpty: ConsulFault = {
  title: 'killed and restarted empty; its services register again later',
  agent: {},
  isDirect: true,
  seconds: { small: 3, full: 6 },
  play: () => ({
    begin: async ({ consul }) => {
      await consul.kill('SIGKILL')
      await consul.start()
    },
    end: async ({ settled, register }) => {
      for (const origin of settled) await register(origin)
    },
  }),
}

/** Answers with success that there is nothing, for less long than they are held. */
function empty(kind: Parameters<typeof emptyCatalog>[0]): ConsulFault {
  return {
    title: `an empty catalog with status 200 and ${kind}`,
    // Of its own: afterwards its index is behind, and is believed the sooner for not growing.
    ...(kind === 'higher index' ? { agent: {} } : {}),
    isReplacing: true,
    seconds: { small: 3, full: 6 },
    play: () => ({
      begin: ({ way }) => way.set({ kind: 'replace', answer: emptyCatalog(kind) }),
      end: async ({ way }) => {
        // Else the agent is asked with an index that it never had, and waits in vain for as long as it may.
        const before = way.replaced.length
        await way.set({ kind: 'replace', answer: noLeader })
        await waitFor('the index is forgotten', () => way.replaced.length > before)
        await way.set({ kind: 'pass' })
      },
    }),
  }
}

/** Every fault that happens while the proxy serves. */
export const consulFaults: readonly ConsulFault[] = [
  down,
  downWithChecks,
  backWithCritical,
  hung,
  blackHole,
  {
    title: 'hung on the way, then all goes on',
    seconds: { small: 1, full: 30 },
    says: { full: 'stale' },
    play: () => onTheWay(() => ({ kind: 'hang' })),
  },
  { title: 'connections refused, then taken again', says: stale, play: () => onTheWay(() => ({ kind: 'refuse' })) },
  slow,
  answers('500: no cluster leader', noLeader),
  instancesFail,
  answers('403: ACL not found', aclNotFound),
  revoked,
  answers('429: too many requests', tooManyRequests),
  answers('HTML with status 200', htmlPage),
  answers('JSON that breaks off, in a whole answer', truncatedJson),
  neverEnding,
  answers('gzip that is none', gzipGarbage),
  answers('no HTTP at all', notHttp),
  {
    title: 'cut in the head of every answer',
    says: stale,
    play: () => onTheWay(() => ({ kind: 'cut', in: 'head', afterBytes: 100 })),
  },
  {
    title: 'cut in the body of every answer',
    says: stale,
    play: () => onTheWay(() => ({ kind: 'cut', in: 'body', afterBytes: 8 })),
  },
  restartedEmpty,
  narrowed('its token may see nothing any more: 200, filtered empty', rulesFor('something-else')),
  narrowed('its token may see no nodes any more: the list of services stays, their instances do not', servicesOnly),
  empty('lower index'),
  empty('higher index'),
  empty('no index'),
]
