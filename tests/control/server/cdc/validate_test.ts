/** The cases of milvus-cdc's own `TestValidCreateRequest`, and those beside it in its code. */
import assert from "node:assert/strict";
import type { CdcFailure } from "../../../../control/server/cdc/failure.ts";
import { decodeData } from "../../../../control/server/cdc/request.ts";
import { targetUri, validateCreate } from "../../../../control/server/cdc/validate.ts";

const LIMITS = { max_name_length: 6, replicate_channel: "foo" };
const milvus = { host: "localhost", port: 19530, connect_timeout: 10 };
const star = { milvus_connect_param: milvus, collection_infos: [{ name: "*" }] };
const POSITION = "CgRmb28xEgEB";

function said(data: object): string {
  try {
    validateCreate(decodeData("create", data), LIMITS);
    return "ok";
  } catch (error) {
    return `${(error as CdcFailure).code} ${(error as Error).message}`;
  }
}

Deno.test("validateCreate refuses what milvus-cdc refuses, in its words", () => {
  const at = (name: string, positions: Record<string, string>) => ({
    ...star,
    collection_infos: [{ name, positions }],
  });
  const cases: [object, string | RegExp][] = [
    [{}, "400 the downstream address is empty"],
    [{ milvus_connect_param: { port: 19530 } }, "400 the milvus host is empty"],
    [{ milvus_connect_param: { host: "localhost" } }, "400 the milvus port is less or equal zero"],
    [
      { milvus_connect_param: { host: "localhost", port: 19530, password: "xxx" } },
      "400 cannot set only one of the milvus username and password",
    ],
    [{ milvus_connect_param: { ...milvus, connect_timeout: -1 } }, "400 the milvus connect timeout is less zero"],
    [{ kafka_connect_param: { address: "kafka:9092" } }, "400 the kafka topic is empty"],
    [{ kafka_connect_param: { address: "kafka:9092", topic: "t" } }, /^400 kafka_connect_param: /],
    [
      { ...star, kafka_connect_param: { address: "kafka:9092" } },
      "400 don't support milvus and kafka at the same time now",
    ],
    [{ milvus_connect_param: milvus, buffer_config: { period: -1 } }, "400 the cache period is less zero"],
    [{ milvus_connect_param: milvus, buffer_config: { period: 10, size: -1 } }, "400 the cache size is less zero"],
    [{ milvus_connect_param: milvus, collection_infos: [] }, "400 the collection info is empty"],
    [{ ...star, collection_infos: [{ name: "a" }, { name: "b" }] }, "400 the collection info should be only one"],
    [
      { ...star, db_collections: { a: [{ name: "b" }] } },
      "400 the collection info and db collection info should be only one",
    ],
    [{ milvus_connect_param: milvus, db_collections: { a: [] } }, "400 empty collection info"],
    [
      { milvus_connect_param: milvus, db_collections: { longlong: [{ name: "b" }] } },
      /^400 the db name length exceeds 6/,
    ],
    [{ ...star, collection_infos: [{ name: "foofoofoo" }] }, /^400 there are some collection names whose length/],
    [{ ...star, collection_infos: [{}] }, /^400 there is a collection name that is empty/],
    [{ ...star, rpc_channel_info: { name: "noo" } }, /^400 the rpc channel is invalid/],
    [{ ...star, rpc_channel_info: { name: "foo", position: "?" } }, /^500 fail to decode the rpc position data/],
    [at("*", { a_1v0: POSITION }), "400 the collection name is `*`, the positions should be empty"],
    [at("a", { dml_0: POSITION }), "400 the position channel name is not virtual channel, dml_0"],
    [
      at("a", { dml_0_1v0: POSITION, dml_1_2v1: POSITION }),
      "400 the channel position info should be in the same collection",
    ],
    [at("a", { dml_0_1v0: "CgRm" }), /^500 fail to decode the position data/],
    [at("a", { dml_0_1v0: POSITION, dml_1_1v1: POSITION }), "ok"],
    [{ ...star, rpc_channel_info: { name: "foo" }, buffer_config: { period: 10, size: 10 } }, "ok"],
  ];
  for (const [data, expected] of cases) {
    if (typeof expected === "string") assert.equal(said(data), expected);
    else assert.match(said(data), expected);
  }
});

Deno.test("targetUri is the uri, or made of the older keys", () => {
  const uri = (data: object) => targetUri(decodeData("create", { milvus_connect_param: data }).milvus_connect_param);
  assert.equal(uri({ uri: "http://a:1", host: "b", port: 2 }), "http://a:1");
  assert.equal(uri({ host: "b", port: 2 }), "http://b:2");
  assert.equal(uri({ host: "b", port: 2, enable_tls: true }), "https://b:2");
  assert.equal(uri({ host: "https://b:2", port: 2 }), "https://b:2");
});
