import assert from "node:assert/strict";
import { create } from "@bufbuild/protobuf";
import type { ErrorCode } from "../../../pipeline/errors.ts";
import { StatusSchema } from "../../../pipeline/proto/gen/common_pb.ts";
import {
  isContentRefusal,
  isSuccess,
  isTooLargeFault,
  rpcFault,
  serverWords,
  statusFault,
} from "../../../sinks/milvus/fault.ts";

const status = (code: number, errorCode: number, reason: string, retriable = false) =>
  create(StatusSchema, { code, errorCode, reason, retriable });

Deno.test("statusFault tells throttling, absence, missing rights and refusal apart", () => {
  const cases: readonly [number, number, string, boolean, string][] = [
    [8, 49, "request is rejected by grpc RateLimiter middleware, please retry later", true, "throttled"],
    [9, 48, "the writing has been deactivated by the administrator: force deny", false, "throttled"],
    [3, 53, "memory quota exceeded, please allocate more resources", false, "throttled"],
    [7, 54, "disk quota exceeded", false, "throttled"],
    [11, 55, "time tick long delay", false, "throttled"],
    [0, 49, "rate limit exceeded", false, "throttled"],
    [65535, 1, "request is rejected by grpc RateLimiter middleware, rate limit exceeded", false, "throttled"],
    [1, 56, "service not ready", true, "unreachable"],
    [1, 1, "alias 'x' already exists", false, "refused"],
    [0, 57, "coordinator is activating", false, "unreachable"],
    [106, 1, "collection on recovering", true, "unreachable"],
    [9999, 1, "something new that passes by itself", true, "unreachable"],
    [12, 52, "service resource insufficient", true, "refused"],
    [100, 4, "collection not found", false, "not_found"],
    [800, 1, "database not found[database=nodb]", false, "not_found"],
    [6, 6, "database 'nodb' does not exist", false, "not_found"],
    [1401, 3, "privilege not permitted", false, "authentication"],
    [0, 3, "permission deny", false, "authentication"],
    [1100, 5, "invalid parameter[expected=4][actual=5]", false, "refused"],
    [65535, 1, "default partition cannot be deleted", false, "refused"],
    [65535, 1, "unrecoverable error", false, "refused"],
    [65535, 1, "attempt #0: rpc error: code = DeadlineExceeded desc = context deadline exceeded", false, "unreachable"],
    [10, 1, "service unimplemented", false, "unsupported"],
  ];
  for (const [code, legacy, reason, retriable, expected] of cases) {
    const error = statusFault(status(code, legacy, reason, retriable), "do it");
    assert.equal(error.code, expected, `${code}/${legacy} ${reason}`);
    assert.match(error.message, /do it/);
    assert.ok(error.message.includes(reason));
  }
});

Deno.test("rpcFault leaves out the empty note that the client appends", () => {
  const details = "No connection established. Last error: connect ECONNREFUSED. Resolution note: ";
  assert.equal(
    rpcFault(14, details, "dr:19530", 1000).message,
    "Milvus at dr:19530 cannot be reached: No connection established. Last error: connect ECONNREFUSED",
  );
});

Deno.test("rpcFault tells an absent server from a refused login, a limit and a broken request", () => {
  const cases: readonly [number, string, string][] = [
    [14, "No connection established", "unreachable"],
    [4, "Deadline exceeded", "unreachable"],
    [13, "Received RST_STREAM with code 2", "unreachable"],
    [13, "grpc: error while marshaling: proto: Marshal called with nil", "refused"],
    [16, "auth check failure, please check username and password are correct", "authentication"],
    [2, "auth check failure, please check username and password are correct", "authentication"],
    [2, "proxy not ready", "unreachable"],
    [2, "what is this", "refused"],
    [8, "Received message larger than max (70000000 vs 67108864)", "refused"],
    [8, "rate limit", "throttled"],
    [12, "unknown method AlterDatabase", "unsupported"],
  ];
  for (const [code, details, expected] of cases) {
    assert.equal(rpcFault(code, details, "dr:19530", 1000).code, expected, details);
  }
});

Deno.test("isTooLargeFault recognises a message beyond the limit, so that it can be split", () => {
  assert.equal(isTooLargeFault(rpcFault(8, "grpc: received message larger than max (2 vs. 1)", "a:1", 1)), true);
  assert.equal(isTooLargeFault(rpcFault(8, "rate limit", "a:1", 1)), false);
  assert.equal(isTooLargeFault(new Error("larger than max")), false);
});

Deno.test("serverWords are the server's reason and number, nothing around them", () => {
  assert.equal(
    serverWords(statusFault(status(1602, 1, "alias already exist"), "x")),
    "alias already exist (code 1602)",
  );
  assert.equal(serverWords(statusFault(status(0, 25, "gone"), "x")), "gone (error_code 25)");
  assert.equal(serverWords(rpcFault(12, "unknown method X", "a:1", 1)), "unknown method X (gRPC status 12)");
});

Deno.test("isSuccess takes an absent Status and looks at both codes", () => {
  assert.equal(isSuccess(undefined), true);
  assert.equal(isSuccess(status(0, 0, "")), true);
  assert.equal(isSuccess(status(0, 1, "x")), false);
  assert.equal(isSuccess(status(100, 0, "x")), false);
});

/**
 * Every number that a proxy of 2.3 to 3.0 can answer a write, a delete, a query or a change of structure with, as
 * pkg/util/merr/errors.go of a release declares it: [number, retriable, from, to, what it means here, may be about the rows].
 */
