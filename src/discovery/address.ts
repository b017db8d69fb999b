/** Is this text an address that one can connect to, and is it the same place as another text? */

/** RFC 1035 section 2.3.4 */
const MAX_HOST_LENGTH = 253
/** Letters, digits, hyphens, dots; the underscore too, which names in internal zones do have. */
const HOST = /^[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?\.?$/
const IPV6 = /^([0-9a-f:.]*:[0-9a-f:.]*)(%[a-z0-9_.-]+)?$/

/**
 * The one spelling of an IP address or host name: lower case, IPv6 without brackets and in its short form (RFC 5952),
 * so that equal places are equal texts.
 * @returns null for what is none: empty, too long, with white space, control or any other foreign characters, a
 *   malformed IPv6 address, or an address that means "any" (`0.0.0.0`, `::`), which names no place
 */
export function normalAddress(text: string): string | null {
  if (text.length > MAX_HOST_LENGTH + 2) return null
  const lower = text.toLowerCase()
  const bare = lower.startsWith('[') && lower.endsWith(']') ? lower.slice(1, -1) : lower
  if (bare.includes(':')) return normalIpv6(bare)
  if (bare !== lower || bare.length > MAX_HOST_LENGTH || bare === '0.0.0.0') return null
  return HOST.test(bare) ? bare : null
}

function normalIpv6(text: string): string | null {
  const [, digits, zone = ''] = IPV6.exec(text) ?? []
  if (digits === undefined) return null
  try {
    const { hostname } = new URL(`http://[${digits}]`)
    return hostname === '[::]' ? null : `${hostname.slice(1, -1)}${zone}`
  } catch {
    return null
  }
}

/** True for an integer from 1 to 65535. */
export function isPort(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= 65_535
}
