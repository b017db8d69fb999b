/** What is said of a request to a source that brought nothing? */

import type { FailureSpeed } from './pace.ts'

export interface Failure {
  readonly speed: FailureSpeed
  readonly message: string
  readonly cure: string
}

const TLS_CODES = /CERT|SELF_SIGNED|VERIFY|TLS|SSL|EPROTO|HOSTNAME/

/** Is this code of an error of Node's about certificates, or about TLS where there is none? */
export function isTlsCode(code: string): boolean {
  return TLS_CODES.test(code)
}

/** The cure of EMFILE and EADDRNOTAVAIL, whoever was to be reached. */
export const SHORT_OF_FILES = 'this machine is short of files or ports (ulimit -n)'
