/** Why a delete by predicate (3.0) is not applied, with what it deletes. */
import { fromBinary } from "@bufbuild/protobuf";
import { PlanNodeSchema } from "../../pipeline/proto/gen/plan_pb.ts";
import { predicateText } from "../../pipeline/transforms/mod.ts";

/** Characters of an expression that are shown: it may hold thousands of keys. */
const SHOWN = 200;

/** Goes on behind "A delete". Fields have their numbers for names: a record of the log does not say more. */
export function predicateReason(plan: Uint8Array): string {
  let text: ReturnType<typeof predicateText>;
  try {
    text = predicateText(fromBinary(PlanNodeSchema, plan), (id) => `field${id}`);
  } catch {
    return `is by a predicate whose plan of ${plan.length} bytes cannot be read`;
  }
  if (text.kind === "unknown") return `is by a predicate that has no expression: ${text.node} of its plan`;
  const shown = text.text.length > SHOWN ? `${text.text.slice(0, SHOWN)} …` : text.text;
  return `is by a predicate, whose rows only Milvus can tell: ${shown}`;
}
