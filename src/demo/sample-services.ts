/**
 * What do the sample services answer? `accountservice` looks up an account and asks `quotes-service` for a quote, as
 * one microservice asks another: by name, through the proxy. Pure apart from that call.
 */

export interface Reply {
  readonly status: number
  readonly body: unknown
}

/** One request as a service sees it; only GET and HEAD reach it. */
export interface Ask {
  readonly path: string
  /** The instance that answers, as `servedBy` shows it. */
  readonly servedBy: string
}

export type Service = (ask: Ask) => Reply | Promise<Reply>

export interface Quote {
  readonly quote: string
  readonly ipAddress: string
  readonly language: string
}

/** Fetches a quote; rejects when there is none to be had. */
export type FetchQuote = () => Promise<Quote>

const firstAccount = 10_000
const lastAccount = 10_099

const quotes = [
  'A boat that rights itself needs no applause.',
  'The wind takes no orders.',
  'Most of the work is done by the part under water.',
  'Trim the sail you have.',
  'Ballast looks like waste until it blows.',
  'Even a good captain cannot argue with the tide.',
  'Reef early and brag late.',
  'Two hands, one rope, no hurry.',
  'A straight wake is made of small corrections.',
  'Share the load and the deck stays dry.',
]

/** Answers `GET /accounts/10000` … `10099`. */
export function accountService(fetchQuote: FetchQuote): Service {
  return async ({ path, servedBy }) => {
    const [, digits] = /^\/accounts\/(\d{1,9})$/.exec(path) ?? []
    const id = Number(digits)
    if (!(id >= firstAccount && id <= lastAccount)) {
      return notFound(`nothing at ${path}: try /accounts/${firstAccount} to /accounts/${lastAccount}`)
    }
    const name = `Person_${id - firstAccount}`
    return { status: 200, body: { id: String(id), name, servedBy, quote: await quoteOrFallback(fetchQuote) } }
  }
}

/** Answers `GET /api/quote`, one quote after the other. A query such as `?strength=4` is accepted and changes nothing. */
export function quotesService(): Service {
  let next = 0
  return ({ path, servedBy }) => {
    if (path !== '/api/quote') return notFound(`nothing at ${path}: try /api/quote`)
    const quote = quotes[next++ % quotes.length]
    return { status: 200, body: { quote, ipAddress: servedBy, language: 'en' } }
  }
}

/** Reads what quotes-service answered; null when it is no quote. */
export function parseQuote(text: string): Quote | null {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    return null
  }
  if (typeof json !== 'object' || json === null) return null
  const { quote, ipAddress, language } = json as Record<string, unknown>
  if (typeof quote !== 'string' || typeof ipAddress !== 'string' || typeof language !== 'string') return null
  return { quote, ipAddress, language }
}

/** An account without a quote is still an account. */
async function quoteOrFallback(fetchQuote: FetchQuote): Promise<Quote> {
  try {
    return await fetchQuote()
  } catch (error) {
    const why = error instanceof Error ? error.message : 'unknown'
    return { quote: `Fallback, as quotes-service gave no answer: ${why}`, ipAddress: 'fallback', language: 'en' }
  }
}

function notFound(error: string): Reply {
  return { status: 404, body: { error } }
}
