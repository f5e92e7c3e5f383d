/** The request that Prometheus sends. */
import type { OpenAPIHono } from "./http.ts";
import { metricsText } from "./metrics.ts";
import type { NotificationResult } from "./webhooks.ts";
import type { Watched } from "./watched.ts";

export interface MetricsRoute {
  readonly tasks: () => readonly Watched[];
  readonly answered: ReadonlyMap<string, number>;
  readonly notifications: ReadonlyMap<NotificationResult, number>;
  readonly now: () => Date;
}

export function addMetrics(app: OpenAPIHono, { tasks, answered, notifications, now }: MetricsRoute): void {
  app.get("/metrics", async (c) => {
    const text = await metricsText({ tasks: tasks(), requests: answered, notifications, now: now().getTime() });
    return c.body(text, 200, { "content-type": "text/plain; version=0.0.4; charset=utf-8" });
  });
}
