/** /docs: the OpenAPI document for people, without a script. */
import { openApi } from "./app.ts";
import type { OpenAPIHono } from "./http.ts";

interface Operation {
  readonly summary?: string;
  readonly description?: string;
  readonly parameters?: readonly {
    name: string;
    in: string;
    description?: string;
    schema?: { description?: string };
  }[];
  readonly responses?: Readonly<Record<string, { description?: string }>>;
}

export function addDocs(app: OpenAPIHono): void {
  app.get("/docs", (c) => c.html(docsPage(openApi(app).paths as Record<string, Record<string, Operation>>)));
}

function docsPage(paths: Record<string, Record<string, Operation>>): string {
  const operations = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => section(method, path, operation))
  );
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Tidemark: the API</title>
<link rel="stylesheet" href="/page/style.css">
<link rel="icon" href="/page/icon.svg">
</head>
<body>
<header class="top"><a class="brand" href="/">Tidemark</a></header>
<main class="prose">
<h1>The API</h1>
<p>The whole description, for generators: <a href="/openapi.json">/openapi.json</a> (OpenAPI 3.1).
Errors are problem details with a code, a sentence and a hint.</p>
${operations.join("\n")}
</main>
</body>
</html>
`;
}

function section(
  method: string,
  path: string,
  { summary = "", description = "", parameters = [], responses = {} }: Operation,
): string {
  const listed = parameters.map(({ name, in: where, description, schema }) =>
    `<li><code>${escape(name)}</code> (${escape(where)})${text(description ?? schema?.description)}</li>`
  );
  const answers = Object.entries(responses).filter(([status]) => /^2|^4(09|12|15|22)/.test(status))
    .map(([status, { description = "" }]) => `<li><code>${escape(status)}</code>${text(description)}</li>`);
  return `<section>
<h2><code>${escape(method.toUpperCase())} ${escape(path)}</code></h2>
<p>${escape(summary)}.${description === "" ? "" : ` ${escape(description)}`}</p>
${listed.length === 0 ? "" : `<ul>${listed.join("")}</ul>`}
<ul>${answers.join("")}</ul>
</section>`;
}

function text(words: string | undefined): string {
  return words === undefined || words === "" ? "" : `: ${escape(words)}`;
}

function escape(words: string): string {
  return words.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}
