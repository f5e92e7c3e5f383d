/** Users, roles, grants and privilege groups: from what is wanted and what the target has to the steps between. Pure. */
import type { DdlStep, ForeignThing, Grant, Rbac, Thing, Whose } from "../../../pipeline/model/mod.ts";
import { type Change, type Consent, verdictOf } from "../../../pipeline/transforms/mod.ts";
import { foreignThing } from "./step.ts";

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
  /** What the run made; what of it the source has no more is removed. */
  readonly whose: Whose;
  /** Change and remove also what the run did not make. */
  readonly mirror: boolean;
  /** The user the sink works as: never dropped, never unbound. */
  readonly self: string | undefined;
}

const BUILT_IN_ROLES: ReadonlySet<string> = new Set(["admin", "public"]);
const BUILT_IN_GROUP = /^(?:Cluster|Database|Collection)(?:ReadOnly|ReadWrite|Admin)$/;

interface Details {
  readonly makes?: readonly Thing[];
  readonly ends?: readonly Thing[];
  readonly foreign?: ForeignThing | undefined;
}

export function planRbac(wanted: Rbac, actual: ActualRbac, options: RbacPlanOptions): RbacStep[] {
  const plan = new RbacPlan(wanted, actual, options);
  plan.groups();
  plan.rolesAndGrants();
  plan.users();
  // Removal, in the reverse order: bindings, users, grants, roles, groups.
  plan.removeBindings();
  plan.removeUsers();
  plan.removeGrantsAndRoles();
  plan.removeGroups();
  return plan.steps;
}

class RbacPlan {
  readonly steps: RbacStep[] = [];
  readonly #wanted: Rbac;
  readonly #actual: ActualRbac;
  readonly #options: RbacPlanOptions;
  readonly #consents: readonly Consent[];
  readonly #groups: ReadonlySet<string>;

  constructor(wanted: Rbac, actual: ActualRbac, options: RbacPlanOptions) {
    this.#wanted = wanted;
    this.#actual = actual;
    this.#options = options;
    this.#consents = options.mirror ? ["rbac_mirror"] : [];
    this.#groups = new Set(wanted.privilegeGroups.map((one) => one.name));
  }

