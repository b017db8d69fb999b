/**
 * One instance of a sample service of the demo, for a container of a test: `swarm-sample.ts SERVICE PORT PROXY_URL`. It
 * listens on all of its addresses and shows the one on the overlay as `servedBy`.
 */

import { Agent, createServer } from 'node:http'
import { networkInterfaces } from 'node:os'
import { send } from '../../src/demo/http-client.ts'
import { accountService, parseQuote, quotesService } from '../../src/demo/sample-services.ts'

const [service, port, proxyUrl] = process.argv.slice(2)

const agent = new Agent()
const answer =
  service === 'accountservice'
    ? accountService(async () => {
        const url = `${proxyUrl}/quotes-service/api/quote?strength=4`
        const { status, text } = await send({ method: 'GET', url, timeoutMs: 2000, agent })
        const quote = status === 200 ? parseQuote(text) : null
        if (quote === null) throw new Error(`no quote, but ${status}: ${text}`)
        return quote
      })
    : quotesService()

const addresses = Object.values(networkInterfaces()).flatMap((each) => each ?? [])
const servedBy = addresses.find(({ address }) => address.startsWith('10.77.'))?.address ?? 'nowhere'

createServer(async (request, response) => {
  const [path = '/'] = (request.url ?? '/').split('?')
  const { status, body } = path === '/health' ? { status: 200, body: 'well' } : await answer({ path, servedBy })
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}).listen(Number(port))
