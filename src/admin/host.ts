/**
 * Was this request meant for this listener?
 *
 * A page in a browser on this machine can have its own host name resolved to 127.0.0.1 and then read what the admin
 * port says (DNS rebinding). Such a request carries the foreign name in its Host header, so a listener on loopback
 * only answers to names that cannot be rebound: loopback names and IP addresses.
 */

import { isIP } from 'node:net'

/** True for `127.0.0.0/8` and `::1`, also as an IPv4-mapped address. */
export function isLoopback(address: string): boolean {
  return address === '::1' || /^(::ffff:)?127\./i.test(address)
}

/** True when the Host header is a loopback name or an IP address. Only a client that is no browser sends none. */
export function isLocalHost(host: string | undefined): boolean {
  if (host === undefined) return true
  const name = hostName(host)
  return name === 'localhost' || name.endsWith('.localhost') || isIP(name) !== 0
}

/** Without port, brackets and the root's dot; lower case. */
function hostName(host: string): string {
  const bracketed = /^\[([^\]]*)\](?::\d*)?$/.exec(host)
  if (bracketed !== null) return bracketed[1] ?? ''
  return host.replace(/:\d*$/, '').replace(/\.$/, '').toLowerCase()
}
