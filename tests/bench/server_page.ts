/** What a browser loads of a server, and when it shows something. `serve TASKS COLLECTIONS`: the server, as a process of its own. */
import type { Browser } from "playwright-core";
import { manyTasks } from "../fakes/many_tasks.ts";
import { pageServer } from "../integration/server/page_rig.ts";

export interface View {
  readonly requests: number;
  /** Of all answers as they are sent, heads included, up to the moment of `shown`. */
  readonly bytes: number;
  /** The largest answer of the API among them, as it is sent. */
  readonly largest: number;
  /** ms from the beginning of the navigation: something is painted (first-contentful-paint); what was asked for is there. */
  readonly painted: number;
  readonly shown: number;
}

/** Opens the address in a window that has seen nothing before, until something is there that the CSS `selector` finds. */
export async function view(browser: Browser, url: string, selector: string): Promise<View> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
  try {
    const page = await context.newPage();
    const sizes: Promise<{ url: string; bytes: number }>[] = [];
    page.on("requestfinished", (request) => {
      sizes.push(
        request.sizes().then((one) => ({
          url: request.url(),
          bytes: one.responseBodySize + one.responseHeadersSize,
        })),
      );
    });
    await page.addInitScript(`{
      const observer = new MutationObserver(() => {
        if (document.querySelector(${JSON.stringify(selector)}) === null) return;
        globalThis.shownAt = performance.now();
        observer.disconnect();
      });
      observer.observe(document, { childList: true, subtree: true });
    }`);
    await page.goto(url);
    await page.locator(selector).first().waitFor();
    const times = "[shownAt, performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? NaN]";
    const [shown, painted] = await page.evaluate(times) as [number, number];
    const loaded = await Promise.all(sizes);
    return {
      requests: loaded.length,
      bytes: loaded.reduce((sum, { bytes }) => sum + bytes, 0),
      largest: Math.max(0, ...loaded.filter(({ url }) => url.includes("/api/")).map(({ bytes }) => bytes)),
      painted,
      shown,
    };
  } finally {
    await context.close();
  }
}

export interface ShownServer extends AsyncDisposable {
  readonly url: string;
}

/** A server that shows `tasks` tasks, the first of which has `collections`. */
export async function startShownServer(tasks: number, collections: number): Promise<ShownServer> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", "--quiet", import.meta.filename!, "serve", String(tasks), String(collections)],
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const reader = child.stdout.pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>)
    .getReader();
  let said = "";
  while (!said.includes("\n")) {
    const { value, done } = await reader.read();
    if (done) throw new Error("The server that shows tasks has ended");
    said += value;
  }
  return {
    url: said.trim(),
    [Symbol.asyncDispose]: async () => {
      child.kill("SIGKILL");
      await child.status;
      await reader.cancel();
    },
  };
}

if (import.meta.main && Deno.args[0] === "serve") {
  const tasks = manyTasks(Number(Deno.args[1]), Number(Deno.args[2]));
  console.log(pageServer(0, () => tasks).url);
}
