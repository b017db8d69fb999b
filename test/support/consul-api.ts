/** How does a test change a catalog? Over Consul's HTTP API, with as few words as possible. */

import { Agent, request } from 'node:http'

/** The body of `agent/service/register`, as Consul's documentation writes it. */
export interface ServiceRegistration {
  readonly Name: string
  readonly ID?: string
  readonly Address?: string
  readonly Port?: number
  readonly Tags?: readonly string[]
  readonly Meta?: Readonly<Record<string, string>>
  readonly Weights?: { readonly Passing: number; readonly Warning: number }
  readonly Check?: CheckRegistration
  readonly Checks?: readonly CheckRegistration[]
}

export interface CheckRegistration {
  readonly CheckID?: string
  readonly Name?: string
  readonly TTL?: string
  readonly HTTP?: string
  readonly Interval?: string
  readonly Timeout?: string
  readonly Status?: 'passing' | 'warning' | 'critical'
}

export interface ApiAnswer {
  readonly status: number
  /** `X-Consul-Index`; null when the header is absent. */
  readonly index: string | null
  readonly text: string
}

export interface CatalogApi {
  readonly url: string
  /** Any request; `path` starts with `/v1/`. Answers of any status resolve. */
  send(method: string, path: string, body?: unknown): Promise<ApiAnswer>
  /** A GET that must be answered 200: its JSON and its index. */
  get(path: string): Promise<{ readonly body: unknown; readonly index: string | null }>
  register(service: ServiceRegistration): Promise<void>
  /** Writes an instance of one external node straight to the catalog, without an agent's care for it. */
  registerExternal(service: string, port: number): Promise<void>
  deregister(id: string): Promise<void>
  setCheck(checkId: string, to: 'pass' | 'warn' | 'fail', note?: string): Promise<void>
  maintenance(id: string, enable: boolean, reason?: string): Promise<void>
}

/**
 * The API of the catalog server at `url`.
 * @param token an ACL token; null: none
 */
export function catalogApi(url: string, token: string | null = null): CatalogApi {
  // One connection a request: a kept one would be reset by the restarts that the tests make.
  const agent = new Agent({ keepAlive: false })

  function send(method: string, path: string, body?: unknown): Promise<ApiAnswer> {
    return new Promise((resolve, reject) => {
      const headers = token === null ? {} : { 'x-consul-token': token }
      const sent = request(new URL(path, url), { method, agent, headers, timeout: 20_000 }, (answer) => {
        let text = ''
        answer.setEncoding('utf8')
        answer.on('data', (piece: string) => {
          text += piece
        })
        answer.on('error', reject)
        answer.on('end', () => {
          const index = answer.headers['x-consul-index']
          resolve({ status: answer.statusCode ?? 0, index: typeof index === 'string' ? index : null, text })
        })
      })
      sent.on('timeout', () => sent.destroy(new Error(`no answer to ${method} ${path}`)))
      sent.on('error', reject)
      sent.end(body === undefined ? undefined : JSON.stringify(body))
    })
  }

  async function put(path: string, body?: unknown): Promise<void> {
    const answer = await send('PUT', path, body)
    if (answer.status !== 200) throw new Error(`PUT ${path}: ${answer.status} ${answer.text.slice(0, 200)}`)
  }

  return {
    url,
    send,
    async get(path) {
      const answer = await send('GET', path)
      if (answer.status !== 200) throw new Error(`GET ${path}: ${answer.status} ${answer.text.slice(0, 200)}`)
      return { body: JSON.parse(answer.text), index: answer.index }
    },
    register: (service) => put('/v1/agent/service/register', service),
    registerExternal: (service, port) =>
      put('/v1/catalog/register', {
        Node: 'external',
        Address: '10.9.9.9',
        Service: { Service: service, ID: `${service}-${port}`, Port: port },
      }),
    deregister: (id) => put(`/v1/agent/service/deregister/${encodeURIComponent(id)}`),
    setCheck: (checkId, to, note = '') =>
      put(`/v1/agent/check/${to}/${encodeURIComponent(checkId)}?note=${encodeURIComponent(note)}`),
    maintenance: (id, enable, reason = '') =>
      put(
        `/v1/agent/service/maintenance/${encodeURIComponent(id)}?enable=${enable}&reason=${encodeURIComponent(reason)}`,
      ),
  }
}
