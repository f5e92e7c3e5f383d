/** Brings users, roles, grants and privilege groups of the target to what the source has. */
import { Buffer } from "node:buffer";
import { assertNever, TidemarkError } from "../../../pipeline/errors.ts";
import type { DdlGate, DdlOutcome, Grant, Rbac } from "../../../pipeline/model/mod.ts";
import {
  OperatePrivilegeGroupType,
  OperatePrivilegeType,
  OperateUserRoleType,
} from "../../../pipeline/proto/gen/milvus_pb.ts";
import { unless } from "../actual.ts";
import { METHOD, type MilvusClient, type Request } from "../client.ts";
import { plainStep, type RunnableStep, runSteps } from "./execute.ts";
import { type ActualRbac, planRbac, type RbacPlanOptions, type RbacStep } from "../plan/rbac.ts";

export async function readRbac(client: MilvusClient, signal: AbortSignal): Promise<ActualRbac> {
  const request = (what: string): Request => ({ what, db: "", signal });
  const roles = await client.call(METHOD.selectRole, {}, request("list the roles"));
  const users = await client.call(METHOD.selectUser, { includeRoleInfo: true }, request("list the users"));
  const groups = await unless(
    ["unsupported"],
    client.call(METHOD.listPrivilegeGroups, {}, request("list the privilege groups")),
  );
  const names = roles.results.flatMap((one) => one.role === undefined ? [] : [one.role.name]);
  const listed = await unless(["unsupported"], client.call(METHOD.listDatabases, {}, request("list the databases")));
  // "*" means every database since 2.4; before, grants are told one database at a time.
  const databases = ["*", ...(listed?.dbNames ?? ["default"])];
  const grants = new Map<string, Grant>();
  for (const name of names) {
    for (const dbName of databases) {
      const answer = await client.call(
        METHOD.selectGrant,
        { entity: { role: { name }, dbName } },
        request(`list the grants of the role ${name}`),
      );
      for (const one of answer.entities) {
        const grant: Grant = {
          role: one.role?.name ?? name,
          objectType: one.object?.name ?? "",
          object: one.objectName,
          dbName: one.dbName,
          privilege: one.grantor?.privilege?.name ?? "",
          grantor: one.grantor?.user?.name ?? "",
        };
        grants.set(JSON.stringify({ ...grant, grantor: "" }), grant);
      }
    }
  }
  return {
    roles: names,
    users: new Map(users.results.map((one) => [one.user?.name ?? "", one.roles.map((role) => role.name)])),
    grants: [...grants.values()],
    privilegeGroups: new Map(
      (groups?.privilegeGroups ?? []).map((one) => [one.groupName, one.privileges.map((privilege) => privilege.name)]),
    ),
  };
}

/** The metadata has `PrivilegeQuery` and `PrivilegeGroupClusterReadOnly` for what the API calls `Query` and `ClusterReadOnly`. */
export function privilegeName(stored: string): string {
  return stored.replace(/^Privilege(?:Group)?(?=.)/, "");
}

/** With the names of the API. */
function asApiNames(rbac: Rbac): Rbac {
  return {
    ...rbac,
    grants: rbac.grants.map((one) => ({ ...one, privilege: privilegeName(one.privilege) })),
    privilegeGroups: rbac.privilegeGroups.map(({ name, privileges }) => ({
      name,
      privileges: privileges.map(privilegeName),
    })),
  };
}

export async function reconcileRbac(
  client: MilvusClient,
  wanted: Rbac,
  options: RbacPlanOptions,
  gate: DdlGate,
  signal: AbortSignal,
): Promise<DdlOutcome[]> {
  const actual = await unless(["unsupported"], readRbac(client, signal));
  if (actual === undefined) {
    return [{
      kind: "rbac",
      collectionId: undefined,
      sentence: "Carry users, roles and grants",
      destructive: false,
      result: "refused",
      detail: "The target has no users, roles and grants",
    }];
  }
  const runnable: RunnableStep[] = planRbac(asApiNames(wanted), actual, options).map((step) => ({
    step: plainStep(step),
    essential: false,
    run: () => executeRbac(client, step, signal),
  }));
  return await runSteps(runnable, gate);
}

async function executeRbac(client: MilvusClient, step: RbacStep, signal: AbortSignal): Promise<void> {
  const { action } = step;
  const request: Request = { what: step.sentence.charAt(0).toLowerCase() + step.sentence.slice(1), db: "", signal };
  switch (action.do) {
    case "create_group":
      await client.call(METHOD.createPrivilegeGroup, { groupName: action.group }, request);
      return;
    case "drop_group":
      await client.call(METHOD.dropPrivilegeGroup, { groupName: action.group }, request);
      return;
    case "add_privileges":
    case "remove_privileges":
      await client.call(METHOD.operatePrivilegeGroup, {
        groupName: action.group,
        privileges: action.privileges.map((name) => ({ name })),
        type: action.do === "add_privileges"
          ? OperatePrivilegeGroupType.AddPrivilegesToGroup
          : OperatePrivilegeGroupType.RemovePrivilegesFromGroup,
      }, request);
      return;
    case "create_role":
      await client.call(METHOD.createRole, { entity: { name: action.role } }, request);
      return;
    case "drop_role":
      await client.call(METHOD.dropRole, { roleName: action.role }, request);
      return;
    case "grant":
    case "revoke":
      await operateGrant(client, action.grant, action.do === "grant", action.v2, request);
      return;
    case "create_user":
      // Milvus takes the password in base64.
      await client.call(METHOD.createCredential, {
        username: action.user,
        password: Buffer.from(action.password, "utf8").toString("base64"),
      }, request);
      return;
    case "drop_user":
      await client.call(METHOD.deleteCredential, { username: action.user }, request);
      return;
    case "bind":
    case "unbind":
      await client.call(METHOD.operateUserRole, {
        username: action.user,
        roleName: action.role,
        type: action.do === "bind" ? OperateUserRoleType.AddUserToRole : OperateUserRoleType.RemoveUserFromRole,
      }, request);
      return;
    case "impossible":
      throw new TidemarkError("refused", action.reason);
    default:
      assertNever(action);
  }
}

async function operateGrant(
  client: MilvusClient,
  grant: Grant,
  give: boolean,
  v2: boolean,
  request: Request,
): Promise<void> {
  const type = give ? OperatePrivilegeType.Grant : OperatePrivilegeType.Revoke;
  const grantor = { privilege: { name: grant.privilege } };
  if (v2) {
    await client.call(METHOD.operatePrivilegeV2, {
      role: { name: grant.role },
      grantor,
      type,
      dbName: grant.dbName || "*",
      collectionName: grant.object || "*",
    }, request);
    return;
  }
  await client.call(METHOD.operatePrivilege, {
    type,
    entity: {
      role: { name: grant.role },
      object: { name: grant.objectType },
      objectName: grant.object,
      dbName: grant.dbName,
      grantor,
    },
  }, request);
}
