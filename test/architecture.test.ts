/**
 * Does each part import only what DESIGN.md lets it? The table of that page, as data, and a check that reads the imports
 * out of the source text. `violations` is pure, and the second half proves that it finds a breach of every rule.
 */

import { readdirSync, readFileSync } from 'node:fs'
import { posix } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'

/** Patterns: `balancer/` a folder, `balancer/endpoint.ts` a file, `npm:zod`, `node:net`, `node:` any of Node's. */
interface Rule {
  /** What may be imported for its values, and so for its types. */
  readonly values: readonly string[]
  /** What may be imported by `import type` only. */
  readonly types?: readonly string[]
  /** What single files may import besides. */
  readonly files?: Readonly<Record<string, readonly string[]>>
}

const parts = [
  'balancer/',
  'discovery/',
  'proxy/',
  'admin/',
  'config/',
  'workers/',
  'doctor/',
  'demo/',
  'run/',
  'commands/',
]
const everything: Rule = {
  values: [...parts, 'app.ts', 'following.ts', 'sources.ts', 'source-rules.ts', 'log.ts', 'version.ts', 'node:'],
  types: ['npm:pino'],
}

const rules: Readonly<Record<string, Rule>> = {
  'balancer/': { values: ['balancer/'] },
  'discovery/': {
    // Events: the client is aborted through an emitter, and one signal has a listener for every watch.
    values: ['discovery/', 'balancer/endpoint.ts', 'node:timers/promises', 'node:events'],
    // Admission looks at what traffic shows.
    types: ['npm:pino', 'balancer/view.ts'],
    files: {
      'discovery/consul/consul-source.ts': ['npm:consul', 'node:http', 'node:https', 'node:net'],
      'discovery/consul/agent-client.ts': ['node:http', 'node:https'],
      'discovery/etcd/etcd-client.ts': ['node:http', 'node:https'],
      'discovery/eureka/eureka-client.ts': ['node:http', 'node:https'],
      'discovery/swarm/engine-client.ts': ['node:http', 'node:https'],
      'discovery/file/file-document.ts': ['npm:yaml', 'config/yaml.ts'],
      'discovery/file/file-changes.ts': ['node:fs', 'node:fs/promises', 'node:path'],
      'discovery/file/file-source.ts': ['node:fs', 'node:fs/promises'],
      'discovery/dns/dns-connections.ts': ['node:net'],
      'discovery/dns/dns-resolvers.ts': ['node:dns', 'node:net'],
      'discovery/dns/dns-client.ts': ['node:crypto', 'node:dgram', 'node:net'],
      // A time to live is written as it is in the config.
      'discovery/push/push-entry.ts': ['config/units.ts'],
      'discovery/zookeeper/zookeeper-connection.ts': ['node:net'],
      'discovery/snapshot-disk.ts': ['node:fs', 'node:fs/promises', 'node:path', 'node:crypto'],
    },
  },
  'proxy/': {
    values: [
      ...['proxy/', 'balancer/balancer.ts', 'balancer/outcome.ts', 'balancer/endpoint.ts'],
      ...['node:net', 'node:tls', 'node:http', 'node:crypto', 'node:stream', 'node:timers'],
    ],
    types: ['balancer/observer.ts', 'balancer/view.ts', 'node:'],
    files: { 'proxy/engines/http-proxy.ts': ['npm:http-proxy'] },
  },
  // What runs in a browser.
  'admin/dashboard/': { values: ['admin/dashboard/', 'npm:lit-html', 'npm:lit-html/'] },
  'admin/': {
    values: ['admin/', 'discovery/untrusted-text.ts', 'node:http', 'node:net'],
    types: [...parts, 'node:', 'npm:pino'],
    files: {
      'admin/metrics.ts': ['npm:prom-client'],
      'admin/local-ports.ts': ['node:fs/promises'],
      'admin/permission.ts': ['node:crypto'],
      'admin/request-trail.ts': ['proxy/trail-code.ts'],
      // The name that somebody claims.
      'admin/hands.ts': ['discovery/untrusted-text.ts'],
      // What somebody says of an instance is judged where the rest of its words are.
      'admin/push.ts': ['discovery/push/push-entry.ts'],
      // esbuild in a checkout only.
      'admin/page.ts': ['npm:esbuild', 'node:crypto', 'node:fs/promises', 'node:url'],
    },
  },
  'config/': {
    values: ['config/', 'npm:zod', 'npm:yaml', 'node:fs', 'node:net', 'node:path'],
    types: parts,
    // A static endpoint is judged by the one who will read it.
    files: {
      'config/leaves.ts': [
        ...['static-source', 'dns/dns-message', 'dns/dns-resolvers', 'zookeeper/connect-string'].map(
          (name) => `discovery/${name}.ts`,
        ),
      ],
    },
  },
  'workers/': { values: ['workers/', 'node:cluster'], types: [...parts, 'npm:pino'] },
  'doctor/': {
    // What the proxy does is judged by its own rules: how it decodes, what it can route, whose fault an error is.
    values: [
      ...['doctor/', 'balancer/endpoint.ts', 'balancer/outcome.ts', 'proxy/request-path.ts', 'node:timers/promises'],
      ...['agent-client', 'consul-failure', 'consul-instances', 'consul-services'].map(
        (name) => `discovery/consul/${name}.ts`,
      ),
      ...['address', 'facts', 'glob', 'names', 'static-source'].map((name) => `discovery/${name}.ts`),
      'discovery/untrusted-text.ts',
    ],
    types: [
      ...['consul/consul-source', 'etcd/etcd-source', 'oddity', 'failure', 'source'].map(
        (name) => `discovery/${name}.ts`,
      ),
    ],
    // What a registry knows beside its catalog is read with its source's own parts.
    files: {
      'doctor/reading-source.ts': ['loop', 'oddity', 'until-aborted'].map((name) => `discovery/${name}.ts`),
      'doctor/registry-dns.ts': ['client', 'endpoints', 'failure', 'reader', 'resolvers', 'source'].map(
        (name) => `discovery/dns/dns-${name}.ts`,
      ),
      'doctor/registry-etcd.ts': ['client', 'entries', 'reader'].map((name) => `discovery/etcd/etcd-${name}.ts`),
      'doctor/registry-eureka.ts': ['client', 'xml'].map((name) => `discovery/eureka/eureka-${name}.ts`),
      'doctor/registry-zookeeper.ts': ['connection', 'source'].map(
        (name) => `discovery/zookeeper/zookeeper-${name}.ts`,
      ),
      'doctor/registry-file.ts': [
        ...['discovery/file/file-catalog.ts', 'discovery/file/file-document.ts', 'node:fs', 'node:fs/promises'],
      ],
      'doctor/probe.ts': ['node:http', 'node:net'],
      'doctor/address-kind.ts': ['node:net'],
    },
  },
  'demo/': everything,
  // What runs a service that does not register itself; the registrars do the registering.
  'run/': {
    values: [
      'run/',
      'discovery/',
      'node:child_process',
      'node:dgram',
      'node:dns/promises',
      'node:http',
      'node:net',
      'node:os',
    ],
    types: ['config/discovery-options.ts', 'npm:pino'],
  },
  'commands/': everything,
  'app.ts': everything,
  'following.ts': everything,
  'sources.ts': everything,
  'source-rules.ts': everything,
  'main.ts': everything,
  'log.ts': { values: ['npm:pino', 'node:', 'proxy/trail-code.ts'], types: parts },
  'version.ts': { values: ['node:fs'] },
}

