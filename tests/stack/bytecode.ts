import { cacheRoot } from "./cache.ts";

/**
 * Environment in which Python keeps the bytecode of what it imports beside the installed software, never in the checkout. A
 * driver spends two thirds of its start on compiling otherwise, a few hundred times in a run of the suite.
 */
export function bytecodeEnvironment(): Record<string, string> {
  // An empty value is none: somebody's own shell may ask for no bytecode at all.
  return { PYTHONDONTWRITEBYTECODE: "", PYTHONPYCACHEPREFIX: `${cacheRoot()}/python-bytecode` };
}
