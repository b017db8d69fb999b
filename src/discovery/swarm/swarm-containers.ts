/** Which endpoints do the containers of an Engine name that is in no swarm? Pure. */

import type { Container } from './engine-answers.ts'
import { assembly, nameOf, portOf, reachedOn, type SwarmRules } from './swarm-rules.ts'
import type { Decoded } from './swarm-tasks.ts'

/** How Compose names what a container is a replica of. */
const COMPOSE_SERVICE = 'com.docker.compose.service'

/** A container that was stopped is absent: it is still there, and so is its service. Never throws. */
export function decodePlain(containers: readonly Container[], rules: SwarmRules): Decoded {
  const all = assembly(rules)
  for (const container of containers) {
    const { labels, name } = container
    const port = portOf([labels], rules.label)
    if (port.kind === 'none') continue
    const composed = labels[COMPOSE_SERVICE]
    const service = nameOf([labels], typeof composed === 'string' && composed !== '' ? composed : name)
    if (!all.service(service)) continue
    if (port.kind === 'bad') all.note(service, 'bad-port', name, port.reason)
    const at = reachedOn(container.networks, rules.network, null)
    all.instance(service, name || container.id.slice(0, 12), at, port, troubleOf(container))
  }
  return { ...all.done(), unsettled: [] }
}

function troubleOf({ state, health }: Container): string | null {
  if (state !== 'running') return `its container is ${STATES.has(state) ? state : 'not running'}`
  if (health === 'unhealthy') return 'its container is unhealthy'
  return health === 'starting' ? 'its health check has not passed yet' : null
}

const STATES = new Set(['created', 'restarting', 'removing', 'paused', 'exited', 'dead'])
