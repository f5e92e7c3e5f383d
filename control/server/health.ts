/** /healthz: it answers; /readyz: it can do its work. */
import type { OpenAPIHono } from "./http.ts";

export interface Health {
  /** Why it cannot do its work; undefined: it can. */
  readonly notReady: () => string | undefined;
}

export function addHealth(app: OpenAPIHono, { notReady }: Health): void {
  app.get("/healthz", (c) => c.json({ status: "ok" }));
  app.get("/readyz", (c) => {
    const reason = notReady();
    return reason === undefined ? c.json({ status: "ready" }) : c.json({ status: "not_ready", reason }, 503);
  });
}
