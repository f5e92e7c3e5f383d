/** Removing objects: in batches where the server knows them, else one by one. */
import { DeleteObjectCommand, DeleteObjectsCommand, type S3Client } from "./s3_client.ts";
import { isAbsent, statusOf } from "./s3_error.ts";

/** Of one request. */
export const DELETE_BATCH = 1000;

export async function deleteBatch(
  send: S3Client["send"],
  bucket: string,
  keys: readonly string[],
  abort: object,
): Promise<void> {
  if (keys.length > 1) {
    try {
      const Objects = keys.map((Key) => ({ Key }));
      const done = await send(
        new DeleteObjectsCommand({ Bucket: bucket, Delete: { Objects, Quiet: true } }),
        abort,
      );
      const failed = done.Errors?.find((error) => error.Code !== "NoSuchKey");
      if (failed !== undefined) {
        throw Object.assign(new Error(`${failed.Key}: ${failed.Message ?? ""}`), {
          name: failed.Code ?? "DeleteFailed",
        });
      }
      return;
    } catch (thrown) {
      // Some gateways have no batch, or insist on a Content-MD5 that current clients no longer send: one by one then.
      if (![400, 405, 411, 501].includes(statusOf(thrown))) throw thrown;
    }
  }
  for (const Key of keys) {
    try {
      await send(new DeleteObjectCommand({ Bucket: bucket, Key }), abort);
    } catch (thrown) {
      if (!isAbsent(thrown)) throw thrown;
    }
  }
}
