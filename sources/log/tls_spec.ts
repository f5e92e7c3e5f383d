/** Config of the encryption to a queue's brokers. */
import { z } from "zod";

/** What a queue says of its own keys. */
export interface TlsWords {
  readonly enabled: string;
  readonly cert: string;
}

export function brokerTls({ enabled, cert }: TlsWords) {
  return z.strictObject({
    enabled: z.boolean().default(true).describe(enabled),
    ca_file: z.string().min(1).optional().describe(
      "PEM file with the certificate authority of the brokers; left out for the system's",
    ),
    cert_file: z.string().min(1).optional().describe(cert),
    key_file: z.string().min(1).optional().describe("PEM file with the client's private key, for mutual TLS"),
    server_name: z.string().min(1).optional().describe(
      "Name to expect in the brokers' certificates, where it is not their host name",
    ),
    insecure_skip_verify: z.boolean().default(false).describe("Accept any certificate; for tests only"),
  }).refine((value) => (value.cert_file === undefined) === (value.key_file === undefined), {
    error: "cert_file and key_file go together",
    path: ["cert_file"],
  });
}
