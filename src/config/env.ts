/**
 * What does the environment say? `EVENKEEL_*` names keys of the config; `CONSUL_*` is read as Consul's own tools read it
 * (https://developer.hashicorp.com/consul/commands#environment-variables and `api.DefaultConfig` of its Go client).
 */

import { readBounded, reasonOf } from './file.ts'
import { environmentName, fixedPaths, type KeyNode, nearest } from './keys.ts'
import { type Problem, problemAt, problemOf } from './problem.ts'
import { parseSetting, type Setting } from './settings.ts'

type Environment = Readonly<Record<string, string | undefined>>

const prefix = 'EVENKEEL_'

/** The variable that names the config file. */
export const configVariable = 'EVENKEEL_CONFIG'

/** All settings of the environment, weakest first. An empty variable counts as absent, as with Consul. */
export function readEnvironment(
  env: Environment,
  root: KeyNode,
  fileAddress: string,
  problems: Problem[],
): readonly Setting[] {
  return [...consulSettings(env, fileAddress, problems), ...ownSettings(env, root, problems)]
}

const consul = ['discovery', 'consul'] as const

/** @param fileAddress the address that holds when the environment names none: of the file, or the default */
function consulSettings(env: Environment, fileAddress: string, problems: Problem[]): Setting[] {
  const settings: Setting[] = []
  const copy = (name: string, ...path: string[]) => {
    if (env[name]) settings.push({ path: [...consul, ...path], value: env[name], from: from(name) })
  }
  settings.push(...consulAddress(env, fileAddress, problems))
  copy('CONSUL_HTTP_TOKEN', 'token')
  settings.push(...consulTokenFile(env, problems))
  copy('CONSUL_CACERT', 'tls', 'ca')
  copy('CONSUL_CLIENT_CERT', 'tls', 'cert')
  copy('CONSUL_CLIENT_KEY', 'tls', 'key')
  copy('CONSUL_NAMESPACE', 'namespace')
  return settings
}

/**
 * `CONSUL_HTTP_ADDR` is `host:port` or a URL. `CONSUL_HTTP_SSL=true` asks for https whatever the scheme says, and false
 * asks for nothing: Consul's client never goes back to http.
 */
function consulAddress(env: Environment, fileAddress: string, problems: Problem[]): Setting[] {
  const path = [...consul, 'address']
  const given = env.CONSUL_HTTP_ADDR
  const ssl = env.CONSUL_HTTP_SSL
  const secure = ssl ? goBoolean(ssl) : false
  if (secure === null) {
    // Consul only warns of it. Here it would mean a token sent in clear that was meant to be encrypted.
    problems.push({
      keyPath: '',
      found: JSON.stringify(ssl),
      message: 'must be true or false',
      from: from('CONSUL_HTTP_SSL'),
    })
  }
  if (given && /^unix:\/\//i.test(given)) {
    const message = 'unix sockets are not supported, must be host:port or an http:// or https:// URL'
    problems.push(problemAt(path, given, message, from('CONSUL_HTTP_ADDR')))
    return []
  }
  const base = given ? (given.includes('://') ? given : `http://${given}`) : fileAddress
  const name = given ? 'CONSUL_HTTP_ADDR' : 'CONSUL_HTTP_SSL'
  if (secure === true) return [{ path, value: base.replace(/^http:\/\//i, 'https://'), from: from(name) }]
  return given ? [{ path, value: base, from: from(name) }] : []
}

/** The file wins over `CONSUL_HTTP_TOKEN`, unless it is empty; its surrounding blanks do not count. */
function consulTokenFile(env: Environment, problems: Problem[]): Setting[] {
  const name = 'CONSUL_HTTP_TOKEN_FILE'
  const file = env[name]
  if (!file) return []
  try {
    const value = readBounded(file, 64 * 1024)?.trim()
    if (value === undefined) throw new Error('it is larger than 64KiB, which no token is')
    return value === '' ? [] : [{ path: [...consul, 'token'], value, from: from(name) }]
  } catch (error) {
    problems.push(problemOf(from(name), `cannot read ${file}: ${reasonOf(error)}`))
    return []
  }
}

/** As Go's `strconv.ParseBool`. */
function goBoolean(text: string): boolean | null {
  if (['1', 't', 'T', 'TRUE', 'true', 'True'].includes(text)) return true
  return ['0', 'f', 'F', 'FALSE', 'false', 'False'].includes(text) ? false : null
}

function ownSettings(env: Environment, root: KeyNode, problems: Problem[]): Setting[] {
  const known = new Map([...fixedPaths(root)].map(([path, node]) => [environmentName(path), { path, node }]))

  const settings: Setting[] = []
  for (const [name, text] of Object.entries(env)) {
    if (!name.startsWith(prefix) || name === configVariable || !text || isServiceLink(name, text)) continue
    const key = known.get(name.slice(prefix.length))
    if (key === undefined) {
      problems.push(problemOf(from(name), `unknown variable, ${adviceOn(name, [...known.keys()])}`))
      continue
    }
    const parsed = parseSetting(text, key.node)
    if (parsed.ok) settings.push({ path: key.path, value: parsed.value, from: from(name) })
    else problems.push(problemAt(key.path, text, parsed.message, from(name)))
  }
  // A whole section first, so that a variable for one of its keys wins over it.
  return settings.sort((a, b) => a.path.length - b.path.length)
}

/** @param keys all keys as variables, without the prefix */
function adviceOn(name: string, keys: readonly string[]): string {
  const word = name.slice(prefix.length)
  // `EVENKEEL_PORT`: not misspelled, but its section was left out.
  const near = nearest(word, [...keys, 'CONFIG']) ?? keys.find((key) => key.endsWith(`_${word}`))
  return near === undefined ? 'config/evenkeel.yaml lists the keys' : `did you mean ${prefix}${near}?`
}

/**
 * Kubernetes gives every container variables about the Services beside it. One that is named evenkeel, or evenkeel-admin,
 * makes names of our own form (https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables).
 */
function isServiceLink(name: string, value: string): boolean {
  if (/_PORT(_\d+_(TCP|UDP|SCTP))?$/.test(name) && /^(tcp|udp|sctp):\/\//.test(value)) return true
  return /^EVENKEEL(_[A-Z0-9_]+)?_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$/.test(
    name,
  )
}

function from(name: string): string {
  return `environment ${name}`
}
