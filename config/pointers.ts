/** Problems of a document that came by the network: where they are is a JSON pointer, not only a line. */
import type { ConfigNode } from "./document.ts";
import type { Problem } from "./problem.ts";

export interface PointedProblem {
  /** RFC 6901, such as `/sinks/replica/address`; empty for the document itself. Of a missing key: of the map around it. */
  readonly pointer: string;
  readonly line: number;
  readonly column: number;
  readonly message: string;
}

export function pointedProblems(root: ConfigNode | undefined, problems: readonly Problem[]): PointedProblem[] {
  const pointers = new Map<string, string>();
  // What stands deeper wins: a map and its first key begin at the same place.
  const visit = (node: ConfigNode, pointer: string): void => {
    pointers.set(`${node.at.line}:${node.at.column}`, pointer);
    if (node.kind === "list") node.items.forEach((item, index) => visit(item, `${pointer}/${index}`));
    if (node.kind !== "map") return;
    for (const [key, { keyAt, value }] of node.entries) {
      const inner = `${pointer}/${key.replaceAll("~", "~0").replaceAll("/", "~1")}`;
      visit(value, inner);
      pointers.set(`${keyAt.line}:${keyAt.column}`, inner);
    }
  };
  if (root !== undefined) visit(root, "");
  return problems.map(({ at: { line, column }, message }) => ({
    pointer: pointers.get(`${line}:${column}`) ?? "",
    line,
    column,
    message,
  }));
}
