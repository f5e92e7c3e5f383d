"""Users, roles and grants."""
import base64

from connection import MilvusError
from ddl import list_databases
from pymilvus.grpc_gen import milvus_pb2 as pb
from registry import function


@function
def create_user(c, user, password):
    encoded = base64.b64encode(password.encode()).decode()
    c.call("CreateCredential", pb.CreateCredentialRequest(username=user, password=encoded))


@function
def update_password(c, user, old, new):
    encode = lambda text: base64.b64encode(text.encode()).decode()
    c.call("UpdateCredential", pb.UpdateCredentialRequest(username=user, oldPassword=encode(old), newPassword=encode(new)))


@function
def drop_user(c, user):
    c.call("DeleteCredential", pb.DeleteCredentialRequest(username=user))


@function
def create_role(c, role):
    c.call("CreateRole", pb.CreateRoleRequest(entity=pb.RoleEntity(name=role)))


@function
def drop_role(c, role):
    c.call("DropRole", pb.DropRoleRequest(role_name=role))


@function
def add_user_to_role(c, user, role):
    c.call("OperateUserRole", pb.OperateUserRoleRequest(username=user, role_name=role, type=0))


@function
def remove_user_from_role(c, user, role):
    c.call("OperateUserRole", pb.OperateUserRoleRequest(username=user, role_name=role, type=1))


@function
def grant(c, role, object, object_name, privilege, db=""):
    c.call("OperatePrivilege", privilege_request(role, object, object_name, privilege, db, 0), db)


@function
def revoke(c, role, object, object_name, privilege, db=""):
    c.call("OperatePrivilege", privilege_request(role, object, object_name, privilege, db, 1), db)


def privilege_request(role, object, object_name, privilege, db, operation):
    entity = pb.GrantEntity(
        role=pb.RoleEntity(name=role), object=pb.ObjectEntity(name=object), object_name=object_name, db_name=db,
        grantor=pb.GrantorEntity(privilege=pb.PrivilegeEntity(name=privilege)),
    )
    return pb.OperatePrivilegeRequest(entity=entity, type=operation)


@function
def describe_rbac(c):
    """{users: {name: [roles]}, roles: {name: [[object, object name, privilege, database]]}}"""
    users = c.call("SelectUser", pb.SelectUserRequest(include_role_info=True)).results
    roles = c.call("SelectRole", pb.SelectRoleRequest(include_user_info=False)).results
    return {
        "users": {u.user.name: sorted(r.name for r in u.roles) for u in users},
        "roles": {r.role.name: grants_of(c, r.role.name) for r in roles},
    }


def grants_of(c, role):
    """Grants are listed per database; a grant on every database has the name `*`."""
    found = set()
    for db in [*list_databases(c), "*"]:
        entity = pb.GrantEntity(role=pb.RoleEntity(name=role), db_name=db)
        try:
            answer = c.call("SelectGrant", pb.SelectGrantRequest(entity=entity))
        except MilvusError:
            continue
        found.update((e.object.name, e.object_name, e.grantor.privilege.name, e.db_name) for e in answer.entities)
    return sorted(map(list, found))
