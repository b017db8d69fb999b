/**
 * Which route does a host and a path belong to? Pure; a search over sorted texts, whatever the number of routes.
 *
 * The rule is fabio's, with its matcher `prefix`: a path belongs to the longest route that it starts with, be it in the
 * middle of a segment (`/foo` has `/foobar`). Routes of the very host come first, then those of `*.` and a part of it, the
 * longer part before the shorter, then those of any host; each list is gone through before the next.
 */

/** What becomes of the path on its way to an endpoint. */
export interface Way {
  readonly strip: string
  readonly prepend: string
}

export interface TagRoute {
  /** What it is called, in the balancer and everywhere: host and path. No service has a slash in its name. */
  readonly name: string
  readonly host: string
  readonly path: string
  /** Each once; there is one at least. */
  readonly ways: readonly Way[]
  /** Which of them an endpoint wants; null: there is only one. */
  readonly wayOf: ReadonlyMap<string, Way> | null
}

export interface RouteTable {
  readonly size: number
  /** False: the host of a request does not matter. */
  readonly hasHosts: boolean
  /**
   * @param host as a request has it
   * @param path decoded; what follows a question mark does not matter
   */
  find(host: string, path: string): TagRoute | null
}

/** No claim has a longer one, and a client shall not make us look at every part of what it sent. */
const maxHostLength = 255

export function routeTable(routes: readonly TagRoute[]): RouteTable {
  const byHost = new Map<string, TagRoute[]>()
  for (const route of routes) {
    const list = byHost.get(route.host)
    if (list === undefined) byHost.set(route.host, [route])
    else list.push(route)
  }
  const lists = new Map([...byHost].map(([host, list]) => [host, prefixList(list)]))
  const hasWildcards = [...lists.keys()].some((host) => host.startsWith('*'))
  const ofAnyHost = lists.get('') ?? null
  const hasHosts = lists.size > (ofAnyHost === null ? 0 : 1)

  function ofHost(sent: string, path: string): TagRoute | null {
    const host = sent.length > maxHostLength ? '' : normalHost(sent)
    const own = host === '' ? undefined : lists.get(host)
    const found = own === undefined ? null : longest(own, path)
    if (found !== null || !hasWildcards) return found
    for (let dot = host.indexOf('.'); dot >= 0; dot = host.indexOf('.', dot + 1)) {
      const list = lists.get(`*${host.slice(dot)}`)
      const route = list === undefined ? null : longest(list, path)
      if (route !== null) return route
    }
    const every = lists.get('*')
    return every === undefined ? null : longest(every, path)
  }

  return {
    size: routes.length,
    hasHosts,
    find: (host, path) =>
      (hasHosts ? ofHost(host, path) : null) ?? (ofAnyHost === null ? null : longest(ofAnyHost, path)),
  }
}

function normalHost(host: string): string {
  const lower = host.toLowerCase()
  return lower.endsWith(':80') ? lower.slice(0, -3) : lower
}

interface PrefixList {
  readonly routes: readonly TagRoute[]
  /** Of each route, the place of the longest other one that it starts with; -1: there is none. */
  readonly shorter: Int32Array
}

function prefixList(unsorted: readonly TagRoute[]): PrefixList {
  const routes = [...unsorted].sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0))
  const shorter = new Int32Array(routes.length)
  for (const [at, { path }] of routes.entries()) {
    let candidate = at - 1
    while (candidate >= 0 && !path.startsWith((routes[candidate] as TagRoute).path))
      candidate = shorter[candidate] ?? -1
    shorter[at] = candidate
  }
  return { routes, shorter }
}

/**
 * Whatever `path` starts with sorts before it, and so does all that lies between the two; all of that starts alike. So the
 * last route that does not sort behind `path` is the answer, or starts with it.
 */
function longest({ routes, shorter }: PrefixList, path: string): TagRoute | null {
  let low = 0
  let high = routes.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((routes[middle] as TagRoute).path <= path) low = middle + 1
    else high = middle
  }
  let at = low - 1
  while (at >= 0 && !path.startsWith((routes[at] as TagRoute).path)) at = shorter[at] ?? -1
  return at < 0 ? null : (routes[at] as TagRoute)
}
