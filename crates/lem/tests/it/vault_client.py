"""Drives the secret store with hvac, as programs do. Arguments: address, file of the root token."""

import sys
import time

import hvac
from hvac import exceptions

address, token_file = sys.argv[1:]
root = hvac.Client(url=address, token=open(token_file).read().strip())
kv = root.secrets.kv.v2


def refused(kind, text, call, *arguments, **named):
    """The call is answered with this kind of error, and its sentence has the text."""
    try:
        answer = call(*arguments, **named)
    except kind as error:
        assert type(error) is kind, f"{type(error)}: {error}"
        assert text in str(error), f"{error!r} has no {text!r}"
        return error
    raise SystemExit(f"{call} was answered: {answer}")


def read(path, **named):
    return kv.read_secret_version(path, raise_on_deleted_version=True, **named)["data"]


def status():
    assert root.sys.is_initialized() and not root.sys.is_sealed()
    seal = root.sys.read_seal_status()
    assert seal["initialized"] and not seal["sealed"] and seal["version"], seal
    assert root.seal_status["sealed"] is False
    health = root.sys.read_health_status(method="GET")
    assert health["initialized"] and not health["sealed"] and not health["standby"], health
    assert root.sys.read_health_status(method="HEAD").status_code == 200
    assert root.ha_status["ha_enabled"] is False, root.ha_status
    assert root.is_authenticated() and not hvac.Client(url=address, token="no-such-token").is_authenticated()
    refused(exceptions.Forbidden, "permission denied", hvac.Client(url=address, token="no-such-token").auth.token.lookup_self)
    mounts = root.sys.list_mounted_secrets_engines()["data"]
    assert mounts["secret/"]["type"] == "kv" and mounts["secret/"]["options"]["version"] == "2", mounts
    assert "token/" in root.sys.list_auth_methods()["data"]


def versions():
    for n in (1, 2, 3):
        assert kv.create_or_update_secret("shop/db", secret={"password": f"p{n}"})["data"]["version"] == n
    assert read("shop/db")["data"] == {"password": "p3"}
    first = read("shop/db", version=1)
    assert first["data"] == {"password": "p1"} and first["metadata"]["version"] == 1, first
    kv.create_or_update_secret("shop/mail/eu", secret={"user": "postmaster"})
    assert sorted(kv.list_secrets("shop")["data"]["keys"]) == ["db", "mail/"]
    refused(exceptions.InvalidPath, "", kv.list_secrets, "nothing")
    refused(exceptions.InvalidPath, "", read, "shop/none")
    kv.patch("shop/db", secret={"user": "shop"})
    assert read("shop/db")["data"] == {"password": "p3", "user": "shop"}

    kv.delete_secret_versions("shop/db", versions=[1, 2])
    refused(exceptions.InvalidPath, "", read, "shop/db", version=2)
    deleted = kv.read_secret_version("shop/db", version=2, raise_on_deleted_version=False)["data"]
    assert deleted["data"] is None and deleted["metadata"]["deletion_time"], deleted
    kv.undelete_secret_versions("shop/db", versions=[2])
    assert read("shop/db", version=2)["data"] == {"password": "p2"}
    kv.destroy_secret_versions("shop/db", versions=[2])
    destroyed = refused(exceptions.InvalidPath, "", read, "shop/db", version=2).json["data"]
    assert destroyed["data"] is None and destroyed["metadata"]["destroyed"] is True, destroyed
    kv.delete_latest_version_of_secret("shop/db")
    refused(exceptions.InvalidPath, "", read, "shop/db")
    kv.undelete_secret_versions("shop/db", versions=[4])
    assert read("shop/db")["data"]["user"] == "shop"


def metadata():
    kv.update_metadata("shop/db", max_versions=5, cas_required=True, delete_version_after="1h", custom_metadata={"team": "shop"})
    data = kv.read_secret_metadata("shop/db")["data"]
    assert data["current_version"] == 4 and data["max_versions"] == 5 and data["cas_required"] is True, data
    assert data["delete_version_after"] in ("1h", "1h0m0s") and data["custom_metadata"] == {"team": "shop"}, data
    assert set(data["versions"]) == {"1", "2", "3", "4"}, data
    mismatch = "check-and-set parameter did not match the current version"
    refused(exceptions.InvalidRequest, mismatch, kv.create_or_update_secret, "shop/db", secret={"a": "b"}, cas=1)
    refused(exceptions.InvalidRequest, "check-and-set parameter required", kv.create_or_update_secret, "shop/db", secret={"a": "b"})
    assert kv.create_or_update_secret("shop/db", secret={"a": "b"}, cas=4)["data"]["version"] == 5
    refused(exceptions.InvalidRequest, mismatch, kv.create_or_update_secret, "shop/mail/eu", secret={"a": "b"}, cas=0)
    kv.create_or_update_secret("shop/new", secret={"a": "b"}, cas=0)
    subkeys = root.read("secret/subkeys/shop/db")["data"]
    assert subkeys["subkeys"] == {"a": None}, subkeys
    kv.configure(max_versions=20, mount_point="secret")
    assert kv.read_configuration()["data"]["max_versions"] == 20
    kv.delete_metadata_and_all_versions("shop/new")
    refused(exceptions.InvalidPath, "", kv.read_secret_metadata, "shop/new")


