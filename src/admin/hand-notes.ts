/** A person has said something of an endpoint: what should they know of what is true now? */

import type { Hands } from '../balancer/balancer.ts'
import type { EndpointId } from '../balancer/endpoint.ts'
import type { EndpointView, ServiceView } from '../balancer/view.ts'
import { durationText, ejectedText } from './words.ts'

export function endpointOf(service: ServiceView | null, endpoint: string): EndpointView | undefined {
  return service?.endpoints.find((each) => each.endpoint.id === endpoint)
}

/**
 * What a person might not expect of what is true now, in clauses; nothing when all is as they said.
 * @param service as it is after the word
 */
export function notesOn(
  action: keyof Hands,
  endpoint: EndpointId,
  result: 'done' | 'unchanged',
  service: ServiceView | null,
): readonly string[] {
  const view = endpointOf(service, endpoint)
  const isUnchanged = result === 'unchanged'
  const notes: (string | null)[] = []
  switch (action) {
    case 'drain': {
      const drained = view?.drained ?? service?.drainedAway.find((each) => each.endpoint === endpoint) ?? null
      if (isUnchanged && drained !== null)
        notes.push(`it was drained already, by ${drained.by}, ${durationText(drained.agoMs)} ago`)
      notes.push(
        view === undefined ? 'the catalog has it out of rotation now: should it come back, it stays drained' : null,
      )
      if (view !== undefined && view.inFlight > 0) notes.push(`in flight on it, and left to finish: ${view.inFlight}`)
      notes.push(whoIsLeft(service, 'drained'))
      break
    }
    case 'undrain':
      notes.push(view === undefined ? 'the catalog has it out of rotation now' : outFor(view))
      break
    case 'eject':
      notes.push(isUnchanged ? 'a second word does not make it longer: drain keeps it out for good' : null)
      if (view !== undefined) notes.push(outFor(view), drainedToo(view))
      notes.push(whoIsLeft(service, 'ejected'))
      break
    case 'restore':
      if (view !== undefined) notes.push(drainedToo(view))
      break
    default:
      return action satisfies never
  }
  return notes.filter((note) => note !== null)
}

/** When nobody is in rotation any more: what becomes of requests. */
function whoIsLeft(service: ServiceView | null, by: 'drained' | 'ejected'): string | null {
  const others = service?.endpoints.filter(({ state }) => state !== 'drained') ?? []
  if (others.length === 0) return 'no endpoint of the service is left: requests are answered 503 now'
  if (others.some(({ state, ejectedForMs }) => state === 'healthy' || ejectedForMs === 0)) return null
  const cure = by === 'ejected' ? '; drain it to keep them away' : ''
  return `every endpoint that is not drained is ejected: requests go to them all the same (fail open)${cure}`
}

function outFor({ reason, ejectedForMs, state, drained }: EndpointView): string | null {
  if (reason === null || (state === 'healthy' && drained === null)) return null
  if (ejectedForMs === null)
    return state === 'probing' ? `it is ${ejectedText(reason)}, and a probe is on its way` : null
  const when =
    ejectedForMs > 0 ? `a probe request decides in ${durationText(ejectedForMs)}` : 'the next request is its probe'
  return `it is ${ejectedText(reason)}; ${when}`
}

function drainedToo({ drained }: EndpointView): string | null {
  return drained === null ? null : `it is drained by ${drained.by}: no request comes until it is undrained`
}