const DECLARED: readonly (readonly [number, boolean, string, string, ErrorCode, boolean])[] = [
  [1, true, "2.3", "3.0", "unreachable", false],
  [2, true, "2.3", "3.0", "unreachable", false],
  [3, false, "2.3", "3.0", "throttled", false],
  [4, true, "2.3", "3.0", "throttled", false],
  [5, false, "2.3", "3.0", "refused", false],
  [6, false, "2.3", "3.0", "refused", false],
  [7, false, "2.3", "3.0", "throttled", false],
  [8, true, "2.3", "3.0", "throttled", false],
  [9, false, "2.3", "3.0", "throttled", false],
  [10, false, "2.3", "3.0", "unsupported", false],
  [11, false, "2.4", "3.0", "throttled", false],
  [12, true, "2.4", "3.0", "refused", false],
  [100, false, "2.3", "3.0", "not_found", false],
  [101, false, "2.3", "3.0", "refused", false],
  [102, false, "2.3", "3.0", "refused", false],
  [103, true, "2.3", "3.0", "unreachable", false],
  [104, false, "2.4", "3.0", "refused", false],
  [105, false, "2.4", "3.0", "refused", false],
  [106, true, "2.4", "3.0", "unreachable", false],
  [107, false, "2.4", "3.0", "refused", false],
  [108, false, "2.5", "3.0", "refused", false],
  [109, false, "2.6", "3.0", "unreachable", false],
  [110, true, "3.0", "3.0", "unreachable", false],
  [200, false, "2.3", "3.0", "not_found", false],
  [201, false, "2.3", "3.0", "refused", false],
  [202, true, "2.3", "3.0", "unreachable", false],
  [250, false, "2.4", "3.0", "refused", false],
  [300, false, "2.3", "3.0", "refused", false],
  [302, false, "2.4", "3.0", "refused", false],
  [305, true, "2.4", "3.0", "unreachable", false],
  [400, false, "2.3", "3.0", "refused", false],
  [401, false, "2.3", "3.0", "unreachable", false],
  [500, false, "2.3", "3.0", "unreachable", false],
  [501, false, "2.3", "3.0", "unreachable", false],
  [502, false, "2.3", "3.0", "refused", false],
  [503, false, "2.4", "3.0", "unreachable", false],
  [504, false, "2.4", "3.0", "throttled", false],
  [505, true, "3.0", "3.0", "unreachable", false],
  [507, true, "3.0", "3.0", "unreachable", false],
  [600, false, "2.3", "3.0", "refused", false],
  [601, false, "2.3", "3.0", "unreachable", false],
  [602, false, "2.3", "3.0", "unreachable", false],
  [604, false, "2.4", "3.0", "refused", false],
  [700, false, "2.3", "3.0", "not_found", false],
  [701, false, "2.4", "3.0", "refused", false],
  [702, false, "2.4", "3.0", "refused", false],
  [800, false, "2.3", "3.0", "not_found", false],
  [801, false, "2.3", "3.0", "refused", false],
  [901, false, "2.3", "3.0", "unreachable", false],
  [902, false, "2.3", "3.0", "unreachable", false],
  [903, false, "2.3", "3.0", "unreachable", false],
  [904, false, "2.3", "3.0", "unreachable", false],
  [905, false, "2.4", "3.0", "unreachable", false],
  [906, false, "2.4", "3.0", "unreachable", false],
  [1000, false, "2.3", "3.0", "refused", false],
  [1001, false, "2.3", "3.0", "refused", false],
  [1002, true, "2.4", "3.0", "unreachable", false],
  [1003, true, "2.6", "3.0", "unreachable", false],
  [1008, false, "3.0", "3.0", "refused", false],
  [1100, false, "2.3", "3.0", "refused", true],
  [1101, false, "2.4", "3.0", "refused", true],
  [1102, false, "2.4", "3.0", "refused", true],
  [1300, false, "2.3", "3.0", "refused", false],
  [1302, false, "2.3", "3.0", "unreachable", false],
  [1303, false, "2.4", "3.0", "throttled", false],
  [1400, false, "2.3", "3.0", "authentication", false],
  [1401, false, "2.3", "3.0", "authentication", false],
  [1600, false, "2.3", "3.0", "not_found", false],
  [1602, false, "2.4", "3.0", "refused", false],
  [1700, false, "2.4", "3.0", "refused", true],
  [1701, false, "2.4", "3.0", "refused", true],
  [1804, false, "2.4", "3.0", "refused", true],
  [1807, true, "2.4", "3.0", "throttled", false],
  [2000, false, "2.4", "3.0", "refused", false],
  [2001, false, "2.4", "3.0", "refused", false],
  [2100, false, "2.4", "3.0", "refused", false],
  [2101, false, "3.0", "3.0", "refused", false],
  // A segcore error up to 2.5, "inconsistent requery result" from then on: its flag tells them apart.
  [2200, false, "2.4", "2.5", "refused", false],
  [2200, true, "2.6", "3.0", "unreachable", false],
  [2201, false, "2.4", "3.0", "refused", false],
  [2400, false, "3.0", "3.0", "refused", false],
  [2500, false, "2.6", "3.0", "refused", false],
  [3000, false, "2.4", "3.0", "unsupported", false],
  [10_000, true, "2.3", "3.0", "unreachable", false],
  [10_001, true, "2.3", "3.0", "unreachable", false],
  [65_535, false, "2.3", "3.0", "refused", true],
];

Deno.test("statusFault knows what each number of 2.3 to 3.0 means, and only of some that rows can be to blame", () => {
  for (const [code, retriable, from, to, meaning, isContent] of DECLARED) {
    const error = statusFault(status(code, 1, "words", retriable), "insert 2 rows");
    assert.deepEqual([error.code, isContentRefusal(error)], [meaning, isContent], `${code} of ${from} to ${to}`);
  }
});