/** Pure files: no clock, no chance, no world. They ask for such things in their parameters. */
const pure = [
  'balancer/',
  'proxy/request-path.ts',
  'proxy/request-rules.ts',
  'proxy/route-catalog.ts',
  'proxy/route-table.ts',
  'proxy/tag-routes.ts',
  'proxy/tagged-path.ts',
  'proxy/field-names.ts',
  'proxy/headers.ts',
  'proxy/own-text.ts',
  'proxy/trace-context.ts',
  'proxy/trail-code.ts',
  'proxy/engines/wire/request-head.ts',
  'proxy/engines/wire/response-head.ts',
  'proxy/engines/wire/field-lines.ts',
  'proxy/engines/wire/chunked-reader.ts',
  'proxy/engines/wire/spellings.ts',
  'proxy/retry.ts',
  'discovery/fabio-tags.ts',
  'discovery/consul/consul-instances.ts',
  'discovery/consul/consul-facts.ts',
  'discovery/etcd/etcd-entries.ts',
  'discovery/etcd/etcd-lease.ts',
  'discovery/etcd/etcd-messages.ts',
  'discovery/etcd/etcd-table.ts',
  'discovery/file/file-catalog.ts',
  'discovery/file/file-failure.ts',
  'discovery/dns/dns-message.ts',
  'discovery/dns/dns-endpoints.ts',
  'discovery/dns/dns-failure.ts',
  'discovery/push/push-entry.ts',
  'discovery/push/push-leases.ts',
  'discovery/zookeeper/jute.ts',
  'discovery/zookeeper/zookeeper-messages.ts',
  'discovery/zookeeper/zookeeper-failure.ts',
  'discovery/zookeeper/zookeeper-nodes.ts',
  'discovery/zookeeper/zookeeper-table.ts',
  'discovery/zookeeper/zookeeper-reads.ts',
  'discovery/swarm/engine-answers.ts',
  'discovery/swarm/engine-failure.ts',
  'discovery/swarm/swarm-pace.ts',
  'discovery/swarm/swarm-rules.ts',
  'discovery/swarm/swarm-tasks.ts',
  'discovery/swarm/swarm-containers.ts',
  'discovery/admission.ts',
  'discovery/doubt.ts',
  'discovery/merge.ts',
  'discovery/consul/registration-record.ts',
  'discovery/consul/failover.ts',
  'doctor/findings.ts',
  'doctor/findings-reach.ts',
  'doctor/findings-address.ts',
  'doctor/findings-checks.ts',
  'doctor/findings-service.ts',
  'doctor/findings-source.ts',
  'doctor/findings-registry.ts',
  'doctor/findings-eureka.ts',
  'doctor/findings-dns.ts',
  'doctor/findings-several.ts',
  'doctor/source-words.ts',
  'doctor/catalog-facts.ts',
  'commands/doctor-text.ts',
  'discovery/eureka/eureka-answer.ts',
  'discovery/eureka/eureka-record.ts',
  'discovery/eureka/eureka-xml.ts',
  'discovery/eureka/eureka-registry.ts',
  'discovery/eureka/eureka-instances.ts',
]
const world =
  /(?<![.\w])(Date|performance|setTimeout|setInterval|setImmediate|queueMicrotask|process|console|fetch|Math\.random|crypto)\b(?!\s*:)/

