/** How is a catalog filled with very many services, fast? Straight into the catalog, on nodes that no agent looks after. */

import type { CatalogApi } from './consul-api.ts'

export interface FixtureSize {
  readonly services: number
  /** Of each service. */
  readonly instances: number
  /** The instances of one service are on nodes of their own, the services share these. */
  readonly nodes: number
}

export interface Fixture {
  /** In the order of their code units. */
  readonly names: readonly string[]
  /** Instance `at` (0 …) of a service as the catalog source names it, without its weight. */
  endpoint(name: string, at: number): string
  nodeOf(name: string, at: number): string
  /** Writes an instance and its check; what is given wins. */
  register(name: string, at: number, service?: Readonly<Record<string, unknown>>): Promise<void>
  deregister(name: string, at: number): Promise<void>
  setCheck(name: string, at: number, status: 'passing' | 'warning' | 'critical', output?: string): Promise<void>
  /** A check of the node itself. */
  setNodeCheck(node: string, id: string, status: 'passing' | 'warning' | 'critical'): Promise<void>
  deleteNodeCheck(node: string, id: string): Promise<void>
}

const PARALLEL = 16

/** Fills the catalog of `api` and resolves once all of it is written. */
export async function fillCatalog(api: CatalogApi, { services, instances, nodes }: FixtureSize): Promise<Fixture> {
  const width = String(services).length
  const names = Array.from({ length: services }, (_, at) => `s${String(at).padStart(width, '0')}`)
  const numberOf = (name: string) => Number(name.replace(/\D/g, ''))
  const port = (at: number) => 7000 + at
  const nodeNumber = (name: string, at: number) => (numberOf(name) * instances + at) % nodes
  const nodeOf = (name: string, at: number) => `node-${nodeNumber(name, at)}`
  const idOf = (name: string, at: number) => `${name}-${at}`
  const addressOf = (node: number) => `10.8.${node >> 8}.${node & 255}`
  const address = (name: string) => `10.9.${numberOf(name) >> 8}.${numberOf(name) & 255}`

  async function put(path: string, body: unknown): Promise<void> {
    const answer = await api.send('PUT', path, body)
    if (answer.status !== 200) throw new Error(`PUT ${path}: ${answer.status} ${answer.text.slice(0, 200)}`)
  }
  const write = (node: string, body: Readonly<Record<string, unknown>>) =>
    put('/v1/catalog/register', {
      Node: node,
      Address: addressOf(Number(node.slice('node-'.length))),
      SkipNodeUpdate: true,
      ...body,
    })
  const remove = (node: string, body: Readonly<Record<string, unknown>>) =>
    put('/v1/catalog/deregister', { Node: node, ...body })

  const fixture: Fixture = {
    names,
    endpoint: (name, at) => `${address(name)}:${port(at)}`,
    nodeOf,
    register: (name, at, service = {}) => {
      const id = idOf(name, at)
      const record = { Service: name, ID: id, Address: address(name), Port: port(at), ...service }
      const check = { CheckID: id, Name: 'beat', ServiceID: id, Status: 'passing' }
      return write(nodeOf(name, at), { Service: record, Check: check })
    },
    deregister: (name, at) => remove(nodeOf(name, at), { ServiceID: idOf(name, at) }),
    setCheck: (name, at, status, output = '') => {
      const id = idOf(name, at)
      const check = { CheckID: id, Name: 'beat', ServiceID: id, Status: status, Output: output }
      return write(nodeOf(name, at), { Check: check })
    },
    setNodeCheck: (node, id, status) => write(node, { Check: { CheckID: id, Name: id, Status: status } }),
    deleteNodeCheck: (node, id) => remove(node, { CheckID: id }),
  }

  await inParallel(PARALLEL, nodes, (at) => write(`node-${at}`, { SkipNodeUpdate: false }))
  await inParallel(PARALLEL, services * instances, (at) => {
    return fixture.register(names[Math.floor(at / instances)] as string, at % instances)
  })
  return fixture
}

/** Does `work` for 0 … `count` - 1, so many at a time. */
export async function inParallel(parallel: number, count: number, work: (at: number) => Promise<void>): Promise<void> {
  let next = 0
  const one = async () => {
    while (next < count) {
      next += 1
      await work(next - 1)
    }
  }
  await Promise.all(Array.from({ length: Math.min(parallel, count) }, one))
}
