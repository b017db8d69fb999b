import { afterAll, beforeAll, describe, it } from 'vitest'
import { findings } from './findings.ts'
import { type Lab, startLab } from './fuzz.ts'

describe('what the searches found once', () => {
  let lab: Lab
  beforeAll(async () => {
    lab = await startLab({ accept: () => null })
  })
  afterAll(() => lab.close())

  for (const { name, open, search, input } of findings) {
    const run = () => lab.attempt(search, input)
    if (open === 'ends the process') it.skip(name, run)
    else if (open === 'fails') it.fails(name, run)
    else it(name, run)
  }
})
