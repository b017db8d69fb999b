/** What a proxy registers with, with everything filled in, so that a test names only what it is about. */

import type { RegistrationOptions } from '../../../src/discovery/consul/registration.ts'

export const registrationOptions: RegistrationOptions = {
  enabled: true,
  name: 'evenkeel',
  id: null,
  tags: ['edge'],
  address: null,
  port: null,
  checkUrl: null,
  checkIntervalMs: 5000,
  deregisterAfterMs: 600_000,
}
