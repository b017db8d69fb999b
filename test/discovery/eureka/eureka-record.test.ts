import { expect, test } from 'vitest'
import { decodeAnswer } from '../../../src/discovery/eureka/eureka-answer.ts'
import { instanceRecord } from '../../../src/discovery/eureka/eureka-record.ts'
import { answerJson } from './eureka-answers.ts'

const lease = { beatMs: 30_000, leaseMs: 90_000 }
const registrant = { service: 'Web', id: 'web-1', address: '10.0.0.5', port: 8080, tags: ['a', 'b'] }
const fieldsOf = (record: object) => (record as { instance: Record<string, unknown> }).instance

test('what is written is read by our own source as the same place', () => {
  const record = fieldsOf(instanceRecord(registrant, 'WEB', 'UP', lease, 1234))
  const answer = decodeAnswer(answerJson([record]))
  if (answer.kind !== 'answer') throw new Error(answer.kind)
  expect(answer.oddities).toEqual([])
  expect(answer.entries).toMatchObject([
    {
      instance: {
        ...{ app: 'WEB', id: 'web-1', status: 'UP', hostName: '10.0.0.5', ipAddr: '10.0.0.5' },
        ...{ port: { number: 8080, enabled: true } },
      },
    },
  ])
})

test('tags are a word of the metadata, an IPv6 address has brackets in URLs only, seconds are whole', () => {
  const v6 = { ...registrant, address: 'fd00::5', tags: [] }
  const record = fieldsOf(instanceRecord(v6, 'WEB', 'DOWN', { beatMs: 500, leaseMs: 1500 }, 1234))
  expect(record).toMatchObject({
    ...{ status: 'DOWN', hostName: 'fd00::5', homePageUrl: 'http://[fd00::5]:8080/', metadata: {} },
    ...{ leaseInfo: { renewalIntervalInSecs: 1, durationInSecs: 2 }, lastDirtyTimestamp: '1234' },
  })
  expect(fieldsOf(instanceRecord(registrant, 'WEB', 'UP', lease, 1)).metadata).toEqual({ tags: 'a,b' })
})
