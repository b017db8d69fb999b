/** Which of the two text formats does the scraper want? RFC 9110 section 12.5.1, as far as two formats need it. */

const openMetrics = 'application/openmetrics-text'
const plainText = 'text/plain'

/**
 * True when the Accept header names OpenMetrics and ranks it at least as high as the plain text format. Wildcards do
 * not ask for it: what every client reads is the plain format.
 */
export function prefersOpenMetrics(accept: string | undefined): boolean {
  let wanted = 0
  let plain = 0
  for (const range of (accept ?? '').split(',')) {
    const [type = '', ...parameters] = range.split(';').map((part) => part.trim().toLowerCase())
    if (type === openMetrics) wanted = Math.max(wanted, quality(parameters))
    else if (type === plainText) plain = Math.max(plain, quality(parameters))
  }
  return wanted > 0 && wanted >= plain
}

/** 1 when none is given, 0 when it is not a number. */
function quality(parameters: readonly string[]): number {
  const given = parameters.find((parameter) => parameter.startsWith('q='))
  if (given === undefined) return 1
  const value = Number(given.slice(2))
  return value >= 0 && value <= 1 ? value : 0
}
