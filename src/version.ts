/** Which version is this? As package.json has it, one folder above src/ and dist/ alike. */

import { readFileSync } from 'node:fs'

const manifest: { readonly version: string } = JSON.parse(
  readFileSync(new URL('../package.json', import.meta.url), 'utf8'),
)

export const version: string = manifest.version
