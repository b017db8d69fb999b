import { connect } from 'node:net'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type CatalogServer, startCatalogServer } from '../../src/demo/catalog-server.ts'
import { type Fleet, type InstanceView, startFleet } from '../../src/demo/services.ts'
import { waitFor } from '../support/wait.ts'

let catalog: CatalogServer
let fleet: Fleet
beforeEach(async () => {
  catalog = await startCatalogServer()
  // There is no proxy here: the account service has to do without.
  fleet = await startFleet({ catalogUrl: catalog.url, proxyUrl: 'http://127.0.0.1:1' })
})
afterEach(async () => {
  await fleet.close()
  await catalog.close()
})

/** The instances of a name that pass, as the catalog says. */
async function passing(name: string): Promise<string[]> {
  const response = await fetch(`${catalog.url}/v1/health/service/${name}?passing`)
  const entries = (await response.json()) as { Service: { ID: string; Address: string; Port: number } }[]
  return entries.map(({ Service }) => `${Service.ID} ${Service.Address}:${Service.Port}`).sort()
}

const listed = () => fleet.list().map(({ id, state }) => `${id} ${state}`)

function instance(id: string): InstanceView {
  const found = fleet.list().find((one) => one.id === id)
  if (found === undefined) throw new Error(`no ${id}`)
  return found
}

const get = (id: string, path: string, method = 'GET') => fetch(`http://${instance(id).at}${path}`, { method })