def old_engine():
    root.sys.enable_secrets_engine("kv", path="old", options={"version": "1"})
    one = root.secrets.kv.v1
    one.create_or_update_secret("a/b", secret={"x": "y"}, mount_point="old")
    assert one.read_secret("a/b", mount_point="old")["data"] == {"x": "y"}
    assert one.list_secrets("a", mount_point="old")["data"]["keys"] == ["b"]
    one.delete_secret("a/b", mount_point="old")
    refused(exceptions.InvalidPath, "", one.read_secret, "a/b", mount_point="old")
    root.sys.disable_secrets_engine("old")


def policies():
    text = 'path "secret/data/shop/*" { capabilities = ["read"] }\npath "secret/metadata/shop/*" { capabilities = ["list"] }'
    root.sys.create_or_update_policy("shop", text)
    assert "shop" in root.sys.list_policies()["data"]["policies"]
    assert root.sys.read_policy("shop")["data"]["rules"] == text
    assert root.sys.list_acl_policies()["data"]["keys"] and root.sys.read_acl_policy("shop")["data"]["policy"] == text
    as_map = {"path": {"secret/data/other": {"capabilities": ["read"]}}}
    root.sys.create_or_update_acl_policy("other", as_map)
    refused(exceptions.InvalidRequest, "failed to parse policy", root.sys.create_or_update_policy, "bad", 'path "x" {')

    made = root.auth.token.create(policies=["shop"], ttl="1h", display_name="web", meta={"for": "web"})["auth"]
    assert set(made["policies"]) == {"default", "shop"} and made["lease_duration"] == 3600 and made["renewable"], made
    shop = hvac.Client(url=address, token=made["client_token"])
    assert shop.secrets.kv.v2.read_secret_version("shop/db", raise_on_deleted_version=True)["data"]["data"] == {"a": "b"}
    denied = "permission denied"
    refused(exceptions.Forbidden, denied, shop.secrets.kv.v2.create_or_update_secret, "shop/db", secret={})
    refused(exceptions.Forbidden, denied, shop.secrets.kv.v2.read_secret_version, "else", raise_on_deleted_version=True)
    refused(exceptions.Forbidden, denied, shop.sys.create_or_update_policy, "mine", text)
    refused(exceptions.Forbidden, denied, shop.sys.seal)
    may = shop.sys.get_capabilities(["secret/data/shop/db", "secret/data/else"])["data"]
    assert may["secret/data/shop/db"] == ["read"] and may["secret/data/else"] == ["deny"], may
    tokens(shop, made)


def tokens(shop, made):
    self = shop.auth.token.lookup_self()["data"]
    assert self["display_name"] == "token-web" and self["meta"] == {"for": "web"} and 3500 < self["ttl"] <= 3600, self
    assert self["creation_ttl"] == 3600 and self["accessor"] == made["accessor"] and self["orphan"] is False, self
    renewed = shop.auth.token.renew_self(increment="2h")["auth"]
    assert renewed["lease_duration"] == 7200 and renewed["client_token"] == made["client_token"], renewed
    assert root.auth.token.lookup(made["client_token"])["data"]["policies"] == ["default", "shop"]
    assert root.auth.token.lookup_accessor(made["accessor"])["data"]["accessor"] == made["accessor"]
    assert made["accessor"] in root.auth.token.list_accessors()["data"]["keys"]
    assert root.auth.token.renew(made["client_token"], increment="1h")["auth"]["lease_duration"] == 3600
    assert root.auth.token.renew_accessor(made["accessor"])["auth"]["accessor"] == made["accessor"]

    once = hvac.Client(url=address, token=root.auth.token.create(policies=["shop"], num_uses=1)["auth"]["client_token"])
    once.auth.token.lookup_self()
    refused(exceptions.Forbidden, "permission denied", once.auth.token.lookup_self)
    orphan = root.auth.token.create_orphan(policies=["shop"])["auth"]
    assert root.auth.token.lookup(orphan["client_token"])["data"]["orphan"] is True
    root.auth.token.revoke_accessor(orphan["accessor"])
    refused(exceptions.Forbidden, "", root.auth.token.lookup, orphan["client_token"])
    short = root.auth.token.create(policies=["shop"], ttl="1s")["auth"]["client_token"]
    time.sleep(1.2)
    refused(exceptions.Forbidden, "permission denied", hvac.Client(url=address, token=short).auth.token.lookup_self)
    shop.auth.token.revoke_self()
    refused(exceptions.Forbidden, "permission denied", shop.auth.token.lookup_self)
    parent = root.auth.token.create(policies=["root"])["auth"]["client_token"]
    child = hvac.Client(url=address, token=parent).auth.token.create(policies=["shop"])["auth"]["client_token"]
    root.auth.token.revoke(parent)
    refused(exceptions.Forbidden, "", root.auth.token.lookup, child)


