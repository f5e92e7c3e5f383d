/** Users, roles and grants. */
import type { Grant, Rbac } from "../../pipeline/model/mod.ts";
import { parseJson } from "../../pipeline/json.ts";
import { PrivilegeGroupInfoSchema } from "../../pipeline/proto/gen/milvus_pb.ts";
import { decodeText, decodeValue } from "./decode.ts";
import { damagedKey, isTombstone, partsOf } from "./keys.ts";

/** Keys of root-coord/credential/ and root-coord/privilege-group/, as they are. */
export class RbacKeys {
  readonly #values = new Map<string, Uint8Array>();

  get size(): number {
    return this.#values.size;
  }

  apply(key: string, value: Uint8Array | undefined): void {
    if (value === undefined || isTombstone(value)) this.#values.delete(key);
    else this.#values.set(key, value);
  }

  /** Throws `damaged`. Lists are sorted by name. */
  build(): Rbac {
    const rolesOf = new Map<string, string[]>();
    for (const { rest } of this.#below("credential/user-role-mapping/")) {
      const [role, user] = [rest.at(-1)!, rest.at(-2) ?? ""];
      rolesOf.set(user, [...rolesOf.get(user) ?? [], role].sort());
    }
    return {
      users: [...this.#below("credential/users/")].map(({ key, rest, value }) => {
        const name = rest.at(-1)!;
        return { name, passwordHash: passwordHash(key, value), roles: rolesOf.get(name) ?? [] };
      }).sort(byName),
      roles: [...this.#below("credential/roles/")].map(({ rest }) => rest.at(-1)!).sort(),
      grants: this.#grants(),
      privilegeGroups: [...this.#below("privilege-group/")].map(({ key, rest, value }) => ({
        name: rest.join("/"),
        privileges: decodeValue(PrivilegeGroupInfoSchema, value, key).privileges.map(({ name }) => name),
      })).sort(byName),
    };
  }

  /** A grantee key names role, object type and object and points to an id, below which are the privileges. */
  #grants(): Grant[] {
    const privileges = new Map<string, { privilege: string; grantor: string }[]>();
    for (const { rest, value } of this.#below("credential/grantee-id/")) {
      const [privilege, id] = [rest.at(-1)!, rest.at(-2) ?? ""];
      privileges.set(id, [...privileges.get(id) ?? [], { privilege, grantor: decodeText(value) }]);
    }
    const grants: Grant[] = [];
    for (const { rest, value } of this.#below("credential/grantee-privileges/")) {
      const [object, objectType, role] = [rest.at(-1)!, rest.at(-2) ?? "", rest.at(-3) ?? ""];
      // Before databases there is only the object; names of databases have no dot.
      const dot = object.indexOf(".");
      for (const { privilege, grantor } of privileges.get(decodeText(value)) ?? []) {
        grants.push({
          role,
          objectType,
          object: object.slice(dot + 1),
          dbName: dot < 0 ? "default" : object.slice(0, dot),
          privilege,
          grantor,
        });
      }
    }
    const sortKey = (grant: Grant): string =>
      [grant.role, grant.objectType, grant.dbName, grant.object, grant.privilege].join("\0");
    return grants.sort((a, b) => sortKey(a) < sortKey(b) ? -1 : 1);
  }

  *#below(prefix: string): Generator<{ key: string; rest: string[]; value: Uint8Array }> {
    for (const [key, value] of this.#values) {
      if (!key.startsWith(`root-coord/${prefix}`)) continue;
      // A tenant, where one is set, stands in front of the name: names are taken from the end.
      yield { key, rest: partsOf(key, `root-coord/${prefix}`), value };
    }
  }
}

/** The value is JSON although everything else is protobuf. */
function passwordHash(key: string, value: Uint8Array): string {
  try {
    const info = parseJson(decodeText(value)) as { encrypted_password?: unknown };
    return typeof info.encrypted_password === "string" ? info.encrypted_password : "";
  } catch {
    // No cause: it could quote the value.
    throw damagedKey(key, "its value is no JSON");
  }
}

function byName(a: { name: string }, b: { name: string }): number {
  return a.name < b.name ? -1 : a.name > b.name ? 1 : 0;
}
