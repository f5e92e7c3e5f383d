/** The page: files of this source tree as they are, no build, nothing from elsewhere. */
import type { OpenAPIHono } from "./http.ts";

const TYPES: Readonly<Record<string, string>> = {
  html: "text/html; charset=utf-8",
  css: "text/css; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  svg: "image/svg+xml",
};

export const PAGE_FILES = [
  "index.html",
  "style.css",
  "app.js",
  "api.js",
  "dom.js",
  "rows.js",
  "chart.js",
  "tasks.js",
  "task.js",
  "backups.js",
  "restore.js",
  "jobs.js",
  "words.js",
  "icon.svg",
] as const;

export function addPage(app: OpenAPIHono): void {
  const files = new Map<string, Uint8Array<ArrayBuffer>>();
  const file = (name: string) => {
    let bytes = files.get(name);
    if (bytes === undefined) files.set(name, bytes = Deno.readFileSync(new URL(`page/${name}`, import.meta.url)));
    return new Response(bytes, {
      headers: { "content-type": TYPES[name.replace(/^.*\./, "")]!, "cache-control": "no-cache" },
    });
  };
  app.get("/", () => file("index.html"));
  for (const name of PAGE_FILES) app.get(`/page/${name}`, () => file(name));
}
