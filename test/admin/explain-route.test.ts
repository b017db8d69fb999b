import { afterEach, expect, test } from 'vitest'
import { endpointView, explaining, serviceView, tableView } from './fixtures.ts'
import { closeAll, start } from './server-setup.ts'

afterEach(closeAll)

test('a service is explained beside the fields that scripts know', async () => {
  const response = await (await start()).get('/api/services/quotes')
  expect(await response.json()).toMatchObject({
    name: 'quotes',
    inCatalog: true,
    pickSpread: 1,
    endpoints: [{ endpoint: '10.0.0.1:80' }, { endpoint: '10.0.0.1:81' }],
    absent: [{ instance: 'q-3' }],
    verdict: '1 of 3 instances gets requests: 1 is ejected, 1 fails a check.',
    concerns: [],
    readAgoMs: null,
    instances: [{ instance: 'i-80' }, { instance: 'i-81' }, { instance: 'q-3', endpoint: null }],
  })
})

test('of a service that there is not it says why, what was meant, and what there is', async () => {
  const names = Array.from({ length: 23 }, (_, at) => `s-${at}`)
  const { get } = await start({
    view: () => tableView(...names.map((name) => serviceView(name, { endpoints: [endpointView(80)] }))),
    explaining: {
      ...explaining,
      unknown: () => ({ because: 'excluded', rule: 's*', text: 'it is left out by "s*"', nearest: 's-1' }),
    },
  })
  const response = await get('/api/services/s-')
  expect(response.status).toBe(404)
  expect(await response.json()).toMatchObject({
    service: 's-',
    detail: 'No such service in the routing table: it is left out by "s*". Did you mean s-1?',
    because: 'excluded',
    rule: 's*',
    nearest: 's-1',
    services: names.slice(0, 20),
    moreServices: 3,
  })
})

test('nobody looks at all services to tell of one', async () => {
  const { get } = await start({
    viewService: (name) => serviceView(name, { endpoints: [endpointView(80)] }),
    view: () => {
      throw new Error('the whole table')
    },
  })
  expect((await get('/api/services/web')).status).toBe(200)
})
