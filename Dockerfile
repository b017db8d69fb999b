# syntax=docker/dockerfile:1

# Built with everything that development needs, served with what serving needs.
FROM node:24-slim AS build
WORKDIR /app
# The lists of packages first: while they stay the same, this layer is taken from the cache.
COPY package.json package-lock.json ./
RUN npm ci --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY src ./src
RUN npm run build && npm prune --omit=dev --no-audit --no-fund

FROM node:24-slim
ENV NODE_ENV=production \
    # Probes and scrapers are outside of the container. Do not publish this port to the world.
    EVENKEEL_ADMIN_HOST=0.0.0.0 \
    # Fixed here, so that EXPOSE and HEALTHCHECK below stay true whatever a config file says.
    EVENKEEL_ADMIN_PORT=8081
WORKDIR /app
COPY --from=build /app/package.json ./
COPY --from=build /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
COPY config ./config
USER node
EXPOSE 8080 8081
# SIGTERM drains; give it the time with `docker stop --time`, more than shutdown.drainDelay + drainTimeout.
STOPSIGNAL SIGTERM
# The slim image has no curl. Alive is enough here: not being ready is no reason to restart a proxy.
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s --retries=3 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.EVENKEEL_ADMIN_PORT}/livez`).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
# No shell in between: signals reach the proxy itself. http-proxy calls a function that Node calls deprecated; that is known.
ENTRYPOINT ["node", "--disable-warning=DEP0060", "/app/dist/main.js"]
CMD ["serve"]
