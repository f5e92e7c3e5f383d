/** `POST /cdc` of the application. */
import { problems } from "../api_read.ts";
import type { OpenAPIHono } from "../http.ts";
import { z } from "../http.ts";
import type { Role } from "../../../config/mod.ts";
import { formatJson } from "../../../pipeline/json.ts";
import { REQUESTS } from "./request.ts";
import type { CdcService } from "./service.ts";

export const CDC_PATH = "/cdc";

/** `requireRole` throws 401 and 403. */
export function addCdc(
  app: OpenAPIHono,
  service: CdcService,
  requireRole: (request: Request, address: string, role: Role) => void,
): void {
  app.all(CDC_PATH, async (c) => {
    const send = (body: string) => new Response(body, { headers: { "content-type": "application/json" } });
    if (c.req.method !== "POST") return send(formatJson({ code: 405, message: "only support the POST method" }));
    const address = (c.env as { address?: string } | undefined)?.address ?? "";
    const raw = c.req.raw;
    return send(await service.answer(await c.req.text(), (role) => requireRole(raw, address, role)));
  });
  app.openAPIRegistry.registerPath({
    method: "post",
    path: CDC_PATH,
    operationId: "cdc",
    summary: "A request of milvus-cdc; the status is 200 whatever becomes of it, and the code stands in the body",
    security: [{ bearer: [] }],
    request: {
      body: {
        required: true,
        content: {
          "application/json": {
            schema: z.object({
              request_type: z.enum(Object.keys(REQUESTS) as [string, ...string[]]),
              request_data: z.record(z.string(), z.unknown()).optional(),
            }).openapi("CdcRequest"),
          },
        },
      },
    },
    responses: {
      ...problems,
      200: {
        description: "What came of it",
        content: {
          "application/json": {
            schema: z.object({
              code: z.int(),
              message: z.string().optional(),
              data: z.record(z.string(), z.unknown()).optional(),
            }).openapi("CdcResponse"),
          },
        },
      },
    },
  });
}
