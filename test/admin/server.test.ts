import { afterEach, describe, expect, it } from 'vitest'
import type { ReadinessState } from '../../src/admin/readiness.ts'
import { closeAll, start } from './server-setup.ts'

afterEach(closeAll)

describe('what it answers', () => {
  it('gives metrics in the type that was asked for', async () => {
    const response = await (await start()).get('/metrics', { headers: { accept: 'application/openmetrics-text' } })
    expect(response.headers.get('content-type')).toBe('text/plain; version=0.0.4')
    expect(await response.text()).toBe('# application/openmetrics-text\n')
  })

  it('is alive as soon as it listens', async () => {
    const response = await (await start({ readiness: () => ({ state: 'starting', ageMs: null }) })).get('/livez')
    expect([response.status, await response.text()]).toEqual([200, 'ok\n'])
  })

  it.each<[ReadinessState, number | null, number, string]>([
    ['fresh', 1234, 200, 'fresh\ncatalog confirmed 1.2 s ago\n'],
    ['stale', 90_000, 200, 'stale\ncatalog confirmed 90.0 s ago\n'],
    ['stale', 7_199_999, 200, 'stale\ncatalog confirmed 7200.0 s ago\n'],
    ['stale', 7_200_000, 200, 'stale\ncatalog confirmed 7200.0 s ago (2.0 h)\n'],
    ['stale', 259_200_000, 200, 'stale\ncatalog confirmed 259200.0 s ago (3.0 d)\n'],
    ['starting', null, 503, 'starting\ncatalog never confirmed\n'],
    ['draining', 10, 503, 'draining\ncatalog confirmed 0.0 s ago\n'],
  ])('%s (%s ms) is %s on /readyz', async (state, ageMs, status, body) => {
    const response = await (await start({ readiness: () => ({ state, ageMs }) })).get('/readyz')
    expect([response.status, await response.text()]).toEqual([status, body])
  })

  it('lists the services', async () => {
    const response = await (await start()).get('/api/services?any=query')
    expect(response.headers.get('content-type')).toBe('application/json')
    expect(await response.json()).toEqual([
      {
        name: 'quotes',
        inCatalog: true,
        endpoints: { healthy: 1, ejected: 1, probing: 0, drained: 0, total: 2 },
        absent: 1,
        suspects: 0,
        inFlight: 2,
        pickSpread: 1,
      },
      {
        name: 'a/b c',
        inCatalog: true,
        endpoints: { healthy: 0, ejected: 0, probing: 0, drained: 0, total: 0 },
        absent: 0,
        suspects: 0,
        inFlight: 0,
        pickSpread: 0,
      },
    ])
  })

  it('tells of every endpoint of a service, in rotation or not, and why', async () => {
    const response = await (await start()).get('/api/services/quotes')
    expect(await response.json()).toMatchObject({
      name: 'quotes',
      endpoints: [
        { endpoint: '10.0.0.1:80', state: 'healthy', inRotation: true, why: null, picks: 12, inFlight: 2, warmth: 1 },
        {
          endpoint: '10.0.0.1:81',
          state: 'ejected',
          inRotation: false,
          why: 'ejected for consecutive-faults; the next probe may go in 1.5 s',
          reason: 'consecutive-faults',
          consecutiveFaults: 5,
          ejections: 1,
        },
      ],
      absent: [{ instance: 'q-3', address: '10.0.0.9:80', why: 'check "http" is critical' }],
    })
  })

  it('decodes the name of a service', async () => {
    const response = await (await start()).get('/api/services/a%2Fb%20c')
    expect(await response.json()).toMatchObject({ name: 'a/b c' })
  })

  it.each([
    ['an unknown service', '/api/services/nobody', 404],
    ['no name', '/api/services/', 404],
    ['a name that is no percent-encoding', '/api/services/%zz', 400],
    ['an unknown path', '/nothing', 404],
    ['a path that only begins like one', '/metricsx', 404],
  ])('says what is wrong with %s', async (_, path, status) => {
    const response = await (await start()).get(path)
    expect(response.status).toBe(status)
    expect(response.headers.get('content-type')).toBe('application/problem+json')
    expect(await response.json()).toMatchObject({ type: 'about:blank', status, detail: expect.any(String) })
  })

  it('lists what exists to whoever asks for what does not', async () => {
    const response = await (await start()).get('/health')
    expect(await response.json()).toMatchObject({ routes: expect.arrayContaining(['/metrics', '/readyz']) })
  })

  it('shows the configuration that it is given', async () => {
    expect(await (await (await start()).get('/api/config')).json()).toEqual({
      listen: { port: 8080 },
      token: '[redacted]',
    })
  })

  it('has a page for people, with a policy that lets only its own files run', async () => {
    const response = await (await start()).get('/')
    expect(response.headers.get('content-type')).toBe('text/html; charset=utf-8')
    const policy = response.headers.get('content-security-policy') ?? ''
    expect(policy).toMatch(/^default-src 'none'; script-src 'self'; /)
    expect(policy).not.toMatch(/unsafe|http|\*/)
    expect(await response.text()).not.toMatch(/<script>|\son\w+=|\sstyle=|https?:/)
  })

  it('answers HEAD as GET, without the body', async () => {
    const { get } = await start()
    const [head, full] = [await get('/api/services', { method: 'HEAD' }), await get('/api/services')]
    expect(head.status).toBe(200)
    expect(head.headers.get('content-length')).toBe(full.headers.get('content-length'))
    expect(await head.text()).toBe('')
    await full.text()
  })

  it.each(['/livez', '/metrics', '/nothing', '/'])('sets the security headers on %s', async (path) => {
    const { headers } = await (await start()).get(path)
    expect(headers.get('x-content-type-options')).toBe('nosniff')
    expect(headers.get('content-security-policy')).toMatch(/default-src 'none'/)
    expect(headers.get('cache-control')).toBe('no-store')
  })
})