  #add(sentence: string, action: RbacAction, { makes, ends, foreign }: Details = {}, destructive = false): void {
    this.steps.push({
      kind: "rbac",
      collectionId: undefined,
      sentence,
      destructive,
      action,
      ...(makes === undefined ? {} : { makes }),
      ...(ends === undefined ? {} : { ends }),
      ...(foreign === undefined ? {} : { foreign }),
    });
  }

  /** What is in the way of a change to a thing that is there; `what` names it. */
  #foreign(change: Change, thing: Thing, what: string): ForeignThing | undefined {
    return foreignThing(change, this.#options.whose.made(thing) ? "run" : "foreign", what, this.#consents);
  }

  groups(): void {
    for (const { name, privileges } of this.#wanted.privilegeGroups) {
      const group = { kind: "privilege_group", name } as const;
      const have = this.#actual.privilegeGroups.get(name);
      if (have === undefined) {
        this.#add(`Create privilege group ${name}`, { do: "create_group", group: name }, { makes: [group] });
      }
      const missing = privileges.filter((one) => !have?.includes(one));
      const extra = (have ?? []).filter((one) => !privileges.includes(one));
      const foreign = have === undefined
        ? undefined
        : this.#foreign("alter_privilege_group", group, `The target has a privilege group ${name}`);
      if (missing.length > 0) {
        const action = { do: "add_privileges", group: name, privileges: missing } as const;
        this.#add(`Add ${missing.join(", ")} to privilege group ${name}`, action, { foreign });
      }
      if (extra.length > 0) {
        const action = { do: "remove_privileges", group: name, privileges: extra } as const;
        this.#add(`Remove ${extra.join(", ")} from privilege group ${name}`, action, { foreign });
      }
    }
  }

  rolesAndGrants(): void {
    const there = new Set(this.#actual.roles);
    for (const name of this.#wanted.roles) {
      if (BUILT_IN_ROLES.has(name) || there.has(name)) continue;
      this.#add(`Create role ${name}`, { do: "create_role", role: name }, { makes: [{ kind: "role", name }] });
    }
    const have = new Set(this.#actual.grants.map(grantKey));
    for (const grant of this.#wanted.grants) {
      if (have.has(grantKey(grant))) continue;
      const foreign = there.has(grant.role) || BUILT_IN_ROLES.has(grant.role)
        ? this.#foreign("grant", { kind: "role", name: grant.role }, `The target has a role ${grant.role}`)
        : undefined;
      const makes = [{ kind: "grant", text: grantKey(grant) }] as const;
      this.#add(`Grant ${grantText(grant)}`, { do: "grant", grant, v2: this.#isGroup(grant) }, { makes, foreign });
    }
  }

  users(): void {
    const { whose, passwords } = this.#options;
    const there = new Set(this.#actual.roles);
    for (const { name, roles } of this.#wanted.users) {
      const bound = this.#actual.users.get(name);
      if (bound === undefined && !this.#createUser(name, passwords.get(name))) continue;
      // One without any role was made by hand for this, since its password could not be copied.
      const user = { kind: "user", name } as const;
      const adopted = bound !== undefined && !whose.made(user) && bound.every((role) => BUILT_IN_ROLES.has(role));
      const taken = bound === undefined || adopted
        ? undefined
        : this.#foreign("bind_role", user, `The target has a user ${name}`);
      for (const role of roles) {
        if (bound?.includes(role)) continue;
        const foreignRole = there.has(role) && !BUILT_IN_ROLES.has(role)
          ? this.#foreign("bind_role", { kind: "role", name: role }, `The target has a role ${role}`)
          : undefined;
        this.#add(`Bind user ${name} to role ${role}`, { do: "bind", user: name, role }, {
          makes: [{ kind: "binding", user: name, role }],
          foreign: taken ?? foreignRole,
        });
      }
    }
  }

  /** Whether it can be. */
  #createUser(name: string, password: string | undefined): boolean {
    if (password === undefined) {
      this.#add(`Create user ${name}`, {
        do: "impossible",
        reason: "The source stores only a hash of the password. Name a password for this user in the file of " +
          "rbac_passwords_file, or create the user on the target by hand",
      });
      return false;
    }
    this.#add(`Create user ${name}`, { do: "create_user", user: name, password }, { makes: [{ kind: "user", name }] });
    return true;
  }

  removeBindings(): void {
    const wanted = new Map(this.#wanted.users.map((one) => [one.name, one.roles]));
    for (const [user, roles] of this.#actual.users) {
      const keep = wanted.get(user);
      if (keep === undefined || user === this.#options.self) continue;
      for (const role of roles) {
        const binding = { kind: "binding", user, role } as const;
        if (keep.includes(role) || !this.#removes("unbind_role", binding)) continue;
        this.#add(`Unbind user ${user} from role ${role}`, { do: "unbind", user, role }, { ends: [binding] });
      }
    }
  }

  removeUsers(): void {
    const wanted = new Set(this.#wanted.users.map(({ name }) => name));
    for (const name of this.#actual.users.keys()) {
      const user = { kind: "user", name } as const;
      if (wanted.has(name) || name === "root" || name === this.#options.self) continue;
      if (!this.#removes("drop_user", user)) continue;
      this.#add(`Drop user ${name}`, { do: "drop_user", user: name }, { ends: [user] }, true);
    }
  }

  removeGrantsAndRoles(): void {
    const { whose } = this.#options;
    const keep = new Set(this.#wanted.grants.map(grantKey));
    const revoked = new Set<string>();
    const revoke = (grant: Grant) => {
      const key = grantKey(grant);
      if (revoked.has(key)) return;
      revoked.add(key);
      const ends = [{ kind: "grant", text: key }] as const;
      this.#add(`Revoke ${grantText(grant)}`, { do: "revoke", grant, v2: this.#isGroup(grant) }, { ends });
    };
    for (const grant of this.#actual.grants) {
      const thing = { kind: "grant", text: grantKey(grant) } as const;
      if (keep.has(thing.text) || !this.#removes("revoke", thing)) continue;
      // What the built-in roles may do by themselves is the target's own business.
      if (BUILT_IN_ROLES.has(grant.role) && !whose.made(thing)) continue;
      revoke(grant);
    }
    for (const name of this.#actual.roles) {
      const role = { kind: "role", name } as const;
      if (BUILT_IN_ROLES.has(name) || this.#wanted.roles.includes(name) || !this.#removes("drop_role", role)) continue;
      // A role with grants cannot be dropped.
      for (const grant of this.#actual.grants) if (grant.role === name) revoke(grant);
      this.#add(`Drop role ${name}`, { do: "drop_role", role: name }, { ends: [role] }, true);
    }
  }

  removeGroups(): void {
    for (const name of this.#actual.privilegeGroups.keys()) {
      const group = { kind: "privilege_group", name } as const;
      if (BUILT_IN_GROUP.test(name) || this.#groups.has(name)) continue;
      if (!this.#removes("drop_privilege_group", group)) continue;
      this.#add(`Drop privilege group ${name}`, { do: "drop_group", group: name }, { ends: [group] }, true);
    }
  }

  /** What only the target has and the run did not make is nothing to say. */
  #removes(change: Change, thing: Thing): boolean {
    const verdict = verdictOf(change, this.#options.whose.made(thing) ? "run" : "foreign", this.#consents);
    return verdict === "go" || verdict === "taken";
  }

  #isGroup({ privilege }: Grant): boolean {
    return this.#groups.has(privilege) || BUILT_IN_GROUP.test(privilege);
  }
}

function grantKey({ role, objectType, object, dbName, privilege }: Grant): string {
  return JSON.stringify([role, objectType, object, dbName || "default", privilege]);
}

function grantText({ role, objectType, object, dbName, privilege }: Grant): string {
  const where = objectType === "Global" ? "" : ` on ${objectType} ${dbName || "default"}.${object}`;
  return `${privilege}${where} to role ${role}`;
}
