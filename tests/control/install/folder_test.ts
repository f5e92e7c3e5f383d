import assert from "node:assert/strict";
import { chooseFolder, onPath } from "../../../control/install/folder.ts";

const HOME = "/home/me";

Deno.test("chooseFolder takes the first usual folder that is on PATH and may be written", () => {
  const path = "/usr/local/bin:/usr/bin:/home/me/bin/";
  const all = () => true;
  assert.deepEqual(chooseFolder({ path, home: HOME, writable: all }), { folder: "/home/me/bin", onPath: true });
  const system = (folder: string) => folder === "/usr/local/bin";
  assert.deepEqual(chooseFolder({ path, home: HOME, writable: system }), { folder: "/usr/local/bin", onPath: true });
});

Deno.test("chooseFolder falls back to one below the user's folder, and says that PATH lacks it", () => {
  const none = () => false;
  assert.deepEqual(chooseFolder({ path: "/usr/local/bin:/usr/bin", home: HOME, writable: none }), {
    folder: "/home/me/.local/bin",
    onPath: false,
  });
});

Deno.test("onPath compares whole entries, whatever slash they end in", () => {
  assert.ok(onPath("/a:/opt/bin/:/b", "/opt/bin"));
  assert.ok(!onPath("/a:/opt/bin/more", "/opt/bin"));
  assert.ok(onPath("/", "/"));
});
