"""What requests may not do, one rule a test."""

from __future__ import annotations

import base64
import io
import json
import logging
import re
import uuid
from collections.abc import Iterator
from pathlib import Path

import bcrypt
import pytest
from house import House, opened
from oslo_config import cfg

from glancecore import conf as configuration
from glancecore.conf import logs
from glancecore.domain.errors import Invalid
from glancecore.domain.member import Member, MemberStatus
from glancecore.features.metadefs.validation import is_pattern
from glancecore.ports.repository import MemberAdded

V20 = "application/openstack-images-v2.0-json-patch"
V21 = "application/openstack-images-v2.1-json-patch"
#: Characters that stand in no name.
CONTROLS = ["\n", "\r", "\t", "\x00", "\x1b", "\x7f", "\x85", "\u2028"]


# -- texts -----------------------------------------------------------------------------------------
@pytest.mark.parametrize("character", CONTROLS, ids=lambda x: f"{ord(x):04x}")
def test_no_name_has_a_control_character(anywhere: House, character: str) -> None:
    bad = f"a{character}b"
    quoted = "".join(f"%{x:02X}" for x in bad.encode())
    image = anywhere.image("pending").id
    owner, admin = anywhere.owner, anywhere.admin
    refused = [
        owner.call("POST", "/v2/images", {"name": bad}),
        owner.call("POST", "/v2/images", {"tags": [bad]}),
        owner.call("POST", "/v2/images", {bad: "v"}),
        admin.call("POST", "/v2/images", {"owner": bad}),
        owner.patch(image, {"op": "replace", "path": "/name", "value": bad}),
        owner.patch(image, {"op": "replace", "path": "/tags", "value": [bad]}),
        owner.patch(image, {"op": "add", "path": f"/{bad}", "value": "v"}),
        admin.patch(image, {"op": "replace", "path": "/owner", "value": bad}),
        owner.call("PUT", f"/v2/images/{image}/tags/{quoted}"),
        owner.call("POST", f"/v2/images/{image}/members", {"member": bad}),
        owner.call("GET", f"/v2/images/{quoted}"),
        owner.call("GET", f"/v2/images?name={quoted}"),
        admin.call("POST", "/v2/metadefs/namespaces", {"namespace": bad}),
        admin.call("POST", "/v2/metadefs/namespaces", {"namespace": "x", "tags": [{"name": bad}]}),
        admin.call("POST", "/v2/metadefs/namespaces", {"namespace": "x", "objects": [{"name": bad}]}),
        admin.call(
            "POST", "/v2/metadefs/namespaces", {"namespace": "x", "properties": {bad: {"title": "T", "type": "string"}}}
        ),
        admin.call(
            "POST", "/v2/metadefs/namespaces", {"namespace": "x", "resource_type_associations": [{"name": bad}]}
        ),
    ]
    assert [(n, x.text) for n, x in enumerate(refused) if x.status_code != 400] == []


#: Characters that nobody sees, or that turn what follows.
UNSEEN = [
    "\u202e",
    "\u2066",
    "\u200b",
    "\u200d",
    "\ufeff",
    "\u00ad",
    "\u3164",
    "\U000e0041",
    "\ufe00",
    "\u180b",
    "\U000e0100",
    "\ufff0",
]


