/** (skeleton: types first) */

export interface ConsulOptions {
  /** `http://host:port` or `https://host:port`. */
  readonly address: string
  readonly token: string | null
  readonly datacenter: string | null
  readonly namespace: string | null
  /** Let any server answer, not only the leader. */
  readonly stale: boolean
  /** Service names to route, as globs (`*` any run of characters, `?` any one). */
  readonly include: readonly string[]
  readonly exclude: readonly string[]
  /** Only instances with this tag; null: all. */
  readonly tag: string | null
  /** True: an instance whose check warns stays in rotation, at its warning weight. */
  readonly includeWarning: boolean
  /** PEM texts, already read from their files; null: none. */
  readonly tls: { readonly ca: string | null; readonly cert: string | null; readonly key: string | null }
}
