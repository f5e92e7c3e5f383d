/** What requests say of encryption at rest. */
import type { CustomerKey } from "./customer_key.ts";
import type { CopyObjectCommandInput, GetObjectCommandInput, PutObjectCommandInput } from "./s3_client.ts";
import type { S3Encryption } from "./s3_options.ts";

export type CustomerKeyInput = Pick<GetObjectCommandInput, "SSECustomerAlgorithm" | "SSECustomerKey">;
export type EncryptionInput = CustomerKeyInput & Pick<PutObjectCommandInput, "ServerSideEncryption" | "SSEKMSKeyId">;

/** Of what makes an object. */
export function writtenWith(sse: S3Encryption): EncryptionInput {
  switch (sse.mode) {
    case "none":
      return {};
    case "sse-s3":
      return { ServerSideEncryption: "AES256" };
    case "sse-kms":
      return { ServerSideEncryption: "aws:kms", ...(sse.kmsKeyId === undefined ? {} : { SSEKMSKeyId: sse.kmsKeyId }) };
    case "sse-c":
      return readWith(sse.key);
  }
}

/** Of what reads an object, or sends a part of one. The client adds the key's MD5. */
export function readWith(key: CustomerKey | undefined): CustomerKeyInput {
  return key === undefined ? {} : { SSECustomerAlgorithm: "AES256", SSECustomerKey: key.base64 };
}

/** Of what a server copies from. */
export function copiedWith(
  key: CustomerKey | undefined,
): Pick<CopyObjectCommandInput, "CopySourceSSECustomerAlgorithm" | "CopySourceSSECustomerKey"> {
  return key === undefined ? {} : { CopySourceSSECustomerAlgorithm: "AES256", CopySourceSSECustomerKey: key.base64 };
}