/** Who may import a composition root: what it composes may not know it. */
const roots: Readonly<Record<string, readonly string[]>> = {
  'main.ts': [],
  'app.ts': ['commands/', 'main.ts'],
  'following.ts': ['app.ts'],
  'sources.ts': ['app.ts', 'following.ts', 'commands/doctor-sources.ts'],
}

interface Import {
  /** A path below src/, `npm:zod` or `node:net`. */
  readonly target: string
  readonly typeOnly: boolean
}

/** All that is wrong with these files (path below src/ → text), a line each, naming the rule. */
function violations(files: ReadonlyMap<string, string>): string[] {
  const found: string[] = []
  const imports = new Map([...files].map(([file, text]) => [file, importsOf(file, text)] as const))
  for (const [file, list] of imports) {
    const [, rule] = Object.entries(rules).find(([pattern]) => matches(file, pattern)) ?? []
    if (rule === undefined) {
      found.push(`${file} is in no part that the table knows`)
      continue
    }
    for (const { target, typeOnly } of list) {
      const allowed = [...rule.values, ...(rule.files?.[file] ?? []), ...(typeOnly ? (rule.types ?? []) : [])]
      const importers = roots[target]
      if (importers !== undefined && !importers.some((pattern) => matches(file, pattern))) {
        found.push(`${file} imports ${target}, which composes it`)
      } else if (!allowed.some((pattern) => matches(target, pattern))) {
        found.push(`${file} may not import ${typeOnly ? 'types of ' : ''}${target}: it may import ${allowed.join(' ')}`)
      }
    }
    if (!pure.some((pattern) => matches(file, pattern))) continue
    const [, reached] = world.exec(masked(files.get(file) ?? '').code) ?? []
    if (reached !== undefined) found.push(`${file} is pure and may not use ${reached}`)
    for (const { target } of list.filter(({ target, typeOnly }) => /^n(pm|ode):/.test(target) && !typeOnly)) {
      found.push(`${file} is pure and may not import ${target}`)
    }
  }
  const graph = (wanted: (item: Import) => boolean) =>
    new Map([...imports].map(([file, list]) => [file, list.filter(wanted).map(({ target }) => target)]))
  for (const cycle of cycles(graph(({ typeOnly }) => !typeOnly))) {
    found.push(`import cycle: ${[...cycle, cycle[0]].join(' → ')}`)
  }
  for (const cycle of cycles(graph(() => true))) {
    if (new Set(cycle.map(partOf)).size > 1)
      found.push(`parts in a cycle of types: ${[...cycle, cycle[0]].join(' → ')}`)
  }
  return found
}

