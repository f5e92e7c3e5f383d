/** Users, roles, grants and privilege groups: from what is wanted and what the target has to the steps between. Pure. */
import type { DdlStep, Grant, Rbac } from "../../../pipeline/model/mod.ts";

export interface ActualRbac {
  readonly users: ReadonlyMap<string, readonly string[]>;
  readonly roles: readonly string[];
  readonly grants: readonly Grant[];
  readonly privilegeGroups: ReadonlyMap<string, readonly string[]>;
}

export type RbacAction =
  | { readonly do: "create_group" | "drop_group"; readonly group: string }
  | {
    readonly do: "add_privileges" | "remove_privileges";
    readonly group: string;
    readonly privileges: readonly string[];
  }
  | { readonly do: "create_role" | "drop_role"; readonly role: string }
  /** `v2`: a privilege group, which only OperatePrivilegeV2 takes. */
  | { readonly do: "grant" | "revoke"; readonly grant: Grant; readonly v2: boolean }
  | { readonly do: "create_user"; readonly user: string; readonly password: string }
  | { readonly do: "drop_user"; readonly user: string }
  | { readonly do: "bind" | "unbind"; readonly user: string; readonly role: string }
  | { readonly do: "impossible"; readonly reason: string };

export interface RbacStep extends DdlStep {
  readonly action: RbacAction;
}

export interface RbacPlanOptions {
  /** Passwords of users to create. */
  readonly passwords: ReadonlyMap<string, string>;
  /** What the source had when it was last reconciled; what disappeared since is removed. */
  readonly before: Rbac | undefined;
  /** Remove also what only the target has. */
  readonly mirror: boolean;
  /** The user the sink works as: never dropped, never unbound. */
  readonly self: string | undefined;
}

const BUILT_IN_ROLES: ReadonlySet<string> = new Set(["admin", "public"]);
const BUILT_IN_GROUP = /^(?:Cluster|Database|Collection)(?:ReadOnly|ReadWrite|Admin)$/;

export function planRbac(wanted: Rbac, actual: ActualRbac, options: RbacPlanOptions): RbacStep[] {
  const steps: RbacStep[] = [];
  const add = (sentence: string, action: RbacAction, destructive = false): void =>
    void steps.push({ kind: "rbac", collectionId: undefined, sentence, destructive, action });
  const { before, mirror, passwords, self } = options;
  const groupNames = new Set(wanted.privilegeGroups.map((one) => one.name));

  for (const { name, privileges } of wanted.privilegeGroups) {
    const have = actual.privilegeGroups.get(name);
    if (have === undefined) add(`Create privilege group ${name}`, { do: "create_group", group: name });
    const missing = privileges.filter((one) => !have?.includes(one));
    const extra = (have ?? []).filter((one) => !privileges.includes(one));
    if (missing.length > 0) {
      add(`Add ${missing.join(", ")} to privilege group ${name}`, {
        do: "add_privileges",
        group: name,
        privileges: missing,
      });
    }
    if (extra.length > 0) {
      add(`Remove ${extra.join(", ")} from privilege group ${name}`, {
        do: "remove_privileges",
        group: name,
        privileges: extra,
      });
    }
  }

  for (const role of wanted.roles) {
    if (!BUILT_IN_ROLES.has(role) && !actual.roles.includes(role)) {
      add(`Create role ${role}`, { do: "create_role", role });
    }
  }

  const grantKey = (one: Grant): string =>
    JSON.stringify([one.role, one.objectType, one.object, one.dbName || "default", one.privilege]);
  const isGroup = (one: Grant): boolean => groupNames.has(one.privilege) || BUILT_IN_GROUP.test(one.privilege);
  const have = new Set(actual.grants.map(grantKey));
  const want = new Set(wanted.grants.map(grantKey));
  for (const grant of wanted.grants) {
    if (!have.has(grantKey(grant))) add(`Grant ${grantText(grant)}`, { do: "grant", grant, v2: isGroup(grant) });
  }

  const wantedUsers = new Map(wanted.users.map((one) => [one.name, one]));
  const unmade = new Set<string>();
  for (const { name } of wanted.users) {
    if (actual.users.has(name)) continue;
    const password = passwords.get(name);
    if (password !== undefined) add(`Create user ${name}`, { do: "create_user", user: name, password });
    else {
      unmade.add(name);
      add(`Create user ${name}`, {
        do: "impossible",
        reason: "The source stores only a hash of the password. Name a password for this user in the file of " +
          "rbac_passwords_file, or create the user on the target by hand",
      });
    }
  }
  for (const { name, roles } of wanted.users) {
    if (unmade.has(name)) continue;
    const bound = actual.users.get(name) ?? [];
    for (const role of roles) {
      if (!bound.includes(role)) add(`Bind user ${name} to role ${role}`, { do: "bind", user: name, role });
    }
  }

  // Removal, in the reverse order: bindings, users, grants, roles, groups.
  const removable = <T>(
    there: readonly T[],
    key: (one: T) => string,
    was: ReadonlySet<string>,
    now: ReadonlySet<string>,
  ) => there.filter((one) => !now.has(key(one)) && (mirror || was.has(key(one))));
  const beforeRoles = new Map(before?.users.map((one) => [one.name, new Set(one.roles)]) ?? []);
  for (const [user, roles] of actual.users) {
    const wantedUser = wantedUsers.get(user);
    if (wantedUser === undefined || user === self) continue;
    const gone = removable(roles, (one) => one, beforeRoles.get(user) ?? new Set(), new Set(wantedUser.roles));
    for (const role of gone) add(`Unbind user ${user} from role ${role}`, { do: "unbind", user, role });
  }
  const beforeUsers = new Set(before?.users.map((one) => one.name));
  for (const user of removable([...actual.users.keys()], (one) => one, beforeUsers, new Set(wantedUsers.keys()))) {
    if (user === "root" || user === self) continue;
    add(`Drop user ${user}`, { do: "drop_user", user }, true);
  }
  const dyingRoles = new Set(
    removable(actual.roles, (one) => one, new Set(before?.roles), new Set(wanted.roles))
      .filter((role) => !BUILT_IN_ROLES.has(role)),
  );
  for (const grant of removable(actual.grants, grantKey, new Set(before?.grants.map(grantKey)), want)) {
    // What the built-in roles may do by themselves is the target's own business.
    if (BUILT_IN_ROLES.has(grant.role) && !before?.grants.some((one) => grantKey(one) === grantKey(grant))) continue;
    add(`Revoke ${grantText(grant)}`, { do: "revoke", grant, v2: isGroup(grant) });
  }
  for (const role of dyingRoles) {
    // A role with grants cannot be dropped; those that nobody wants were revoked above when mirroring.
    for (const grant of actual.grants) {
      if (grant.role !== role || mirror || before?.grants.some((one) => grantKey(one) === grantKey(grant))) continue;
      add(`Revoke ${grantText(grant)}`, { do: "revoke", grant, v2: isGroup(grant) });
    }
    add(`Drop role ${role}`, { do: "drop_role", role }, true);
  }
  const beforeGroups = new Set(before?.privilegeGroups.map((one) => one.name));
  for (const group of removable([...actual.privilegeGroups.keys()], (one) => one, beforeGroups, groupNames)) {
    if (BUILT_IN_GROUP.test(group)) continue;
    add(`Drop privilege group ${group}`, { do: "drop_group", group }, true);
  }
  return steps;
}

function grantText({ role, objectType, object, dbName, privilege }: Grant): string {
  const where = objectType === "Global" ? "" : ` on ${objectType} ${dbName || "default"}.${object}`;
  return `${privilege}${where} to role ${role}`;
}
