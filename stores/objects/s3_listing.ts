/** The listing of a bucket, by whichever version of it the server knows. */
import { TidemarkError } from "../../pipeline/errors.ts";
import { compareKeys } from "./key.ts";
import { ListObjectsCommand, ListObjectsV2Command, type S3Client } from "./s3_client.ts";
import { nameOf, statusOf } from "./s3_error.ts";

export interface ListPage {
  readonly Contents?:
    | readonly {
      readonly Key?: string | undefined;
      readonly Size?: number | undefined;
      readonly ETag?: string | undefined;
      readonly LastModified?: Date | undefined;
    }[]
    | undefined;
  readonly CommonPrefixes?: readonly { readonly Prefix?: string | undefined }[] | undefined;
  readonly IsTruncated?: boolean | undefined;
  readonly NextContinuationToken?: string | undefined;
  readonly NextMarker?: string | undefined;
}

/**
 * Where a listing goes on; undefined at its end. A page that is cut and gives no token is the first version's, whatever was
 * asked for: to end there would lose objects. It goes on behind its last name.
 */
function following(page: ListPage): { readonly token?: string; readonly marker?: string } | undefined {
  if (page.IsTruncated !== true) return undefined;
  if (page.NextContinuationToken) return { token: page.NextContinuationToken };
  const names = [page.Contents?.at(-1)?.Key, page.CommonPrefixes?.at(-1)?.Prefix].filter((name) => name !== undefined);
  const marker = page.NextMarker || names.sort(compareKeys).at(-1);
  if (marker !== undefined) return { marker };
  throw new TidemarkError("unsupported", "The S3 server cut a listing and does not say where it goes on", {
    hint: "Report it with the server's name and version.",
  });
}

export interface ListQuery {
  readonly Bucket: string;
  readonly Prefix: string;
  readonly Delimiter: string | undefined;
  readonly MaxKeys?: number;
}

interface Place {
  readonly token?: string | undefined;
  readonly marker?: string | undefined;
}

export interface S3Listing {
  /** `request`: how one page is asked for. */
  pages(
    query: ListQuery,
    signal: AbortSignal | undefined,
    request: (task: () => Promise<ListPage>) => Promise<ListPage>,
  ): AsyncIterable<ListPage>;
}

/** It remembers which version the server knows. */
export function createS3Listing(send: S3Client["send"]): S3Listing {
  let oldListing = false;
  /** By the second version of the listing; by the first where a server does not know the second, or takes it for the first. */
  const listing = async (query: ListQuery, after: Place, signal: AbortSignal | undefined): Promise<ListPage> => {
    const abort = signal === undefined ? {} : { abortSignal: signal };
    if (!oldListing && after.marker === undefined) {
      try {
        return await send(new ListObjectsV2Command({ ...query, ContinuationToken: after.token }), abort);
      } catch (thrown) {
        if (statusOf(thrown) !== 501 && nameOf(thrown) !== "NotImplemented") throw thrown;
        oldListing = true;
      }
    }
    return await send(new ListObjectsCommand({ ...query, Marker: after.marker }), abort);
  };
  return {
    async *pages(query, signal, request) {
      let after: Place | undefined = {};
      while (after !== undefined) {
        const from: Place = after;
        const page = await request(() => listing(query, from, signal));
        yield page;
        after = following(page);
      }
    },
  };
}
