/** Paths of this machine. */
export { isAbsolute, resolve, sep as SEPARATOR } from "node:path";
