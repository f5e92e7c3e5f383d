import assert from "node:assert/strict";
import { LiveBlock } from "../../control/progress.ts";

/** What a screen shows after these escape sequences: cursor up, carriage return, clear to the end. */
function screen(text: string): string[] {
  const lines = [""];
  let row = 0;
  // deno-lint-ignore no-control-regex
  for (const [, up, clear, plain] of text.matchAll(/\x1b\[(\d+)A\r|(\x1b\[J)|([^\x1b]+)/g)) {
    if (up !== undefined) row -= Number(up);
    else if (clear !== undefined) lines.splice(row, lines.length, "");
    else {
      for (const char of plain!) {
        if (char === "\n") lines[++row] ??= "";
        else lines[row] += char;
      }
    }
  }
  return lines;
}

Deno.test("LiveBlock draws over its last block, also when it becomes shorter or longer", () => {
  let written = "";
  const block = new LiveBlock({ err: (text) => void (written += text) });
  block.draw(["a1", "a2", "a3"]);
  block.draw(["b1"]);
  block.draw(["c1", "c2"]);
  assert.deepEqual(screen(written), ["c1", "c2", ""]);
});

Deno.test("LiveBlock makes room for a log line and is drawn again below it", () => {
  let written = "";
  const block = new LiveBlock({ err: (text) => void (written += text) });
  block.draw(["a1", "a2"]);
  block.clear();
  written += "a log line\n";
  block.draw(["b1"]);
  block.end();
  written += "result\n";
  assert.deepEqual(screen(written), ["a log line", "b1", "result", ""]);
});
