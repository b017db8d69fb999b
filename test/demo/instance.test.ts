import { Agent } from 'node:http'
import { expect, test } from 'vitest'
import { startCatalogServer } from '../../src/demo/catalog-server.ts'
import { startInstance } from '../../src/demo/instance.ts'

test('where its address does not exist, as on macOS, an instance shares 127.0.0.1 and tells itself apart by its port', async () => {
  const catalog = await startCatalogServer()
  const agent = new Agent()
  const answer = () => ({ status: 200, body: {} })
  // An address of the documentation range: no machine has it.
  const address = '203.0.113.7'
  const instance = await startInstance({ service: 's', id: 's-1', address, answer, catalogUrl: catalog.url, agent })
  expect(instance).toMatchObject({ address: '127.0.0.1', servedBy: `127.0.0.1:${instance.port}` })
  const services = await (await fetch(`${catalog.url}/v1/agent/services`)).json()
  expect(services).toMatchObject({ 's-1': { Address: '127.0.0.1', Port: instance.port } })
  await instance.stop()
  await catalog.close()
})

test('an answer that throws is a 500 of that request alone', async () => {
  const catalog = await startCatalogServer()
  const answer = ({ path }: { path: string }) => {
    if (path === '/bad') throw new Error('broken')
    return { status: 200, body: 'fine' }
  }
  const agent = new Agent()
  const where = { address: '127.0.0.19', catalogUrl: catalog.url, agent }
  const instance = await startInstance({ service: 's', id: 's-1', answer, ...where })
  const get = async (path: string) => {
    const response = await fetch(`http://${instance.address}:${instance.port}${path}`)
    return [response.status, await response.json()]
  }
  expect(await get('/bad')).toEqual([500, { error: 'broken' }])
  expect(await get('/good')).toEqual([200, 'fine'])
  await instance.stop()
  await catalog.close()
})