describe('the fleet', () => {
  test('starts with three and two instances, each at an address of its own, registered and passing', async () => {
    const expected = fleet.list().map(({ id, at }) => `${id} ${at}`)
    expect([...(await passing('accountservice')), ...(await passing('quotes-service'))]).toEqual(expected)
    const addresses = fleet.list().map(({ at }) => at.slice(0, at.lastIndexOf(':')))
    // macOS has one loopback address only; there the ports differ.
    if (process.platform === 'linux') {
      expect(addresses).toEqual(['127.0.0.11', '127.0.0.12', '127.0.0.13', '127.0.0.41', '127.0.0.42'])
    }
    expect(new Set(fleet.list().map(({ at }) => at)).size).toBe(5)
  })

  test('shows both a TTL check and an HTTP check of each instance', async () => {
    const response = await fetch(`${catalog.url}/v1/health/checks/quotes-service`)
    const types = ((await response.json()) as { Type: string }[]).map(({ Type }) => Type)
    expect(types.sort()).toEqual(['http', 'http', 'ttl', 'ttl'])
  })

  test('answers accounts, quotes, health, and 404 and 405 for what there is not', async () => {
    const account = await get('accountservice-1', '/accounts/10007?x=1')
    const servedBy = process.platform === 'linux' ? '127.0.0.11' : expect.stringContaining('127.0.0.1')
    expect([account.status, await account.json()]).toMatchObject([
      200,
      { id: '10007', name: 'Person_7', servedBy, quote: { quote: expect.stringMatching(/^Fallback/) } },
    ])
    expect(await (await get('quotes-service-2', '/api/quote?strength=4')).json()).toMatchObject({ language: 'en' })
    expect((await get('accountservice-1', '/health')).status).toBe(200)
    expect((await get('accountservice-1', '/elsewhere')).status).toBe(404)
    expect((await get('accountservice-1', '/accounts/10000', 'POST')).status).toBe(405)
  })

  test('scales up and down; who leaves is deregistered', async () => {
    expect(await fleet.scale('accountservice', 5)).toEqual(['accountservice-4', 'accountservice-5'])
    expect(await passing('accountservice')).toHaveLength(5)
    await fleet.scale('accountservice', 1)
    expect((await passing('accountservice')).map((text) => text.split(' ')[0])).toEqual(['accountservice-1'])
    expect(await fleet.scale('accountservice', 1)).toEqual([])
    await fleet.scale('accountservice', 0)
    expect(await passing('accountservice')).toEqual([])
    expect(listed()).toEqual(['quotes-service-1 running', 'quotes-service-2 running'])
  })

  test('kills as kill -9 does: connections break, nobody listens, the catalog is not told but finds out', async () => {
    const { at } = instance('accountservice-1')
    const [host = '', port] = at.split(':')
    const open = connect({ host, port: Number(port) })
    let code = ''
    open.on('error', (error: NodeJS.ErrnoException) => {
      code = error.code ?? ''
    })
    // An answer proves that the instance, and not only the kernel, has the connection.
    open.write('GET /health HTTP/1.1\r\nHost: x\r\n\r\n')
    await new Promise((resolve) => open.once('data', resolve))
    expect(await fleet.kill('accountservice')).toEqual(['accountservice-1'])
    await waitFor('the connection breaks', () => code === 'ECONNRESET')
    expect(await passing('accountservice')).toHaveLength(3)
    await expect(fetch(`http://${at}/health`)).rejects.toThrow()
    expect(listed()[0]).toBe('accountservice-1 killed')
    await waitFor('its checks tell', async () => (await passing('accountservice')).length === 2)
  })

  test('kills one after the other, and says so when there is none left', async () => {
    expect(await fleet.kill('quotes-service')).toEqual(['quotes-service-1'])
    expect(await fleet.kill('quotes-service')).toEqual(['quotes-service-2'])
    expect(await fleet.kill('quotes-service')).toEqual([])
  })

  test('makes one sick: 500 to all but /health, its siblings well', async () => {
    expect(await fleet.sick('accountservice')).toEqual(['accountservice-1'])
    const status = async (id: string, path: string, method?: string) => (await get(id, path, method)).status
    expect(await status('accountservice-1', '/accounts/10000')).toBe(500)
    expect(await status('accountservice-1', '/elsewhere', 'POST')).toBe(500)
    expect(await status('accountservice-1', '/health')).toBe(200)
    expect(await status('accountservice-2', '/accounts/10000')).toBe(200)
    expect(await fleet.sick('accountservice')).toEqual(['accountservice-2'])
  })

  test('heals the sick and starts the killed again, at the same address and under the same id', async () => {
    const { at } = instance('accountservice-1')
    await fleet.kill('accountservice')
    await fleet.sick('accountservice')
    expect(await fleet.heal()).toEqual(['accountservice-1', 'accountservice-2'])
    expect(listed().every((line) => line.endsWith(' running'))).toBe(true)
    expect((await get('accountservice-1', '/accounts/10000')).status).toBe(200)
    expect(instance('accountservice-1').at.split(':')[0]).toBe(at.split(':')[0])
    expect(await passing('accountservice')).toContain(`accountservice-1 ${instance('accountservice-1').at}`)
    expect(await fleet.heal()).toEqual([])
  })

  test('scaling replaces the killed in low slots and clears them away in high ones', async () => {
    await fleet.kill('accountservice')
    await fleet.scale('accountservice', 2)
    expect(listed().slice(0, 2)).toEqual(['accountservice-1 running', 'accountservice-2 running'])
    await fleet.kill('accountservice')
    await fleet.kill('accountservice')
    await fleet.scale('accountservice', 1)
    expect(listed()[0]).toBe('accountservice-1 running')
    expect(await passing('accountservice')).toHaveLength(1)
  })

  test('commands given at the same time are done one after the other', async () => {
    await Promise.all([
      fleet.scale('accountservice', 6),
      fleet.kill('accountservice'),
      fleet.scale('accountservice', 2),
      fleet.heal(),
    ])
    expect(listed().slice(0, 2)).toEqual(['accountservice-1 running', 'accountservice-2 running'])
    expect(await passing('accountservice')).toHaveLength(2)
  })

  test('that was deregistered by somebody else registers again', async () => {
    await fetch(`${catalog.url}/v1/agent/service/deregister/quotes-service-1`, { method: 'PUT' })
    expect(await passing('quotes-service')).toHaveLength(1)
    await waitFor('its next beat tells it', async () => (await passing('quotes-service')).length === 2)
  })

  test('closes when the catalog has gone before it', async () => {
    await catalog.close()
    await fleet.close()
    expect(fleet.list()).toEqual([])
  })

  test('that cannot register does not start, and says why', async () => {
    await expect(startFleet({ catalogUrl: 'http://127.0.0.1:1', proxyUrl: 'http://127.0.0.1:1' })).rejects.toThrow(
      /ECONNREFUSED/,
    )
  })
})
