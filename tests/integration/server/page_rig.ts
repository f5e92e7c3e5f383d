/** The page of a server, looked at in a browser. */
import assert from "node:assert/strict";
import axe from "axe-core";
import type { Browser, Page } from "playwright-core";
import { loadServerConfig } from "../../../config/mod.ts";
import { addReadApi } from "../../../control/server/api_read.ts";
import { createApp } from "../../../control/server/app.ts";
import { addDocs } from "../../../control/server/docs_page.ts";
import { createDoors } from "../../../control/server/doors.ts";
import { EventHub } from "../../../control/server/events.ts";
import { listen, type Listening } from "../../../control/server/listen.ts";
import { addPage } from "../../../control/server/page.ts";
import { type Watched, watchedList } from "../../../control/server/watched.ts";
import { hungAfterMs } from "../../stack/patience.ts";

/** A server that shows tasks without running them. Port 0: any. */
export function pageServer(port: number, tasks: () => readonly Watched[]): Listening {
  const text = `server: { listen: "127.0.0.1:${port}", requests_per_second: 10000 }`;
  const { server } = loadServerConfig(["server.yaml"], { readText: () => text }).config!;
  const now = () => new Date();
  const app = createApp({
    answered: new Map(),
    doors: createDoors({ config: server, tokens: () => [], now: () => performance.now() }),
    onTrouble: (error) => console.error(error),
  });
  const closing = new AbortController().signal;
  addReadApi({ app, tasks: watchedList(tasks), events: new EventHub(now), closing, now });
  addPage(app);
  addDocs(app);
  return listen(app, server);
}

export interface Look {
  readonly page: Page;
  /** Errors of scripts and of the console, and requests that left the server. */
  readonly trouble: readonly string[];
  /** Bytes of the answers to everything that is no request of the API. */
  readonly weight: () => Promise<number>;
}

export interface LookOptions {
  readonly origin: string;
  readonly width?: number;
  readonly colorScheme?: "light" | "dark";
}

/** A window of its own, for the time of `work`; afterwards nothing may have gone wrong in it. */
export async function look(
  browser: Browser,
  { origin, width = 1280, colorScheme = "light" }: LookOptions,
  work: (look: Look) => Promise<void>,
): Promise<void> {
  const context = await browser.newContext({ colorScheme, viewport: { width, height: 900 } });
  // As everywhere: no time within which something must be there, only one after which it hangs.
  context.setDefaultTimeout(hungAfterMs());
  const page = await context.newPage();
  const trouble: string[] = [];
  const sizes: Promise<number>[] = [];
  page.on("pageerror", (error) => trouble.push(String(error)));
  page.on("console", (message) => {
    // A browser says itself when a server cannot be reached, or says no; the page has to live with either.
    if (message.type() === "error" && !/Failed to load resource/.test(message.text())) trouble.push(message.text());
  });
  page.on("request", (request) => {
    if (!request.url().startsWith(`${origin}/`)) trouble.push(`It asks for ${request.url()}`);
  });
  page.on("requestfinished", (request) => {
    if (request.url().includes("/api/")) return;
    sizes.push(request.sizes().then((one) => one.responseBodySize + one.responseHeadersSize));
  });
  try {
    const weight = async () => (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
    await work({ page, trouble, weight });
    assert.deepEqual(trouble, []);
  } finally {
    await context.close();
  }
}

/** Where the pictures go that a person looks at; nowhere where the variable is not set. */
export async function picture(page: Page, name: string, fullPage = false): Promise<void> {
  const folder = Deno.env.get("TIDEMARK_PICTURES");
  if (folder !== undefined) await page.screenshot({ path: `${folder}/${name}.png`, fullPage });
}

/** What axe-core calls serious or critical must not be there, and nothing may be wider than the window. */
export async function assertAccessible(page: Page): Promise<void> {
  // The page's own policy keeps scripts out; a driver may still evaluate one.
  await page.evaluate(axe.source);
  const { violations } = await page.evaluate("axe.run(document)") as {
    violations: { id: string; impact: string; nodes: { html: string }[] }[];
  };
  const serious = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
  assert.deepEqual(serious.map(({ id, nodes }) => `${id}: ${nodes[0]!.html.slice(0, 200)}`), []);
  assert.equal(await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), true);
}
