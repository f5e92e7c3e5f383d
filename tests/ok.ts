/** The one gate, `deno task ok`: format, lint, types, schema, and the unit tests with the layer test and the lint of the examples. */
import { runGate } from "./runner/gate.ts";

const { passed, failed } = await runGate();
console.log(failed === 0 && passed > 0 ? `All good: ${passed} tests` : `Not good: ${failed} failed`);
Deno.exit(failed === 0 && passed > 0 ? 0 : 1);
