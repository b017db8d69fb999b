/** Which servers of ZooKeeper are meant, and below which path? Read as ZooKeeper's own client reads it. */

import { isPort, normalAddress } from '../address.ts'

export interface Ensemble {
  readonly servers: readonly { readonly address: string; readonly port: number }[]
  /** Every path is below it; empty, or starts with a slash and does not end with one. */
  readonly chroot: string
}

const DEFAULT_PORT = 2181

/** `zk1:2181,zk2:2181/below`; the port may be left out. Null: it is none. */
export function parseConnectString(text: string): Ensemble | null {
  const slash = text.indexOf('/')
  const chroot = slash < 0 || slash === text.length - 1 ? '' : text.slice(slash)
  if (chroot !== '' && !/^(\/[^/\s]+)+$/.test(chroot)) return null
  const servers: { address: string; port: number }[] = []
  for (const place of (slash < 0 ? text : text.slice(0, slash)).split(',')) {
    const [, v6, name = v6 ?? '', digits] = /^(?:\[([^\]]+)\]|([^:[\]\s]+))(?::(\d{1,5}))?$/.exec(place.trim()) ?? []
    const address = normalAddress(name)
    const port = digits === undefined ? DEFAULT_PORT : Number(digits)
    if (address === null || !isPort(port)) return null
    servers.push({ address, port })
  }
  return { servers, chroot }
}