@pytest.mark.parametrize("character", UNSEEN, ids=lambda x: f"{ord(x):04x}")
def test_no_label_has_what_nobody_sees(anywhere: House, character: str) -> None:
    """It would look like another one, or turn the rest of the line; the character is named."""
    bad = f"a{character}b"
    quoted = "".join(f"%{x:02X}" for x in bad.encode())
    image = anywhere.image("pending").id
    owner, admin = anywhere.owner, anywhere.admin
    refused = [
        owner.call("POST", "/v2/images", {"tags": [bad]}),
        owner.call("POST", "/v2/images", {bad: "v"}),
        admin.call("POST", "/v2/images", {"owner": bad}),
        owner.patch(image, {"op": "replace", "path": "/tags", "value": [bad]}),
        owner.patch(image, {"op": "add", "path": f"/{bad}", "value": "v"}),
        admin.patch(image, {"op": "replace", "path": "/owner", "value": bad}),
        owner.call("PUT", f"/v2/images/{image}/tags/{quoted}"),
        owner.call("POST", f"/v2/images/{image}/members", {"member": bad}),
        admin.call("PATCH", f"/v2/quotas/{quoted}", {"image_count_total": 1}),
    ]
    assert [
        (n, x.text) for n, x in enumerate(refused) if x.status_code != 400 or f"U+{ord(character):04X}" not in x.text
    ] == []
    made = owner.create(name=bad, description=bad)
    assert (made["name"], made["description"]) == (bad, bad), "as in Glance"


def test_what_chooses_the_form_of_a_sign_is_seen(anywhere: House) -> None:
    tags = ["\u2764\ufe0f", "1\ufe0f\u20e3", "\u845b\U000e0100\u57ce"]
    assert sorted(anywhere.owner.create(tags=tags)["tags"]) == sorted(tags)


def test_an_image_that_has_one_stays_editable(anywhere: House) -> None:
    """It may come from Glance."""
    image = anywhere.image("private", tags=("a\u202eb",), properties={"c\u202ed": "v"})
    assert anywhere.owner.patch(image.id, {"op": "replace", "path": "/name", "value": "new"}).status_code == 200
    assert anywhere.owner.call("PUT", f"/v2/images/{image.id}/tags/plain").status_code == 204
    assert anywhere.owner.call("DELETE", f"/v2/images/{image.id}/tags/a%E2%80%AEb").status_code == 204


def test_a_value_may_have_lines(anywhere: House) -> None:
    made = anywhere.owner.create(description="one\ntwo\tthree\r\n")
    assert made["description"] == "one\ntwo\tthree\r\n"
    assert anywhere.owner.ids(f"description={'one%0Atwo%09three%0D%0A'}") == {made["id"]}


@pytest.mark.parametrize(
    "raw",
    [
        b'{"p": "a\\u0000b"}',
        b'{"p": "\\\\\\u0000"}',
        b'{"\\u0000": "a"}',
        b'{"p": "\\ud800"}',
        b'{"p": "\\udc00"}',
        b'{"p": "\xed\xa0\x80"}',
        b'{"a": "b", "a": "c"}',
        b'{"p": {"a": 1, "a": 2}}',
        b'{"min_ram": NaN}',
        b'{"min_ram": 1e999}',
        b'{"min_ram": ' + b"1" * 5000 + b"}",
        b'{"p": ' + b"[" * 65 + b"]" * 65 + b"}",
        b"[" * 100_000,
        b'{"a":' * 100_000,
    ],
)
def test_json_that_readers_do_not_agree_on(anywhere: House, raw: bytes) -> None:
    answer = anywhere.owner.call("POST", "/v2/images", raw)
    assert answer.status_code == 400, answer.text


def test_a_backslash_before_u0000_is_another_text(here: House) -> None:
    assert here.owner.call("POST", "/v2/images", b'{"p": "\\\\u0000"}').json["p"] == "\\u0000"  # type: ignore[index]


@pytest.mark.parametrize("given", ["a b", "[req]", "a\x1bb", "req-\xe9", "a]b", "a;b", "{x}"])
def test_a_request_id_is_of_a_few_letters(here: House, given: str) -> None:
    answer = here.owner.call("GET", "/v2/images", X_Openstack_Request_Id=given)
    assert answer.status_code == 400
    assert re.fullmatch(r"req-[0-9a-f-]{36}", answer.headers["x-openstack-request-id"])