def logins():
    root.sys.enable_auth_method("approle")
    root.auth.approle.create_or_update_approle("web", token_policies=["shop"], token_ttl="10m", secret_id_num_uses=2)
    assert root.auth.approle.list_roles()["data"]["keys"] == ["web"]
    assert root.auth.approle.read_role("web")["data"]["token_policies"] == ["shop"]
    role = root.auth.approle.read_role_id("web")["data"]["role_id"]
    made = root.auth.approle.generate_secret_id("web", metadata={"host": "a"})["data"]
    web = hvac.Client(url=address)
    answer = web.auth.approle.login(role_id=role, secret_id=made["secret_id"])["auth"]
    assert web.token == answer["client_token"] and answer["lease_duration"] == 600, answer
    assert web.secrets.kv.v2.read_secret_version("shop/db", raise_on_deleted_version=True)["data"]["data"] == {"a": "b"}
    found = root.auth.approle.read_secret_id("web", made["secret_id"])["data"]
    assert found["metadata"] == {"host": "a"} and found["secret_id_num_uses"] == 1, found
    assert answer["metadata"] == {"host": "a", "role_name": "web"}, answer
    by_accessor = root.auth.approle.read_secret_id_accessor("web", made["secret_id_accessor"])["data"]
    assert by_accessor == found, by_accessor
    refused(exceptions.InvalidRequest, "failed to parse metadata", root.write, "auth/approle/role/web/secret-id", metadata="x")
    assert made["secret_id_accessor"] in root.auth.approle.list_secret_id_accessors("web")["data"]["keys"]
    wrong = "invalid role or secret ID"
    refused(exceptions.InvalidRequest, wrong, web.auth.approle.login, role_id=role, secret_id="no")
    web.auth.approle.login(role_id=role, secret_id=made["secret_id"])
    refused(exceptions.InvalidRequest, wrong, web.auth.approle.login, role_id=role, secret_id=made["secret_id"])
    other = root.auth.approle.generate_secret_id("web")["data"]
    root.auth.approle.destroy_secret_id("web", other["secret_id"])
    refused(exceptions.InvalidRequest, wrong, web.auth.approle.login, role_id=role, secret_id=other["secret_id"])
    root.auth.approle.delete_role("web")
    refused(exceptions.InvalidPath, "", root.auth.approle.read_role, "web")

    root.sys.enable_auth_method("userpass")
    root.auth.userpass.create_or_update_user("ann", password="correct", policies=["shop"])
    ann = hvac.Client(url=address)
    assert ann.auth.userpass.login("ann", "correct")["auth"]["metadata"]["username"] == "ann"
    ann.secrets.kv.v2.read_secret_version("shop/db", raise_on_deleted_version=True)
    refused(exceptions.InvalidRequest, "invalid username or password", ann.auth.userpass.login, "ann", "wrong")
    assert root.auth.userpass.list_user()["data"]["keys"] == ["ann"]
    root.auth.userpass.delete_user("ann")
    root.sys.disable_auth_method("userpass")


def wrapping():
    wrapped = root.auth.token.create(policies=["shop"], wrap_ttl="60s")["wrap_info"]
    assert wrapped["ttl"] == 60 and wrapped["creation_path"] == "auth/token/create", wrapped
    look = root.write("sys/wrapping/lookup", token=wrapped["token"])
    assert look["data"]["creation_ttl"] == 60, look
    inner = hvac.Client(url=address).sys.unwrap(wrapped["token"])["auth"]["client_token"]
    assert root.auth.token.lookup(inner)["data"]["policies"] == ["default", "shop"]
    refused(exceptions.InvalidRequest, "", root.sys.unwrap, wrapped["token"])
    own = root.sys.wrap(payload={"x": "y"}, ttl=30)["wrap_info"]["token"]
    assert root.sys.unwrap(own)["data"] == {"x": "y"}


def leases():
    prefix = "secret/data/team/mail"
    keys = root.sys.list_leases(prefix)["data"]["keys"]
    lease = f"{prefix}/{keys[0]}"
    found = root.sys.read_lease(lease)["data"]
    assert found["id"] == lease and found["renewable"] and 0 < found["ttl"] <= 6 * 3600, found
    renewed = root.sys.renew_lease(lease, increment=600)
    assert renewed["lease_id"] == lease and 590 < renewed["lease_duration"] <= 600, renewed
    root.sys.revoke_lease(lease)
    refused(exceptions.InvalidRequest, "invalid lease", root.sys.read_lease, lease)
    refused(exceptions.InvalidRequest, "", root.sys.renew_lease, lease)
    root.sys.revoke_prefix(prefix)


for part in (status, versions, metadata, old_engine, policies, logins, wrapping, leases):
    part()
print("fine")
