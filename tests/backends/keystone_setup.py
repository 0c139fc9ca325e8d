"""Brings a bootstrapped Keystone to what the tests expect, over its API; safe to run again.

    keystone_setup.py URL [REGION IMAGE_URL [REMOTE_IMAGE_URL]]
    keystone_setup.py URL --object-store SWIFT_URL
    keystone_setup.py URL --key-manager BARBICAN_URL

Users (password ``secret``, domain default): admin (admin of project admin and of the system), glance (service and admin
in project service, system reader), swift and barbican (service and admin in project service), demo and alt_demo
(members of the projects of that name), reader (project demo), system_reader. Whoever has an account of the company's is
a member of demo."""

from __future__ import annotations

import json
import sys
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

PASSWORD = "secret"
#: What oslo.limit asks for; sizes are in MiB.
LIMITS = {
    "image_size_total": 200_000,
    "image_stage_total": 200_000,
    "image_count_total": 100_000,
    "image_count_uploading": 100_000,
}


class Keystone:
    def __init__(self, url: str) -> None:
        self._url, self._token = url, ""
        self._token = self.call(
            "POST",
            "/auth/tokens",
            {
                "auth": {
                    "identity": {
                        "methods": ["password"],
                        "password": {"user": {"name": "admin", "domain": {"id": "default"}, "password": PASSWORD}},
                    },
                    "scope": {"system": {"all": True}},
                }
            },
        )[1]["X-Subject-Token"]

    def call(self, method: str, path: str, body: Any = None) -> tuple[Any, Any]:
        request = urllib.request.Request(
            self._url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json", "X-Auth-Token": self._token},
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                text = answer.read()
                return (json.loads(text) if text.strip() else None), answer.headers
        except urllib.error.HTTPError as error:
            raise SystemExit(
                f"keystone: {method} {path}: {error.code} {error.read().decode(errors='replace')}"
            ) from None

    def ensure(self, kind: str, match: dict[str, str], **extra: str) -> str:
        found = self.call("GET", f"/{kind}s?{urllib.parse.urlencode(match)}")[0][f"{kind}s"]
        made = found[0] if found else self.call("POST", f"/{kind}s", {kind: {**match, **extra}})[0][kind]
        return str(made["id"])

    def grant(self, role: str, user: str, project: str | None = None) -> None:
        where = f"/projects/{project}" if project else "/system"
        self.call("PUT", f"{where}/users/{user}/roles/{role}")


def people(keystone: Keystone) -> None:
    role = {
        name: keystone.ensure("role", {"name": name}) for name in ("admin", "member", "reader", "manager", "service")
    }
    project = {
        name: keystone.ensure("project", {"name": name, "domain_id": "default"})
        for name in ("admin", "service", "demo", "alt_demo")
    }
    user = {
        name: keystone.ensure("user", {"name": name, "domain_id": "default"}, password=PASSWORD)
        for name in ("admin", "glance", "swift", "barbican", "demo", "alt_demo", "reader", "system_reader")
    }
    keystone.grant(role["admin"], user["admin"], project["admin"])
    keystone.grant(role["admin"], user["admin"])
    for service in ("glance", "swift", "barbican"):
        keystone.grant(role["service"], user[service], project["service"])
        keystone.grant(role["admin"], user[service], project["service"])
    keystone.grant(role["reader"], user["glance"])  # oslo.limit reads limits as a system reader
    keystone.grant(role["member"], user["demo"], project["demo"])
    keystone.grant(role["member"], user["alt_demo"], project["alt_demo"])
    keystone.grant(role["reader"], user["reader"], project["demo"])
    keystone.grant(role["reader"], user["system_reader"])


def company(keystone: Keystone) -> None:
    """A company's accounts, by the protocol openid as keystone_serve.py speaks it: members of the project demo, as the
    group ``company``."""
    group = keystone.ensure("group", {"name": "company", "domain_id": "default"})
    project, role = (
        keystone.ensure("project", {"name": "demo", "domain_id": "default"}),
        keystone.ensure("role", {"name": "member"}),
    )
    keystone.call("PUT", f"/projects/{project}/groups/{group}/roles/{role}")
    rules = [{"local": [{"user": {"name": "{0}"}, "group": {"id": group}}], "remote": [{"type": "REMOTE_USER"}]}]
    base = "/OS-FEDERATION"
    for place, kind, body in (
        (
            f"{base}/identity_providers",
            "identity_provider",
            {"remote_ids": ["https://company.example"], "enabled": True},
        ),
        (f"{base}/mappings", "mapping", {"rules": rules}),
        (f"{base}/identity_providers/company/protocols", "protocol", {"mapping_id": "company"}),
    ):
        name = "openid" if kind == "protocol" else "company"
        if name not in {x["id"] for x in keystone.call("GET", place)[0][f"{kind}s"]}:
            keystone.call("PUT", f"{place}/{name}", {kind: body})


def endpoint(keystone: Keystone, service: str, region: str, url: str) -> None:
    have = {
        each["interface"]: each
        for each in keystone.call("GET", f"/endpoints?service_id={service}&region_id={region}")[0]["endpoints"]
    }
    for interface in ("public", "internal", "admin"):
        if interface not in have:
            keystone.call(
                "POST",
                "/endpoints",
                {"endpoint": {"service_id": service, "interface": interface, "region_id": region, "url": url}},
            )
        elif have[interface]["url"] != url:
            keystone.call("PATCH", f"/endpoints/{have[interface]['id']}", {"endpoint": {"url": url}})


def image_service(keystone: Keystone, identity_url: str, region: str, url: str, remote_url: str | None) -> None:
    if region not in {each["id"] for each in keystone.call("GET", "/regions")[0]["regions"]}:
        keystone.call("POST", "/regions", {"region": {"id": region}})
    image = keystone.ensure("service", {"type": "image"}, name="glance")
    # clients look for the identity service in the same region
    endpoint(keystone, keystone.ensure("service", {"type": "identity"}, name="keystone"), region, identity_url)
    endpoint(keystone, image, region, url)
    if remote_url:
        endpoint(
            keystone, keystone.ensure("service", {"type": "image_remote"}, name="glance_remote"), region, remote_url
        )
    known = {
        (each["resource_name"], each["region_id"])
        for each in keystone.call("GET", f"/registered_limits?service_id={image}")[0]["registered_limits"]
    }
    missing = [
        {"service_id": image, "region_id": region, "resource_name": name, "default_limit": limit}
        for name, limit in LIMITS.items()
        if (name, region) not in known
    ]
    if missing:
        keystone.call("POST", "/registered_limits", {"registered_limits": missing})


def set_limits(identity_url: str, region: str, project: str | None = None, **limits: int) -> None:
    """Of the image service in ``region``: what is registered for everybody, or a project's own (``project`` is its
    name)."""
    keystone = Keystone(identity_url)
    where = {"service_id": keystone.ensure("service", {"type": "image"}), "region_id": region}
    kind, value, more = "registered_limit", "default_limit", dict[str, str]()
    if project is not None:
        kind, value, more = (
            "limit",
            "resource_limit",
            {"project_id": keystone.ensure("project", {"name": project, "domain_id": "default"})},
        )
    known = {
        x["resource_name"]: x["id"]
        for x in keystone.call("GET", f"/{kind}s?{urllib.parse.urlencode({**where, **more})}")[0][f"{kind}s"]
    }
    for name, number in limits.items():
        if name in known:
            keystone.call("PATCH", f"/{kind}s/{known[name]}", {kind: {value: number}})
        else:
            keystone.call("POST", f"/{kind}s", {f"{kind}s": [{**where, **more, "resource_name": name, value: number}]})


def image_endpoint(identity_url: str, region: str) -> str:
    """The id of the public endpoint of the image service there."""
    keystone = Keystone(identity_url)
    service = keystone.ensure("service", {"type": "image"})
    return str(
        keystone.call("GET", f"/endpoints?service_id={service}&region_id={region}&interface=public")[0]["endpoints"][0][
            "id"
        ]
    )


def main(identity_url: str, region: str | None = None, url: str | None = None, remote_url: str | None = None) -> None:
    keystone = Keystone(identity_url)
    if region == "--object-store" and url:
        endpoint(keystone, keystone.ensure("service", {"type": "object-store"}, name="swift"), "RegionOne", url)
        return
    people(keystone)
    company(keystone)
    if region == "--key-manager" and url:
        endpoint(keystone, keystone.ensure("service", {"type": "key-manager"}, name="barbican"), "RegionOne", url)
    elif region and url:
        image_service(keystone, identity_url, region, url, remote_url)


if __name__ == "__main__":
    main(*sys.argv[1:])