def test_a_usual_request_id_is_kept(here: House) -> None:
    assert (
        here.owner.call("GET", "/v2/images", X_Openstack_Request_Id="my.own_id-1").headers["x-openstack-request-id"]
        == "req-my.own_id-1"
    )


@pytest.fixture
def logged(tmp_path: Path) -> Iterator[io.StringIO]:
    """What the service's own log says, as it is set up for the commands."""
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    conf = configuration.new(["--debug"], [])
    assert isinstance(conf, cfg.ConfigOpts)
    conf.set_override("log_file", str(tmp_path / "log"))
    logs.setup(conf)
    out = io.StringIO()
    for handler in root.handlers:
        if isinstance(handler, logging.FileHandler):
            handler.close()
        if isinstance(handler, logging.StreamHandler):
            handler.setStream(out)
    yield out
    for handler in [x for x in root.handlers if x not in before]:
        root.removeHandler(handler)
    root.setLevel(level)


def test_nobody_writes_lines_into_the_log(logged: io.StringIO) -> None:
    log = logging.getLogger("glancecore.hostile")
    log.warning("no image %s", "a\n2026-01-01 00:00:00.000 1 INFO root [-] all is well\x1b[2J")
    try:
        raise Invalid("one\n2026-01-01 00:00:00.000 1 INFO root [-] all is well")
    except Invalid:
        log.warning("within an error")
        log.exception("with its trace")
    lines = logged.getvalue().splitlines()
    assert not [x for x in lines if x.startswith("2026-01-01")], lines
    assert "no image a\\n2026-01-01" in lines[0]
    assert "\\u001b[2J" in lines[0]
    log.warning("image %s is deleted", "a\u202egnp.\u200b\U000e0041")
    assert logged.getvalue().splitlines()[-1].endswith("image a\\u202egnp.\\u200b\\U000e0041 is deleted")
    assert any("Traceback" in x for x in lines), "a traceback keeps its lines"


# -- members, tasks --------------------------------------------------------------------------------
def test_a_stranger_is_not_told_who_is_a_member(here: House) -> None:
    image = here.image("community")
    at = image.created_at
    shared = here.image("community")
    here.service.database.images.commit(MemberAdded(Member(shared.id, "friends", MemberStatus.ACCEPTED, at, at)))
    answers = [
        here.people["stranger"].call("PUT", f"/v2/images/{x.id}/members/{who}", {"status": "accepted"})
        for x in (image, shared)
        for who in ("friends", "nobody")
    ]
    assert {(x.status_code, (x.json or {})["message"]) for x in answers} == {
        (403, "only the member project itself may change its status")
    }


def test_a_member_with_a_slash_is_not_made_but_can_be_removed(here: House) -> None:
    image = here.image("pending")
    assert here.owner.call("POST", f"/v2/images/{image.id}/members", {"member": "a/b"}).status_code == 400
    here.service.database.images.commit(
        MemberAdded(Member(image.id, "a/b", MemberStatus.PENDING, image.created_at, image.created_at))
    )
    for path in ("a/b", "a%2Fb"):
        assert here.owner.call("GET", f"/v2/images/{image.id}/members/{path}").json["member_id"] == "a/b"  # type: ignore[index]
    assert here.owner.call("DELETE", f"/v2/images/{image.id}/members/a%2Fb").status_code == 204


def test_what_may_be_secret_in_a_task_is_its_owners(here: House) -> None:
    image = here.image("accepted")
    secret = "https://user:word@host:8443/path?token=x#y"
    here.task(image, user_id="u", input={"import_req": {"uri": secret, "mirrors": [secret, {"deep": [secret]}]}})
    told = here.people["other"].call("GET", f"/v2/images/{image.id}/tasks").json or {}
    text = json.dumps(told)
    assert [x for x in ("user", "word", "token", "path") if x in text.replace("user_id", "")] == []
    assert told["tasks"][0]["input"]["import_req"] == {
        "uri": "https://host:8443",
        "mirrors": ["https://host:8443", {"deep": ["https://host:8443"]}],
    }
    assert secret in json.dumps(here.owner.call("GET", f"/v2/images/{image.id}/tasks").json)


