/** The page in a real browser: at every width, light and dark, by keyboard, with many tasks, while its server is away. */
import assert from "node:assert/strict";
import { manyTasks } from "../../fakes/many_tasks.ts";
import { type Chromium, startChromium } from "../../stack/chromium.ts";
import { eventually } from "../../stack/eventually.ts";
import { assertAccessible, look, pageServer, picture } from "./page_rig.ts";
import { pipeline, serverRig, untilState } from "./server_rig.ts";

/** All that is loaded to show it, as it is sent. */
const MOST_BYTES = 200_000;

/** The driver's own timers and sockets outlive a test. */
function browserTest(name: string, fn: (chromium: Chromium) => Promise<void>): void {
  Deno.test({
    name,
    sanitizeOps: false,
    sanitizeResources: false,
    fn: async () => {
      await using chromium = await startChromium();
      await fn(chromium);
    },
  });
}

browserTest(
  "the page shows 500 tasks and 5000 collections at 360 and 1920 px, light and dark, by keyboard; axe finds nothing serious",
  async ({ browser }) => {
    const tasks = manyTasks(500, 5000);
    await using server = pageServer(0, () => tasks);
    for (const colorScheme of ["light", "dark"] as const) {
      for (const width of [360, 1920]) {
        await look(browser, { origin: server.url, width, colorScheme }, async ({ page, weight }) => {
          await page.goto(`${server.url}/`);
          const first = page.getByRole("link", { name: "blocked-0", exact: true });
          await first.waitFor();
          assert.match(await page.locator(".tasks .row").nth(1).innerText(), /blocked/, "what needs somebody is first");
          assert.ok(await page.locator(".row").count() < 80, "only what is in sight is in the page");
          await assertAccessible(page);
          await picture(page, `tasks-${width}-${colorScheme}`);
          // By keyboard alone, as far as the first task; the list is refreshed meanwhile.
          for (let presses = 0; !await first.evaluate((link) => link.ownerDocument.activeElement === link); presses++) {
            assert.ok(presses < 30, "the first task is reached by Tab");
            await page.keyboard.press("Tab");
          }
          await page.keyboard.press("Enter");
          await page.getByRole("heading", { name: "blocked-0" }).waitFor();
          await page.getByText("The target refused field title").first().waitFor();
          await page.locator("figure svg").first().waitFor();
          const channels = page.getByRole("group", { name: "Channels" }).getByRole("row");
          await channels.nth(2).waitFor();
          assert.match(await channels.nth(1).innerText(), /dml_0.*7 d/s, "how long what it needs is kept");
          assert.match(await channels.nth(2).innerText(), /dml_1.*–$/s);
          assert.equal(await channels.nth(2).getByTitle("Kept for ever").count(), 1);
          assert.ok(await page.locator(".row").count() < 80);
          assert.equal(
            await page.getByRole("button", { name: "Pause" }).count(),
            0,
            "a server that only shows has no buttons",
          );
          await assertAccessible(page);
          await picture(page, `task-${width}-${colorScheme}`);
          await page.getByLabel("Show only collections with").fill("c4999");
          await page.getByText("shop.c4999", { exact: true }).waitFor();
          const bytes = await weight();
          assert.ok(bytes > 10_000 && bytes < MOST_BYTES, `the page is of ${bytes} bytes`);
        });
      }
    }
    await look(browser, { origin: server.url }, async ({ page }) => {
      await page.goto(`${server.url}/#/task/waiting-0`);
      await page.getByText("dr:19530 does not answer").first().waitFor();
      const changes = page.getByRole("group", { name: "Changes of structure" });
      await changes.getByText("Create collection shop.c0").waitFor();
      await page.goto(`${server.url}/#/task/base-0`);
      await page.getByText(/about .+ left/).first().waitFor();
      await page.goto(`${server.url}/docs`);
      await page.getByText("GET /api/v1/tasks/{name}", { exact: true }).first().waitFor();
      await assertAccessible(page);
    });
  },
);

