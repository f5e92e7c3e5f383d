/** The program in this folder, built once. That takes over a minute of processor time: no suite that runs by itself needs it. */
import { installGoProgram } from "../go_program.ts";

/** Resolves to the program. */
export function installStreaming(log: (line: string) => void = () => {}): Promise<string> {
  return installGoProgram({ name: "streaming", title: "Milvus' message builders", folder: import.meta.dirname! }, log);
}