def test_one_uuid_is_one_image_in_any_case(anywhere: House) -> None:
    name = str(uuid.uuid4())
    made = anywhere.owner.create(id=name.upper())
    assert made["id"] == name
    assert anywhere.owner.call("POST", "/v2/images", {"id": name}).status_code == 409
    assert anywhere.owner.call("POST", "/v2/images", {"id": name.title()}).status_code == 409
    for spelled in (name, name.upper(), name.title()):
        assert anywhere.owner.call("GET", f"/v2/images/{spelled}").status_code == 200
        assert anywhere.owner.ids(f"id={spelled}") == {name}
        assert anywhere.owner.call("GET", f"/v2/images?marker={spelled}").status_code == 200


def test_without_credentials_only_public_images_are_there(here: House) -> None:
    anonymous = here.people["anonymous"]
    for visibility in ("community", "private", "pending"):
        assert anonymous.call("GET", f"/v2/images/{here.image(visibility).id}").status_code == 404
    assert anonymous.call("GET", f"/v2/images/{here.image('pending', owner=None).id}").status_code == 404
    assert anonymous.call("GET", f"/v2/images/{here.image('public').id}").status_code == 200


# -- where requests come from ----------------------------------------------------------------------
@pytest.mark.parametrize(
    "login",
    [
        "Basic " + base64.b64encode(b"owner:wrong").decode(),
        "Basic " + base64.b64encode(b"nobody:x").decode(),
        "Basic x",
        "Bearer x",
        "x",
    ],
)
def test_wrong_credentials_are_not_none(tmp_path: Path, login: str) -> None:
    """Where callers without credentials may read what is public: whose password is wrong learns that it is."""
    (tmp_path / "htpasswd").write_text(f"owner:{bcrypt.hashpw(b'sesame', bcrypt.gensalt(4)).decode()}\n")
    with opened(
        "sqlite", auth_strategy="basic", config={"auth_basic": {"http_basic_auth_user_file": tmp_path / "htpasswd"}}
    ) as house:
        image, anonymous = house.image("public"), house.people["anonymous"]
        assert anonymous.call("GET", f"/v2/images/{image.id}").status_code == 200
        answer = anonymous.call("GET", f"/v2/images/{image.id}", Authorization=login)
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"].startswith("Basic ")
        right = "Basic " + base64.b64encode(b"owner:sesame").decode()
        assert anonymous.call("GET", f"/v2/images/{image.id}", Authorization=right).status_code == 200


@pytest.mark.parametrize(
    "kind",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "text/plain; application/json",
        "application/jsonp",
    ],
)
def test_json_under_another_name_is_refused(here: House, kind: str) -> None:
    image = here.image("pending").id
    for method, path, body in (
        ("POST", "/v2/images", {}),
        ("POST", f"/v2/images/{image}/import", {"method": {"name": "copy-image"}}),
        ("POST", f"/v2/images/{image}/members", {"member": "x"}),
        ("POST", "/v2/metadefs/namespaces", {"namespace": "x"}),
    ):
        assert here.admin.call(method, path, body, Content_Type=kind).status_code == 415, path


FOREIGN = [
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Sec_Fetch_Site": "cross-site"},
    {"Sec_Fetch_Site": "same-site", "Origin": "http://evil.localhost"},
    {"Sec_Fetch_Site": "cross-site", "Origin": "http://localhost"},
]


