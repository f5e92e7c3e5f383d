# docker build -t tidemark .
# docker run --rm -v "$PWD/pipeline.yaml:/etc/tidemark/pipeline.yaml:ro" -v tidemark-state:/state tidemark --config /etc/tidemark/pipeline.yaml
# With state: { type: file, path: /state } in the config, the volume keeps what a restart needs.
FROM denoland/deno:2.9.6 AS build

WORKDIR /app
COPY deno.json deno.lock main.ts ./
COPY config/ config/
COPY control/ control/
COPY pipeline/ pipeline/
COPY sinks/ sinks/
COPY sources/ sources/
COPY stores/ stores/
ENV DENO_DIR=/app/.deno
RUN deno cache --frozen main.ts && mkdir /state

# No shell, no package manager: what runs is deno and this source tree.
FROM denoland/deno:distroless-2.9.6
WORKDIR /app
COPY --from=build /app /app
COPY --from=build --chown=65532:65532 /state /state
ENV DENO_DIR=/app/.deno DENO_NO_UPDATE_CHECK=1 TIDEMARK_HEALTH=http://127.0.0.1:8444/healthz
USER 65532:65532
VOLUME /state
EXPOSE 8444
# A run without `server:` answers nowhere: start it with --no-healthcheck.
HEALTHCHECK --interval=30s --timeout=5s --start-period=1m \
  CMD ["/bin/deno", "eval", "Deno.exit((await fetch(Deno.env.get('TIDEMARK_HEALTH'))).ok ? 0 : 1)"]
# deno runs as process 1 and gets SIGTERM itself: the first one drains and saves the checkpoint.
ENTRYPOINT ["/bin/deno", "run", "--cached-only", "-A", "main.ts"]