browserTest(
  "the page says that its server is away, shows what was there, and goes on when it is back",
  async (chromium) => {
    let tasks = manyTasks(3, 3);
    let server = pageServer(0, () => tasks);
    const origin = server.url;
    try {
      await look(chromium.browser, { origin }, async ({ page }) => {
        await page.goto(`${origin}/`);
        await page.getByRole("link", { name: "blocked-0", exact: true }).waitFor();
        await server[Symbol.asyncDispose]();
        await page.getByText(/^Not connected; tries again\. Shown is what was at /).waitFor();
        assert.ok(await page.getByRole("link", { name: "blocked-0", exact: true }).isVisible());
        await assertAccessible(page);
        await picture(page, "away");
        tasks = manyTasks(5, 3);
        server = pageServer(Number(new URL(origin).port), () => tasks);
        await page.getByRole("link", { name: "blocked-1", exact: true }).waitFor();
        await eventually(
          "it says no more that it is away",
          async () => await page.locator("#connection").textContent() === "",
        );
      });
    } finally {
      await server[Symbol.asyncDispose]();
    }
  },
);

browserTest(
  "the page pauses and resumes a task, begins jobs, shows backups on a time line and how to restore one",
  async (chromium) => {
    await using rig = await serverRig();
    const server = await rig.start();
    const sink = (name: string) => ({
      type: "backup",
      name,
      storage: {
        type: "s3",
        endpoint: "http://127.0.0.1:9000",
        bucket: "b",
        access_key_id: "key-of-the-test",
        secret_access_key: "s",
      },
    });
    for (const config of [pipeline("vault", { sinks: { vault: sink("nightly_{date}") } }), pipeline("different")]) {
      const made = await server.request("POST", "/api/v1/tasks", { config });
      assert.equal(made.status, 201, await made.text());
    }
    await untilState(server, "vault", "running");
    await look(chromium.browser, { origin: server.url }, async ({ page }) => {
      await page.goto(`${server.url}/#/task/vault`);
      await page.getByRole("button", { name: "Pause" }).click();
      await page.getByText("Pause: done").waitFor();
      await page.locator(".state", { hasText: "paused" }).waitFor();
      await page.getByRole("button", { name: "Resume" }).click();
      await page.locator(".state", { hasText: "running" }).waitFor();
      await page.getByText("vault: last good base").waitFor();
      await page.getByRole("button", { name: "Backups" }).click();
      await page.getByRole("img", { name: /^Backups from 2026-11-01/ }).waitFor();
      await page.getByText("except", { exact: false }).first().waitFor();
      await assertAccessible(page);
      await picture(page, "backups", true);
      const restore = page.getByLabel("How to restore");
      assert.match(await restore.innerText(), /name: "nightly_4"[\s\S]*--until "2026-11-05T03:00:00.000Z"/);
      assert.ok(!(await restore.innerText()).includes("key-of-the-test"));
      const moment = page.getByLabel("Restore to the moment (UTC)");
      await moment.fill("2026-11-02T04:00:00");
      assert.match(await restore.innerText(), /name: "nightly_2"[\s\S]*--until "2026-11-02T04:00:00.000Z"/);
      await moment.fill("2026-11-02T05:30:00Z");
      assert.match(await restore.innerText(), /^No backup can be restored to 2026-11-02T05:30:00Z/);
    });
    await look(chromium.browser, { origin: server.url, width: 360, colorScheme: "dark" }, async ({ page }) => {
      await page.goto(`${server.url}/#/task/different`);
      await page.getByRole("button", { name: "Verify" }).click();
      await page.getByText("1 of 1 collections differ: default.items (3 missing").waitFor();
      await page.getByText("Last verification").waitFor();
      await assertAccessible(page);
      await picture(page, "verified-360-dark", true);
    });
  },
);

browserTest("the page asks for a token where the server wants one", async (chromium) => {
  await using rig = await serverRig(
    `server: { listen: "127.0.0.1:0", auth: { tokens: [ { name: me, role: admin, token: a-token-of-twenty-characters } ] } }`,
  );
  const server = await rig.start();
  await look(chromium.browser, { origin: server.url, width: 360 }, async ({ page }) => {
    await page.goto(`${server.url}/`);
    await page.getByLabel("Token").fill("a-wrong-token-of-twenty-characters");
    await page.keyboard.press("Enter");
    await page.getByText("no token that is known here").waitFor();
    await assertAccessible(page);
    await page.getByLabel("Token").fill("a-token-of-twenty-characters");
    await page.keyboard.press("Enter");
    await page.getByText("There is no task yet").waitFor();
    await assertAccessible(page);
  });
});