@pytest.mark.parametrize("headers", FOREIGN)
def test_other_web_sites_change_nothing(here: House, headers: dict[str, str]) -> None:
    image = here.image().id
    for method, path in (
        ("POST", "/v2/images"),
        ("DELETE", f"/v2/images/{image}"),
        ("PUT", f"/v2/images/{image}/tags/x"),
        ("POST", f"/v2/images/{image}/actions/deactivate"),
    ):
        answer = here.owner.call(method, path, {} if path == "/v2/images" else None, **headers)
        assert answer.status_code == 403, path
        assert "cors" in answer.text
    assert here.owner.call("GET", f"/v2/images/{image}", **headers).status_code == 200, (
        "reading: its answer stays with the browser"
    )


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "http://localhost"},
        {"Sec_Fetch_Site": "same-origin"},
        {"Sec_Fetch_Site": "none"},
        {"Sec_Fetch_Site": "same-origin", "Origin": "http://localhost"},
    ],
)
def test_our_own_site_and_clients_that_are_no_browser_do(here: House, headers: dict[str, str]) -> None:
    assert here.owner.call("POST", "/v2/images", {}, **headers).status_code == 201


OWN_NAMES = ("localhost", "127.0.0.1:9292", "[::1]:9292", "images.localhost", "images.example")


@pytest.mark.parametrize(
    ("host", "status"),
    [
        *((x, 200) for x in OWN_NAMES),
        ("evil.example", 403),
        ("evil.example:9292", 403),
        ("127.0.0.1.evil.example", 403),
        ("localhost.evil.example", 403),
        ("[::1", 403),
    ],
)
def test_a_foreign_name_that_leads_here_reads_nothing(host: str, status: int) -> None:
    """Without login, on loopback: DNS rebinding makes a page of evil.example a page of this service, for the
    browser."""
    with opened("sqlite", auth_strategy="none", public_endpoint="https://images.example") as house:
        answer = house.owner.call("GET", "/v2/images", Host=host, Origin=f"http://{host}", Sec_Fetch_Site="same-origin")
        assert answer.status_code == status
        assert house.owner.call("POST", "/v2/images", {}, Host=host, Origin=f"http://{host}").status_code == (
            201 if status == 200 else status
        )


def test_behind_a_login_any_name_does(here: House) -> None:
    assert here.owner.call("GET", "/v2/images", Host="images.example").status_code == 200


def test_a_site_that_the_operator_lets_in_does() -> None:
    with opened(
        "sqlite",
        config={"cors": {"allowed_origin": "https://dashboard.example"}},
        public_endpoint="https://images.example:9292",
    ) as house:
        assert (
            house.owner.call(
                "POST", "/v2/images", {}, Origin="https://dashboard.example", Sec_Fetch_Site="cross-site"
            ).status_code
            == 201
        )
        assert house.owner.call("POST", "/v2/images", {}, Origin="https://images.example:9292").status_code == 201
        assert house.owner.call("POST", "/v2/images", {}, Origin="https://evil.example").status_code == 403


# -- numbers, names, answers -----------------------------------------------------------------------
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content_Range": "bytes 0-3/4"}, 206),
        ({"Content_Range": "bytes 1-2/*"}, 206),
        ({"Content_Range": "bytes 0-4/*"}, 416),
        ({"Content_Range": "bytes 4-9/*"}, 416),
        ({"Content_Range": f"bytes 0-{'9' * 5000}/*"}, 400),
        ({"Range": f"bytes={'9' * 5000}-"}, 416),
        ({"Range": f"bytes=0-{'9' * 18}"}, 206),
    ],
)
def test_parts_of_data(here: House, headers: dict[str, str], status: int) -> None:
    image = here.owner.create()["id"]
    assert here.owner.upload(image, b"data").status_code == 204
    answer = here.owner.call("GET", f"/v2/images/{image}/file", **headers)
    assert answer.status_code == status
    answer.close()


