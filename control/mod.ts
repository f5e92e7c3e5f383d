/** How people drive Tidemark: the command line. */
export { tidemark } from "./program.ts";
export { processTerminal, type Terminal } from "./terminal.ts";
