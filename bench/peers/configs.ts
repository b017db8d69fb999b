/**
 * How are the peers that are not Node configured? One worker or thread each, no access log, connections of clients kept,
 * and the upstream ones kept or not. They route nothing by name and add no headers: the least work they can do. Pure.
 */

import type { Address } from '../processes.ts'

export interface PeerConfig {
  /** Where the peer listens: its own address, one port. */
  readonly listen: Address
  readonly instances: readonly Address[]
  readonly keepAlive: boolean
  /** A folder for its own files. */
  readonly dir: string
}

const at = ({ host, port }: Address): string => `${host}:${port}`
const manyRequests = 1_000_000_000

export function nginxConfig({ listen, instances, keepAlive, dir }: PeerConfig): string {
  const servers = instances.map((instance) => `    server ${at(instance)};`).join('\n')
  const pool = keepAlive ? `\n    keepalive 128;\n    keepalive_requests ${manyRequests};` : ''
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
  return `daemon off;
worker_processes 1;
worker_rlimit_nofile 8192;
pid ${dir}/nginx.pid;
error_log stderr error;
events { worker_connections 4096; }
http {
  access_log off;
  server_tokens off;
  tcp_nodelay on;
  keepalive_timeout 600s;
  keepalive_requests ${manyRequests};
${temporary.map((name) => `  ${name}_temp_path ${dir}/${name};`).join('\n')}
  upstream web {
${servers}${pool}
  }
  server {
    listen ${at(listen)};
    location / {
      proxy_pass http://web;
      proxy_http_version 1.1;
      proxy_set_header Host $http_host;
      proxy_set_header Connection "${keepAlive ? '' : 'close'}";
      proxy_max_temp_file_size 0;
    }
  }
}
`
}

export function haproxyConfig({ listen, instances, keepAlive }: PeerConfig): string {
  const servers = instances.map((instance, index) => `  server s${index + 1} ${at(instance)}`).join('\n')
  const reuse = keepAlive
    ? 'option http-keep-alive\n  http-reuse always'
    : 'option http-server-close\n  http-reuse never'
  return `global
  nbthread 1
  maxconn 4096
defaults
  mode http
  no log
  timeout connect 5s
  timeout client 600s
  timeout server 600s
  timeout http-keep-alive 600s
  ${reuse}
frontend clients
  bind ${at(listen)}
  default_backend web
backend web
  balance roundrobin
${servers}
`
}

export function caddyConfig({ listen, instances, keepAlive }: PeerConfig): string {
  const kept = keepAlive ? 'keepalive 600s\n      keepalive_idle_conns_per_host 128' : 'keepalive off'
  return `{
  admin off
  auto_https off
  log {
    output stderr
    level ERROR
  }
}
http://:${listen.port} {
  bind ${listen.host}
  reverse_proxy ${instances.map(at).join(' ')} {
    lb_policy round_robin
    transport http {
      versions 1.1
      compression off
      ${kept}
    }
  }
}
`
}