def test_a_whole_number_may_be_written_as_a_fraction(here: House) -> None:
    made = here.owner.call("POST", "/v2/images", b'{"min_disk": 2.0, "min_ram": 1e2}')
    assert '"min_disk":2,' in made.text
    assert '"min_ram":100,' in made.text
    answer = here.owner.patch((made.json or {})["id"], {"op": "replace", "path": "/min_disk", "value": 3.0})
    assert '"min_disk":3,' in answer.text
    assert here.owner.call("POST", "/v2/images", b'{"min_disk": 2.5}').status_code == 400


@pytest.mark.parametrize("name", ["debian:12", "a:b:c", "2026-01-01T12:00:00Z", "http://x/y", ":", "x:", "like:it"])
def test_a_name_with_a_colon(here: House, name: str) -> None:
    made = here.owner.create(name=name)["id"]
    assert made in here.owner.ids(f"name={name}")
    assert made in here.owner.ids(f"name=eq:{name}")
    assert here.owner.call("GET", f"/v2/images?name=neq:{name}").status_code == 400, "an operator that names don't have"


def test_an_empty_accept_gets_json(here: House) -> None:
    answer = here.owner.call("GET", f"/v2/images/{uuid.uuid4()}", Accept="")
    assert answer.content_type == "application/json"
    assert (answer.json or {})["error"] == "image_not_found"


def test_the_published_schema_leaves_bounds_to_the_server(here: House) -> None:
    published = (here.owner.call("GET", "/v2/schemas/image").json or {})["properties"]
    for name in ("min_ram", "min_disk"):
        assert not {"minimum", "maximum"} & set(published[name])
        assert here.owner.call("POST", "/v2/images", {name: -1}).status_code == 400
        assert here.owner.call("POST", "/v2/images", {name: 2**31}).status_code == 400


@pytest.mark.parametrize("minor", ["9" * 5000, "0" * 5000 + "1", "99", "\u0661"])
def test_versions_that_are_none(here: House, minor: str) -> None:
    assert here.owner.call("GET", f"/v2.{minor}/images").status_code in (300, 404)
    assert here.owner.call(
        "GET", "/images", Accept=f"application/vnd.openstack.images-v2.{minor.encode().decode('latin-1')}"
    ).status_code in (300, 404)


# -- definitions of others -------------------------------------------------------------------------
def test_a_pattern_that_explodes_costs_little_or_is_refused(here: House) -> None:
    made = here.admin.call(
        "POST",
        "/v2/metadefs/namespaces",
        {
            "namespace": f"n-{uuid.uuid4()}",
            "visibility": "public",
            "resource_type_associations": [{"name": "OS::Test::Cost"}],
            "properties": {
                "p": {"title": "T", "type": "string", "pattern": "^(a|a?)+$"},
                "q": {"title": "T", "type": "string", "pattern": r"^(a|a)*(?=b)\1$"},
            },
        },
    )
    assert made.status_code == 201, made.text
    answer = here.owner.call(
        "POST",
        "/v2/metadefs/validate",
        {"resource_type": "OS::Test::Cost", "properties": {"p": "a" * 5000 + "!", "q": "a" * 5000 + "!"}},
    )
    assert answer.status_code == 200
    assert (answer.json or {})["valid"] is False
    assert not is_pattern("(((a{1000}){1000}){1000})")
    assert not is_pattern("(")


def test_a_namespace_has_a_bounded_size(here: House) -> None:
    name = f"n-{uuid.uuid4()}"
    assert here.admin.call("POST", "/v2/metadefs/namespaces", {"namespace": name}).status_code == 201
    codes = [
        here.admin.call(
            "POST",
            f"/v2/metadefs/namespaces/{name}/properties",
            {"name": f"p{n}", "title": "T", "type": "string", "enum": ["x" * 900_000]},
        ).status_code
        for n in range(6)
    ]
    assert codes == [201] * 4 + [413] * 2
    assert (
        here.admin.call(
            "POST",
            "/v2/metadefs/namespaces",
            {"namespace": f"{name}x", "resource_type_associations": [{"name": f"t{n}"} for n in range(65)]},
        ).status_code
        == 413
    )
