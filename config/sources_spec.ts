/** The three parts of a running source, as a pipeline and `cdc:` of a server write them. */
import { z } from "zod";
import { binlogSpec } from "../sources/binlog/spec.ts";
import { dumpLogSpec } from "../sources/log/dump/spec.ts";
import { filesLogSpec } from "../sources/log/files/spec.ts";
import { kafkaLogSpec } from "../sources/log/kafka/spec.ts";
import { pulsarLogSpec } from "../sources/log/pulsar/spec.ts";
import { woodpeckerLogSpec } from "../sources/log/woodpecker/spec.ts";
import { etcdMetaSpec } from "../sources/meta/spec.ts";

export const metaOfSource = z.discriminatedUnion("type", [etcdMetaSpec]);
export const logOfSource = z.discriminatedUnion("type", [
  kafkaLogSpec,
  pulsarLogSpec,
  woodpeckerLogSpec,
  dumpLogSpec,
  filesLogSpec,
]);
export const binlogsOfSource = binlogSpec;
