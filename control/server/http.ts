/** HTTP: the only file that knows hono. */
export { createRoute, OpenAPIHono, type RouteConfig, z } from "@hono/zod-openapi";
export { type Context, type MiddlewareHandler } from "hono";
