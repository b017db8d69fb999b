import { describe, expect, test } from 'vitest'
import { accountService, parseQuote, quotesService } from '../../src/demo/sample-services.ts'

const quote = { quote: 'Q', ipAddress: '127.0.0.41', language: 'en' }
const accounts = accountService(async () => quote)

describe('accountservice', () => {
  test.each([
    ['10000', 'Person_0'],
    ['10042', 'Person_42'],
    ['10099', 'Person_99'],
  ])('knows account %s as %s, says who answers, and adds a quote', async (id, name) => {
    const { status, body } = await accounts({ path: `/accounts/${id}`, servedBy: '127.0.0.11' })
    expect(status).toBe(200)
    expect(JSON.stringify(body)).toBe(JSON.stringify({ id, name, servedBy: '127.0.0.11', quote }))
  })

  test.each([
    '/accounts/9999',
    '/accounts/10100',
    '/accounts/',
    '/accounts/1e4',
    '/accounts/10000/',
    '/',
    '/accounts/-1',
  ])('has nothing at %s and says where there is something', async (path) => {
    const { status, body } = await accounts({ path, servedBy: 'x' })
    expect([status, JSON.stringify(body)]).toEqual([404, expect.stringContaining('/accounts/10000')])
  })

  test('answers without a quote too, and says that this one is a fallback and why', async () => {
    const lonely = accountService(async () => {
      throw new Error('no answer in 1000 ms')
    })
    const { status, body } = await lonely({ path: '/accounts/10000', servedBy: 'x' })
    expect([status, body]).toMatchObject([
      200,
      { quote: { quote: expect.stringMatching(/^Fallback.*no answer in 1000 ms/), ipAddress: 'fallback' } },
    ])
  })
})

describe('quotes-service', () => {
  test('answers one quote after the other, with its own address and a language', async () => {
    const answer = quotesService()
    const seen = new Set<string>()
    for (let round = 0; round < 30; round++) {
      const { status, body } = await answer({ path: '/api/quote', servedBy: '127.0.0.41' })
      const said = parseQuote(JSON.stringify(body))
      expect([status, said?.ipAddress, said?.language]).toEqual([200, '127.0.0.41', 'en'])
      seen.add(said?.quote ?? '')
    }
    expect(seen.size).toBeGreaterThan(5)
  })

  test('has nothing elsewhere', async () => {
    expect((await quotesService()({ path: '/api', servedBy: 'x' })).status).toBe(404)
  })
})

test.each(['', 'null', '[]', '{}', '{"quote":1,"ipAddress":"x","language":"en"}', 'oops'])('%j is no quote', (text) => {
  expect(parseQuote(text)).toBeNull()
})
