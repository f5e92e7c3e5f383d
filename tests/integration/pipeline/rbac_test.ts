/** Users, roles and grants: at the start, while following, and where a password is missing. */
import assert from "node:assert/strict";
import type { PyMilvus } from "../../stack/pymilvus.ts";
import { eventually } from "../../stack/eventually.ts";
import { small, withServers } from "./servers.ts";
import { TidemarkSetup } from "./tidemark_process.ts";

const PREFIX = "h9r_";
const [ANN, BOB, EVE] = ["ann", "bob", "eve"].map((name) => `${PREFIX}${name}`) as [string, string, string];
const [READER, WRITER] = [`${PREFIX}reader`, `${PREFIX}writer`];

interface Rbac {
  users: Record<string, string[]>;
  roles: Record<string, string[][]>;
}

/** What is the tests' own of a server's users and roles. */
async function rbacOf(server: PyMilvus): Promise<Rbac> {
  const { users, roles } = await server.call("describe_rbac", {}) as unknown as Rbac;
  const own = <T>(all: Record<string, T>) =>
    Object.fromEntries(Object.entries(all).filter(([name]) => name.startsWith(PREFIX)).sort());
  return { users: own(users), roles: own(roles) };
}

async function cleanRbac(server: PyMilvus): Promise<void> {
  const { users, roles } = await rbacOf(server);
  for (const [user, bound] of Object.entries(users)) {
    for (const role of bound) await server.call("remove_user_from_role", { user, role });
    await server.call("drop_user", { user });
  }
  for (const [role, grants] of Object.entries(roles)) {
    for (const [object, object_name, privilege, db] of grants) {
      await server.call("revoke", { role, object, object_name, privilege, db });
    }
    await server.call("drop_role", { role });
  }
}

Deno.test("run with rbac carries users with known passwords, roles, grants and bindings, and says whose password is missing", async () => {
  await withServers(PREFIX, async ({ env, source, target }) => {
    const [sales, dr] = [`${PREFIX}sales`, `${PREFIX}sales_dr`];
    for (const server of [source, target]) await cleanRbac(server);
    try {
      await source.call("create_database", { name: sales });
      await source.call("create_collection", small("items", { db: sales }));
      for (const user of [ANN, BOB]) await source.call("create_user", { user, password: "right-Horse-7" });
      for (const role of [READER, WRITER]) await source.call("create_role", { role });
      await source.call("add_user_to_role", { user: ANN, role: READER });
      const read = { role: READER, object: "Collection", object_name: "items", privilege: "Query", db: sales };
      await source.call("grant", read);
      await source.call("grant", { role: READER, object: "Global", object_name: "*", privilege: "ShowCollections" });
      const passwords = await Deno.makeTempFile({ suffix: ".json" });
      await Deno.writeTextFile(passwords, JSON.stringify({ [ANN]: "right-Horse-7", [EVE]: "other-Horse-8" }));
      await using setup = await TidemarkSetup.make({
        env,
        include: [`${sales}.*`],
        route: [{ from: `${sales}.*`, to: `${dr}.*` }],
        // Grants are made in the name of a user, also where the server asks for no login.
        sink: { token: "root:Milvus", rbac: true, rbac_passwords_file: passwords },
      });
      const run = setup.start(["run"]);
      // Grants name databases as the target calls them; BOB has no password.
      const expected = async (): Promise<Rbac> => {
        const { users, roles } = await rbacOf(source);
        delete users[BOB];
        for (const grants of Object.values(roles)) for (const one of grants) if (one[3] === sales) one[3] = dr;
        return { users, roles };
      };
      let told = "";
      const alike = async (what: string) => {
        await eventually(what, async () => {
          const [a, b] = [await expected(), await rbacOf(target)];
          told = `${JSON.stringify(a)} ${JSON.stringify(b)}`;
          return JSON.stringify(a) === JSON.stringify(b);
        }).catch(async (error) => {
          throw new Error(`${error.message}: ${told}\n${(await run.stop()).stderr}`);
        });
      };
      await alike("users, roles and grants are there");

      await source.call("create_user", { user: EVE, password: "other-Horse-8" });
      await source.call("add_user_to_role", { user: EVE, role: WRITER });
      await source.call("grant", { ...read, role: WRITER, privilege: "Insert" });
      await source.call("revoke", read);
      await source.call("remove_user_from_role", { user: ANN, role: READER });
      await alike("changes are carried");
      await source.call("drop_user", { user: ANN });
      await source.call("revoke", { role: READER, object: "Global", object_name: "*", privilege: "ShowCollections" });
      await source.call("drop_role", { role: READER });
      await alike("drops are carried");

      const report = await run.stop();
      await Deno.remove(passwords);
      const said = report.stdout + report.stderr;
      assert.match(said, new RegExp(`${BOB}.*password`));
      assert.match(said, /rbac_passwords_file/);
      assert.doesNotMatch(said, /Horse/);
      await target.call("drop_user", { user: EVE }).catch(() => {});
    } finally {
      for (const server of [source, target]) await cleanRbac(server);
    }
  });
});
