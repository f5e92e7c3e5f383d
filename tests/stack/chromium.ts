/** Debian's Chromium without a window, driven by playwright-core. */
import { type Browser, chromium } from "playwright-core";
import { installDebian } from "./debian.ts";

export interface Chromium extends AsyncDisposable {
  readonly browser: Browser;
  /** What Chromium has said, for messages. */
  readonly log: () => string;
}

const ADDRESS = /DevTools listening on (ws:\S+)/;

/**
 * Installs it where it is missing, starts it as a process of its own and connects to it: a driver that starts a browser
 * itself talks to it through inherited pipes, which are Node's.
 */
export async function startChromium(): Promise<Chromium> {
  await installDebian(["chromium"], ["chromium", "fonts-dejavu-core"]);
  const profile = await Deno.makeTempDir({ prefix: "tidemark-chromium-" });
  const child = new Deno.Command("chromium", {
    args: [
      ...["--headless=new", "--remote-debugging-port=0", `--user-data-dir=${profile}`, "--no-first-run"],
      // A container has no sandbox of the kernel, a small /dev/shm and no graphics card.
      ...["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"],
      ...["--disable-background-networking", "--disable-component-update", "--disable-sync", "--mute-audio"],
      "about:blank",
    ],
    stdout: "null",
    stderr: "piped",
  }).spawn();
  let log = "";
  const listens = Promise.withResolvers<string>();
  const reading = (async () => {
    const decoder = new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>;
    for await (const text of child.stderr.pipeThrough(decoder)) {
      log = (log + text).slice(-20_000);
      const found = ADDRESS.exec(log);
      if (found !== null) listens.resolve(found[1]!);
    }
    listens.reject(new Error(`Chromium has ended:\n${log}`));
  })();
  const end = async () => {
    try {
      child.kill("SIGKILL");
    } catch {
      // It has ended by itself.
    }
    await child.status;
    await reading;
    await removeProfile(profile);
  };
  try {
    const browser = await chromium.connectOverCDP(await listens.promise);
    return {
      browser,
      log: () => log,
      [Symbol.asyncDispose]: async () => {
        await browser.close();
        await end();
      },
    };
  } catch (error) {
    await end();
    throw error;
  }
}

/** Its children may write a last file when it has ended already. */
async function removeProfile(profile: string): Promise<void> {
  for (let attempt = 0;; attempt++) {
    try {
      return await Deno.remove(profile, { recursive: true });
    } catch (error) {
      if (attempt === 20) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}
