/** Drives a Milvus through pymilvus, one command at a time; drops what it made when disposed. */
import { TextLineStream } from "./lines.ts";

const SCRIPT = `
import json, sys
from pymilvus import (connections, db, utility, Collection, CollectionSchema, FieldSchema, DataType, Role, Partition)
connections.connect(uri=sys.argv[1])
made = {"dbs": [], "roles": []}

def use(name):
    if name not in db.list_database():
        db.create_database(name)
    if name not in made["dbs"]:
        made["dbs"].append(name)
    db.using_database(name)

def plain(name):
    fields = [FieldSchema("id", DataType.INT64, is_primary=True), FieldSchema("v", DataType.FLOAT_VECTOR, dim=4)]
    return Collection(name, CollectionSchema(fields), shards_num=1)

def create_all_types(a):
    name = a["name"]
    if utility.has_collection(name):
        utility.drop_collection(name)
    F, D = FieldSchema, DataType
    schema = CollectionSchema([
        F("pk", D.VARCHAR, is_primary=True, max_length=64), F("b", D.BOOL), F("i8", D.INT8), F("i16", D.INT16),
        F("i32", D.INT32), F("i64", D.INT64), F("f", D.FLOAT), F("d", D.DOUBLE), F("s", D.VARCHAR, max_length=100),
        F("j", D.JSON), F("a", D.ARRAY, element_type=D.INT64, max_capacity=8), F("vec", D.FLOAT_VECTOR, dim=8),
    ], description="all of them", enable_dynamic_field=True)
    c = Collection(name, schema, shards_num=2, consistency_level="Session", properties={"collection.ttl.seconds": 86400})
    c.create_partition("p1")
    utility.create_alias(name, name + "_x")
    utility.create_alias(name, name + "_y")
    rows = [dict(pk=f"k{i}", b=i % 2 == 0, i8=i % 100, i16=i, i32=i, i64=i, f=i / 2, d=i / 3, s="s" * (i % 9),
                 j={"n": i}, a=[i, i + 1], vec=[float(i)] * 8, extra=i) for i in range(300)]
    c.insert(rows)
    c.flush()
    c.create_index("vec", {"index_type": "HNSW", "metric_type": "L2", "params": {"M": 8, "efConstruction": 64}}, index_name="by_vec")
    c.create_index("i64", index_name="by_i64")
    utility.wait_for_index_building_complete(name, "by_vec")
    c.load()

def describe(a):
    c = Collection(a["name"])
    d = c.describe()
    return dict(id=str(d["collection_id"]), fields=[dict(id=f["field_id"], name=f["name"], type=int(f["type"]),
                is_primary=bool(f.get("is_primary")), params=f["params"]) for f in d["fields"]],
                partitions=[p.name for p in c.partitions], aliases=list(d["aliases"]), shards=d["num_shards"],
                consistency=d["consistency_level"], properties=d.get("properties") or {}, description=d["description"],
                dynamic=d["enable_dynamic_field"],
                indexes=[dict(field=i.field_name, name=i.index_name, params=i.params) for i in c.indexes])

def drop_role(a):
    Role(a["name"]).drop()
    made["roles"].remove(a["name"])

def create_role(a):
    Role(a["name"]).create()
    made["roles"].append(a["name"])

calls = dict(
    create_database=lambda a: None,
    create_plain=lambda a: plain(a["name"]) and None,
    create_all_types=create_all_types, describe=describe,
    create_partition=lambda a: Collection(a["name"]).create_partition(a["partition"]) and None,
    drop_partition=lambda a: Collection(a["name"]).drop_partition(a["partition"]),
    create_alias=lambda a: utility.create_alias(a["name"], a["alias"]),
    drop_alias=lambda a: utility.drop_alias(a["alias"]),
    create_index=lambda a: Collection(a["name"]).create_index("v", {"index_type": "FLAT", "metric_type": "L2", "params": {}}) and None,
    drop_index=lambda a: Collection(a["name"]).drop_index(),
    load=lambda a: Collection(a["name"]).load(),
    load_partition=lambda a: Partition(Collection(a["name"]), a["partition"]).load(),
    release=lambda a: Collection(a["name"]).release(),
    set_ttl_twice=lambda a: [Collection(a["name"]).set_properties({"collection.ttl.seconds": a["ttl"]}) for _ in range(2)] and None,
    rename=lambda a: utility.rename_collection(a["name"], a["to"], a["db"]),
    drop=lambda a: utility.drop_collection(a["name"]),
    bulk_insert=lambda a: str(utility.do_bulk_insert(a["name"], [a["file"]])),
    create_role=create_role, drop_role=drop_role,
)

for line in sys.stdin:
    request = json.loads(line)
    try:
        args = request["args"]
        if "db" in args: use(args["db"])
        print(json.dumps({"ok": calls[request["call"]](args)}), flush=True)
    except Exception as e:
        print(json.dumps({"error": f"{e!r} {e}"}), flush=True)

for role in made["roles"]:
    Role(role).drop()
for name in made["dbs"]:
    db.using_database(name)
    for c in utility.list_collections():
        for alias in utility.list_aliases(c):
            utility.drop_alias(alias)
        utility.drop_collection(c)
    db.using_database("default")
    db.drop_database(name)
`;

export class Milvus implements AsyncDisposable {
  private constructor(
    private readonly process: Deno.ChildProcess,
    private readonly input: WritableStreamDefaultWriter<Uint8Array>,
    private readonly output: ReadableStreamDefaultReader<string>,
  ) {}

  static async start(env: Record<string, string>): Promise<Milvus> {
    const process = new Deno.Command(env["PYTHON"]!, {
      args: ["-c", SCRIPT, env["SOURCE_URI"]!],
      stdin: "piped",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    const lines = process.stdout.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream());
    return new Milvus(process, process.stdin.getWriter(), lines.getReader());
  }

  async call(call: string, args: Record<string, unknown>): Promise<unknown> {
    await this.input.write(new TextEncoder().encode(`${JSON.stringify({ call, args })}\n`));
    const { value } = await this.output.read();
    const answer = JSON.parse(value ?? `{"error": "the driver ended"}`);
    if (answer.error !== undefined) throw new Error(`${call}: ${answer.error}`);
    return answer.ok;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.input.close();
    while (!(await this.output.read()).done);
    const { success } = await this.process.status;
    if (!success) throw new Error("The driver could not drop what it made");
  }
}
