import { describe, expect, it } from 'vitest'
import { prefersOpenMetrics } from '../../src/admin/accept.ts'

const prometheus3 =
  'application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1'

describe('the format of a scrape', () => {
  it.each([
    ['no Accept header', undefined, false],
    ['an empty one', '', false],
    ['anything', '*/*', false],
    ['a browser', 'text/html,application/xhtml+xml,*/*;q=0.8', false],
    ['OpenMetrics alone', 'application/openmetrics-text', true],
    ['in capitals', 'Application/OpenMetrics-Text; Version=1.0.0', true],
    ['Prometheus 3', prometheus3, true],
    ['plain text ranked higher', 'application/openmetrics-text;q=0.2, text/plain;q=0.9', false],
    ['ranked alike', 'text/plain, application/openmetrics-text', true],
    ['OpenMetrics refused', 'application/openmetrics-text;q=0', false],
    ['a broken rank', 'application/openmetrics-text;q=much', false],
    ['commas and semicolons only', ',;,;q=1', false],
  ])('%s', (_, accept, expected) => {
    expect(prefersOpenMetrics(accept)).toBe(expected)
  })
})
