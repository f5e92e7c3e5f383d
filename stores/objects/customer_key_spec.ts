/** What a configuration with a key of the customer's must be like. */
import type { z } from "zod";

/** For `superRefine`: a key that goes with each request must not go in the clear, and excludes the service's own keys. */
export function checkCustomerKey(
  config: { readonly file: string | undefined; readonly endpoint: string | undefined; readonly other?: string },
  path: readonly string[],
  context: z.RefinementCtx,
): void {
  if (config.file === undefined) return;
  const add = (message: string) => context.addIssue({ code: "custom", path: [...path], message });
  if (config.other !== undefined) add(`${path.at(-1)} and ${config.other} exclude each other`);
  if (config.endpoint?.startsWith("http://")) {
    add(`${path.at(-1)} goes with every request, so the endpoint must be https`);
  }
}
