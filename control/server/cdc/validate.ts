/** What milvus-cdc refuses of a `create` (`validCreateRequest`), in its order and words. */
import type { CdcConfig } from "../../../config/mod.ts";
import { CdcFailure } from "./failure.ts";
import { checkPositions, decodePosition } from "./positions.ts";
import type { CreateRequest, MilvusConnectParam } from "./request.ts";
import type { CollectionInfo } from "./task.ts";

const refuse = (message: string): never => {
  throw new CdcFailure(400, message);
};

/** Throws 400; 500 for a position that cannot be read. */
export function validateCreate(
  request: CreateRequest,
  { replicate_channel, max_name_length }: Pick<CdcConfig, "replicate_channel" | "max_name_length">,
): void {
  checkTarget(request);
  if (request.buffer_config.period < 0) refuse("the cache period is less zero");
  if (request.buffer_config.size < 0) refuse("the cache size is less zero");
  const { collection_infos: infos, db_collections: dbs, rpc_channel_info: rpc } = request;
  const databases = Object.entries(dbs);
  if (infos.length === 0 && databases.length === 0) refuse("the collection info is empty");
  if (infos.length > 1 || databases.length > 1) refuse("the collection info should be only one");
  if (infos.length === 1 && databases.length === 1) {
    refuse("the collection info and db collection info should be only one");
  }
  if (infos.length === 1) checkCollections(infos, max_name_length);
  for (const [db, inside] of databases) {
    if (db.length > max_name_length) refuse(`the db name length exceeds ${max_name_length} characters, ${db}`);
    checkCollections(inside, max_name_length);
  }
  if (rpc.name !== "" && replicate_channel !== undefined && rpc.name !== replicate_channel) {
    refuse("the rpc channel is invalid, the channel name should be the same as the source config");
  }
  if (rpc.position !== "") decodePosition(rpc.position, "fail to decode the rpc position data");
}

function checkTarget({ milvus_connect_param: milvus, kafka_connect_param: kafka }: CreateRequest): void {
  const none = milvus.uri === "" && milvus.host === "" && milvus.port <= 0;
  if (none && kafka.address === "") refuse("the downstream address is empty");
  if (!none && kafka.address !== "") refuse("don't support milvus and kafka at the same time now");
  if (!none) {
    if (milvus.uri === "" && milvus.host === "") refuse("the milvus host is empty");
    if (milvus.uri === "" && milvus.port <= 0) refuse("the milvus port is less or equal zero");
    if ((milvus.username === "") !== (milvus.password === "")) {
      refuse("cannot set only one of the milvus username and password");
    }
    if (milvus.connect_timeout < 0) refuse("the milvus connect timeout is less zero");
    return;
  }
  if (kafka.topic === "") refuse("the kafka topic is empty");
  refuse("kafka_connect_param: Tidemark writes into a Milvus, or a backup, and not into Kafka");
}

function checkCollections(infos: readonly CollectionInfo[], longest: number): void {
  if (infos.length === 0) refuse("empty collection info");
  if (infos.length !== 1) refuse("the collection info should be only one.");
  checkPositions(infos);
  if (infos.some(({ name }) => name === "")) refuse("there is a collection name that is empty. ");
  const long = infos.map(({ name }) => name).filter((name) => name.length > longest);
  if (long.length > 0) {
    refuse(`there are some collection names whose length exceeds ${longest} characters, [${long.join(" ")}]`);
  }
}

/** `uri`, or what the older keys say. */
export function targetUri({ uri, host, port, enable_tls }: MilvusConnectParam): string {
  if (uri !== "") return uri;
  return /https?:\/\//.test(host) ? host : `${enable_tls ? "https" : "http"}://${host}:${port}`;
}
