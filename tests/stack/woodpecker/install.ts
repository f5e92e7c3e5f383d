/** The program in this folder, built once. That takes two minutes of processor time: no suite that runs by itself needs it. */
import { installGoProgram } from "../go_program.ts";

/** Resolves to the program. */
export function installWoodpecker(log: (line: string) => void = () => {}): Promise<string> {
  // Its fork of memberlist is in no checksum database; go.sum has the sum.
  const env = { GONOSUMDB: "github.com/tinswzy" };
  return installGoProgram({ name: "woodpecker", title: "Woodpecker", folder: import.meta.dirname!, env }, log);
}
