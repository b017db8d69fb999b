/** What is said of a request to a source that brought nothing? */

import type { FailureSpeed } from './pace.ts'

export interface Failure {
  readonly speed: FailureSpeed
  readonly message: string
  readonly cure: string
}