function matches(target: string, pattern: string): boolean {
  return target === pattern || (/[/:]$/.test(pattern) && target.startsWith(pattern))
}

function partOf(file: string): string {
  return file.split('/')[0] ?? file
}

function importsOf(file: string, text: string): Import[] {
  const { code, strings } = masked(text)
  const literal = (index: string | undefined) => strings[Number(index)] ?? ''
  // Without `type` in front of its braces an import is loaded, even if all it names are types (verbatimModuleSyntax).
  const statement = /(?<![.\w])(?:import|export)\s+(type\s+(?!from\b))?(?:[\w$*{][\w$*{},\s]*?\bfrom\s*)?'(\d+)'/g
  const call = /(?<![.\w])(?:import|require)\s*\(\s*(?:'(\d+)'|)/g
  return [
    ...[...code.matchAll(statement)].map(([, type, index]) => ({
      target: resolve(file, literal(index)),
      typeOnly: type !== undefined,
    })),
    ...[...code.matchAll(call)].map(([, index]) => ({
      target: index === undefined ? 'npm:(computed at run time)' : resolve(file, literal(index)),
      typeOnly: false,
    })),
  ]
}

function resolve(file: string, specifier: string): string {
  if (specifier.startsWith('node:')) return specifier
  return specifier.startsWith('.') ? posix.join(posix.dirname(file), specifier) : `npm:${specifier}`
}

/** The code with comments and regular expressions taken out, and each string replaced by `'its number'`. */
function masked(text: string): { readonly code: string; readonly strings: readonly string[] } {
  const strings: string[] = []
  const next =
    /\/\/.*|\/\*[\s\S]*?\*\/|'((?:\\.|[^'\\\n])*)'|"((?:\\.|[^"\\\n])*)"|`|[{}]|(?<=[(,=:[!&|?{};~+\-*%<>^]\s*|\breturn\s+|^\s*)\/(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\[\n])+\/\w*/gm
  // Of a template, what stands between `${` and its `}` is code; the depth of each such brace is kept.
  const template = /(?:\\.|\$(?!\{)|[^`\\$])*(`|\$\{|$)/gy
  const holes: number[] = []
  let [code, depth, at] = ['', 0, 0]
  const skipTemplate = (from: number): number => {
    template.lastIndex = from
    if (template.exec(text)?.[1] === '${') holes.push(depth)
    return template.lastIndex || text.length
  }
  for (;;) {
    next.lastIndex = at
    const match = next.exec(text)
    if (match === null) return { code: code + text.slice(at), strings }
    const [token, single, double] = match
    code += text.slice(at, match.index)
    at = match.index + token.length
    if (token === '{') depth += 1
    if (token === '`') at = skipTemplate(at)
    else if (token === '}' && holes.at(-1) === depth) {
      holes.pop()
      at = skipTemplate(at)
    } else if (token === '{' || token === '}') {
      code += token
      if (token === '}') depth -= 1
    } else if (single !== undefined || double !== undefined) code += `'${strings.push(single ?? double ?? '') - 1}'`
    else code += ' '
  }
}

/** Each group of files that reach one another, once. */
function cycles(graph: ReadonlyMap<string, readonly string[]>): string[][] {
  const found: string[][] = []
  const done = new Set<string>()
  const walk = (file: string, path: readonly string[]): void => {
    const start = path.indexOf(file)
    if (start >= 0) found.push(path.slice(start))
    if (start >= 0 || done.has(file)) return
    for (const target of graph.get(file) ?? []) walk(target, [...path, file])
    done.add(file)
  }
  for (const file of graph.keys()) walk(file, [])
  return found
}

test('the source keeps to the import table', () => {
  const root = fileURLToPath(new URL('../src/', import.meta.url))
  const names = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'))
  expect(names.length).toBeGreaterThan(20)
  const files = names.map((name) => [name.replaceAll('\\', '/'), readFileSync(`${root}${name}`, 'utf8')] as const)
  expect(violations(new Map(files))).toEqual([])
})

describe('the check finds', () => {
  test.each([
    ['a package in the balancer', 'balancer/a.ts', "import { z } from 'zod'", 'may not import npm:zod'],
    [
      'Node in the balancer, be it for a type',
      'balancer/a.ts',
      "import type { A } from 'node:net'",
      'types of node:net',
    ],
    ['another part in the balancer', 'balancer/a.ts', "import type { A } from '../proxy/b.ts'", 'types of proxy/b.ts'],
    ['a clock in the balancer', 'balancer/a.ts', 'const now = Date.now()', 'is pure and may not use Date'],
    ['chance in a pure file', 'proxy/retry.ts', 'export const a = Math.random()', 'may not use Math.random'],
    [
      'Node in a pure file',
      'proxy/headers.ts',
      "import { isIP } from 'node:net'",
      'is pure and may not import node:net',
    ],
    ['the table in discovery', 'discovery/a.ts', "import { a } from '../balancer/table.ts'", 'balancer/table.ts'],
    ['a second importer of consul', 'discovery/a.ts', "import Consul from 'consul'", 'may not import npm:consul'],
    ['sockets elsewhere in discovery', 'discovery/a.ts', "import { connect } from 'node:net'", 'node:net'],
    ['files elsewhere in discovery', 'discovery/a.ts', "import { open } from 'node:fs/promises'", 'node:fs/promises'],
    ['the logger made elsewhere', 'discovery/a.ts', "import { pino } from 'pino'", 'may not import npm:pino'],
    ['a logger hidden behind a type', 'app.ts', "import { type Logger } from 'pino'", 'may not import npm:pino'],
    ['a second importer of http-proxy', 'proxy/engines/b.ts', "import p from 'http-proxy'", 'npm:http-proxy'],
    ['health in the proxy', 'proxy/a.ts', "import { o } from '../balancer/outlier.ts'", 'balancer/outlier.ts'],
    ['values of a view in the proxy', 'proxy/a.ts', "import { v } from '../balancer/view.ts'", 'balancer/view.ts'],
    [
      'the config in the proxy',
      'proxy/a.ts',
      "import type { C } from '../config/config.ts'",
      'types of config/config.ts',
    ],
    ['values of the proxy in admin', 'admin/a.ts', "import { a } from '../proxy/reply.ts'", 'proxy/reply.ts'],
    [
      'the code of a trail elsewhere in admin',
      'admin/a.ts',
      "import { t } from '../proxy/trail-code.ts'",
      'trail-code.ts',
    ],
    ['more of the proxy in the log', 'log.ts', "import { a } from './proxy/reply.ts'", 'proxy/reply.ts'],
    [
      'chance in the making of traces',
      'proxy/trace-context.ts',
      "import { randomBytes } from 'node:crypto'",
      'node:crypto',
    ],
    ['a second importer of prom-client', 'admin/a.ts', "import { Gauge } from 'prom-client'", 'npm:prom-client'],
    ['values of the proxy in the config', 'config/a.ts', "import { a } from '../proxy/reply.ts'", 'proxy/reply.ts'],
    [
      'values of discovery in the config',
      'config/a.ts',
      "export * from '../discovery/static-source.ts'",
      'static-source',
    ],
    ['zod outside the config', 'commands/a.ts', "import { z } from 'zod'", 'may not import npm:zod'],
    ['an import of main.ts', 'commands/a.ts', "import '../main.ts'", 'imports main.ts, which composes it'],
    ['an import of app.ts', 'demo/a.ts', "import { a } from '../app.ts'", 'imports app.ts, which composes it'],
    ['a dynamic import', 'balancer/a.ts', "const a = await import('node:fs')", 'may not import node:fs'],
    ['a computed import', 'demo/a.ts', 'const a = await import(name)', 'npm:(computed at run time)'],
    ['a require', 'balancer/a.ts', "const a = require('fs')", 'may not import npm:fs'],
    ['an import over several lines', 'balancer/a.ts', "import {\n  a,\n  type B,\n} from 'zod'", 'npm:zod'],
    ['an import after a template with a hole', 'balancer/a.ts', `\`'\${\`}\`}\`\nimport 'zod'`, 'npm:zod'],
    ['an import after a regular expression', 'balancer/a.ts', "const a = /['\"`]/\nimport 'zod'", 'npm:zod'],
    ['a folder nobody planned', 'misc/a.ts', '', 'is in no part that the table knows'],
  ])('%s', (_, file, text, line) => {
    const found = violations(new Map([[file, text]]))
    expect(found.join('\n')).toContain(line)
    expect(found.every((violation) => violation.startsWith(file))).toBe(true)
  })

  test('a cycle of values, but not one of types within a part', () => {
    const cycle = (how: string) =>
      violations(
        new Map([
          ['proxy/a.ts', "import { b } from './b.ts'"],
          ['proxy/b.ts', `import ${how}{ a } from './a.ts'`],
        ]),
      )
    expect(cycle('')).toEqual(['import cycle: proxy/a.ts → proxy/b.ts → proxy/a.ts'])
    expect(cycle('type ')).toEqual([])
  })

  test('a cycle of types over two parts', () => {
    const files = new Map([
      ['admin/a.ts', "import type { B } from '../config/b.ts'"],
      ['config/b.ts', "import type { A } from '../admin/a.ts'"],
    ])
    expect(violations(files)).toEqual(['parts in a cycle of types: admin/a.ts → config/b.ts → admin/a.ts'])
  })
})

test.each([
  ['a comment', "// import 'zod'\n/* import 'zod' */"],
  ['a string', 'const a = "import \'zod\'"'],
  ['a template', "const a = `\nimport 'zod'\n`"],
  ['the name of a method', "registry.import('zod')"],
  ['an ordinary export', "export const a = 'zod'\nexport type B = 'zod'"],
])('%s is no import', (_, text) => {
  expect(violations(new Map([['balancer/a.ts', text]]))).toEqual([])
})
