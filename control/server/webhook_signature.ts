/** The headers of Standard Webhooks (standardwebhooks.com), so that a receiver checks them with a library it has already. */
import { Buffer } from "node:buffer";
import { createHmac } from "node:crypto";

export interface SignedMessage {
  /** The same for each attempt to deliver one message. */
  readonly id: string;
  /** Unix ms of this attempt: a receiver refuses old ones. */
  readonly at: number;
  readonly body: string;
}

/** `webhook-id`, `webhook-timestamp` and, where there is a secret, `webhook-signature`. */
export function webhookHeaders({ id, at, body }: SignedMessage, secret: string | undefined): Record<string, string> {
  const seconds = Math.floor(at / 1000).toString();
  const headers = { "webhook-id": id, "webhook-timestamp": seconds };
  if (secret === undefined) return headers;
  const prefix = "whsec_";
  const key = secret.startsWith(prefix) ? Buffer.from(secret.slice(prefix.length), "base64") : Buffer.from(secret);
  const signature = createHmac("sha256", key).update(`${id}.${seconds}.${body}`).digest("base64");
  return { ...headers, "webhook-signature": `v1,${signature}` };
}
