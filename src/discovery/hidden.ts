/** How does a secret stay out of a message that quotes a server, which may quote what it was asked with? Pure. */

/**
 * `text` without the secrets, however a server writes them: as they are, or escaped for JSON (Go's way, too), URLs or HTML.
 * @param secrets by what stands in their place; null or empty: there is none
 */
export function withoutSecrets(text: string, secrets: Readonly<Record<string, string | null>>): string {
  let hidden = text
  for (const [shown, secret] of Object.entries(secrets)) {
    if (!secret) continue
    for (const spelling of spellings(secret)) hidden = hidden.replaceAll(spelling, () => shown)
  }
  return hidden
}

/** Those first that may have others in them. */
function spellings(secret: string): ReadonlySet<string> {
  const json = JSON.stringify(secret).slice(1, -1)
  const goJson = json.replace(/[&<>]/g, (character) => `\\u00${character.charCodeAt(0).toString(16)}`)
  const html = (entities: Readonly<Record<string, string>>) =>
    secret.replace(/[&<>"']/g, (character) => entities[character] ?? character)
  return new Set([goJson, json, html(named), html({ ...named, '"': '&#34;' }), inUrl(secret), secret])
}

const named = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }

function inUrl(secret: string): string {
  try {
    return encodeURIComponent(secret)
  } catch {
    return secret
  }
}
