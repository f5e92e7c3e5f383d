# docker build -t tidemark .
# docker run --rm -v "$PWD/pipeline.yaml:/etc/tidemark/pipeline.yaml:ro" -v tidemark-state:/state tidemark --config /etc/tidemark/pipeline.yaml
# With state: { type: file, path: /state } in the config, the volume keeps what a restart needs.
FROM denoland/deno:2.9.6

WORKDIR /app
COPY deno.json deno.lock main.ts ./
COPY config/ config/
COPY control/ control/
COPY pipeline/ pipeline/
COPY sinks/ sinks/
COPY sources/ sources/
COPY stores/ stores/
ENV DENO_DIR=/app/.deno DENO_NO_UPDATE_CHECK=1
RUN deno cache --frozen main.ts && mkdir /state && chown -R deno:deno /app /state

USER deno
VOLUME /state
# deno runs as process 1 and gets SIGTERM itself: the first one drains and saves the checkpoint.
ENTRYPOINT ["deno", "run", "--cached-only", "-A", "main.ts"]
