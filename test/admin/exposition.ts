/** Reads the Prometheus text format as strictly as promtool would, so that a test fails on what a server would refuse. */

export interface ReadSample {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
  /** Null: it has none. */
  readonly exemplar: ReadExemplar | null
}

export interface ReadExemplar {
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
  /** Seconds since 1970; null when it is not said. */
  readonly timestamp: number | null
}

export interface ReadExposition {
  readonly types: ReadonlyMap<string, string>
  readonly samples: readonly ReadSample[]
  /** The value of the one sample with exactly these labels; undefined when there is none. */
  value(name: string, labels?: Readonly<Record<string, string>>): number | undefined
  /** Every sample of this name. */
  all(name: string): readonly ReadSample[]
}

const samplePattern = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/s
/** OpenMetrics 1.0: behind ` # `, labels, a value, and perhaps a timestamp. */
const exemplarPattern = /^(.*) # \{(.*)\} (\S+)(?: (\d+(?:\.\d+)?))?$/s
const labelPattern = /([a-zA-Z_]\w*)="((?:[^"\\]|\\["\\n])*)"(,|$)/y
const suffixes: Readonly<Record<string, readonly string[]>> = {
  histogram: ['_bucket', '_sum', '_count'],
  summary: ['', '_sum', '_count'],
}

/** Throws on anything that is not valid: an unknown line, a sample before its TYPE, a series given twice. */
export function readExposition(body: string, format: 'text' | 'openmetrics' = 'text'): ReadExposition {
  if (!body.endsWith('\n')) throw new Error('the last line is not ended')
  const lines = body.slice(0, -1).split('\n')
  if (format === 'openmetrics' && lines.pop() !== '# EOF') throw new Error('no # EOF at the end')

  const types = new Map<string, string>()
  const samples: ReadSample[] = []
  const seen = new Set<string>()
  let family = ''
  for (const line of lines) {
    const comment = /^# (HELP|TYPE) (\S+) (.+)$/.exec(line)
    if (comment !== null) {
      const [, keyword, name = '', rest = ''] = comment
      family = name
      if (keyword === 'TYPE') {
        if (types.has(name)) throw new Error(`TYPE twice: ${name}`)
        types.set(name, rest)
      }
      continue
    }
    const withExemplar = format === 'openmetrics' ? exemplarPattern.exec(line) : null
    const match = samplePattern.exec(withExemplar?.[1] ?? line)
    if (match === null) throw new Error(`no sample: ${JSON.stringify(line)}`)
    const [, name = '', labelText = '', valueText = ''] = match
    const type = types.get(family) ?? ''
    const counterSuffix = format === 'openmetrics' && type === 'counter' ? ['_total'] : ['']
    const allowed = (suffixes[type] ?? counterSuffix).map((suffix) => family + suffix)
    if (!allowed.includes(name)) throw new Error(`${name} is not a sample of ${family} (${type})`)
    const labels = readLabels(labelText)
    const key = keyOf(name, labels)
    if (seen.has(key)) throw new Error(`series twice: ${key}`)
    seen.add(key)
    const exemplar = withExemplar === null ? null : readExemplar(withExemplar)
    if (exemplar !== null && !/_(bucket|total)$/.test(name)) throw new Error(`${name} may have no exemplar`)
    samples.push({ name, labels, value: readNumber(valueText), exemplar })
  }

  const byKey = new Map(samples.map((sample) => [keyOf(sample.name, sample.labels), sample.value]))
  return {
    types,
    samples,
    value: (name, labels = {}) => byKey.get(keyOf(name, labels)),
    all: (name) => samples.filter((sample) => sample.name === name),
  }
}

function readExemplar([, , labelText = '', value = '', timestamp]: RegExpExecArray): ReadExemplar {
  const labels = readLabels(labelText)
  const length = Object.entries(labels).reduce((sum, [name, text]) => sum + [...name, ...text].length, 0)
  if (length > 128) throw new Error(`the labels of an exemplar have ${length} characters`)
  return { labels, value: readNumber(value), timestamp: timestamp === undefined ? null : Number(timestamp) }
}

function readLabels(text: string): Record<string, string> {
  const labels: Record<string, string> = {}
  labelPattern.lastIndex = 0
  while (labelPattern.lastIndex < text.length) {
    const at = labelPattern.lastIndex
    const match = labelPattern.exec(text)
    if (match === null) throw new Error(`bad labels at ${at}: ${text}`)
    const [, name = '', value = ''] = match
    if (name in labels) throw new Error(`label twice: ${name}`)
    labels[name] = value.replace(/\\(.)/g, (_, char: string) => (char === 'n' ? '\n' : char))
  }
  return labels
}

function readNumber(text: string): number {
  if (/^nan$/i.test(text)) return Number.NaN
  if (text === '+Inf') return Number.POSITIVE_INFINITY
  const value = Number(text)
  if (Number.isNaN(value)) throw new Error(`no number: ${text}`)
  return value
}

function keyOf(name: string, labels: Readonly<Record<string, string>>): string {
  return JSON.stringify([name, Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1))])
}
