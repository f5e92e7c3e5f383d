/** Whether the user of a target may create databases, found out without creating one. */
import { toTidemarkError } from "../../pipeline/errors.ts";
import { METHOD, type MilvusClient, type Request } from "./client.ts";
import { isMissingRight } from "./fault.ts";

/**
 * The target's words where it does not permit it, else undefined. Its proxy looks at the right first, by an interceptor, and at
 * the name next, and no release takes an empty one (Milvus 2.3 to 2.6, `ValidateDatabaseName`).
 */
export async function databasesRefused(
  client: MilvusClient,
  options: Pick<Request, "signal" | "timeoutMs">,
): Promise<string | undefined> {
  const request: Request = { ...options, what: "ask whether databases may be created", db: "", patient: false };
  try {
    await client.call(METHOD.createDatabase, { dbName: "" }, request);
  } catch (thrown) {
    const { code, message } = toTidemarkError(thrown);
    if (code === "aborted") throw thrown;
    if (code === "authentication" && isMissingRight(message)) return message;
  }
  return undefined;
}
