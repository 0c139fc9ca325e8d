"""What a real receiver gets, checked by other people's libraries, and what its answers do."""

from __future__ import annotations

import base64
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from cloudevents.core.bindings.http import HTTPMessage, from_http_event
from glancecore_notify_webhook.endpoint import Endpoint
from receiver import Got, Receiver
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from glancecore.domain.context import Initiator
from glancecore.ports.notifier import NotDelivered
from glancecore.testing.outbox_repository import make_event

from .certificates import make as make_certificate
from .conftest import NEW_SECRET, SECRET

Make = Callable[..., Endpoint]
DATA = {"id": "i", "name": 'ä 😀 " \\ %', "size": None, "properties": {"k": "v"}, "tags": ["t"], "deleted": False}
EVENT = make_event(
    "6ba7b810-9dad-11d1-80b4-00c04fd430c8",
    1.25,
    type="image.create",
    data=DATA,
    initiator=Initiator("ann", "project", "req-1", "192.0.2.1", ("admin", "member"), "PUT /v2/images/x/file"),
)


def _parsed(got: Got) -> tuple[dict[str, Any], Any]:
    event = from_http_event(HTTPMessage(got.headers, got.body))
    return dict(event.get_attributes()), event.get_data()


@pytest.mark.parametrize("mode", ["structured", "binary"])
def test_an_event_is_a_cloud_event(receiver: Receiver, endpoint: Make, mode: str) -> None:
    endpoint(url=f"{receiver.url}?tenant=7", mode=mode, authorization="Bearer t0ken").deliver(EVENT)
    (got,) = receiver.got
    attributes, data = _parsed(got)
    assert data == DATA
    assert attributes == {
        "specversion": "1.0",
        "id": EVENT.id,
        "source": "/image",
        "type": "org.openstack.glance.image.create",
        "subject": EVENT.subject,
        "time": EVENT.at,
        "datacontenttype": "application/json",
        "authtype": "user",
        "authid": "ann",
        "projectid": "project",
        "requestid": "req-1",
        "clientaddress": "192.0.2.1",
        "roles": "admin,member",
        "request": "PUT /v2/images/x/file",
        "traceparent": EVENT.traceparent,
    }
    assert (got.path, got.headers["authorization"], got.headers["user-agent"]) == (
        "/events?tenant=7",
        "Bearer t0ken",
        "glancecore",
    )
    assert got.headers["content-type"] == (
        "application/cloudevents+json" if mode == "structured" else "application/json"
    )


def test_an_event_of_no_trace_says_nothing_of_one(receiver: Receiver, endpoint: Make) -> None:
    endpoint(url=receiver.url).deliver(replace(EVENT, traceparent=None))
    assert "traceparent" not in _parsed(receiver.got[0])[0]
    assert "traceparent" not in receiver.got[0].headers


@pytest.mark.parametrize(
    ("initiator", "said"),
    [(None, {"authtype": "system"}), (Initiator(request_id="req-2"), {"authtype": "unknown", "requestid": "req-2"})],
)
def test_who_is_not_known_is_said_so(
    receiver: Receiver, endpoint: Make, initiator: Initiator | None, said: dict[str, str]
) -> None:
    endpoint(url=receiver.url).deliver(replace(EVENT, initiator=initiator))
    attributes, _ = _parsed(receiver.got[0])
    known = {"authtype", "authid", "projectid", "requestid", "clientaddress", "roles", "request"}
    assert {name: value for name, value in attributes.items() if name in known} == said


@pytest.mark.parametrize("mode", ["structured", "binary"])
def test_the_signature_is_what_standard_webhooks_verifies(receiver: Receiver, endpoint: Make, mode: str) -> None:
    endpoint(url=receiver.url, mode=mode).deliver(EVENT)
    (got,) = receiver.got
    assert got.headers["webhook-id"] == EVENT.id
    Webhook(SECRET).verify(got.body, got.headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(got.body + b" ", got.headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(NEW_SECRET).verify(got.body, got.headers)


def test_the_signature_is_what_openssl_makes(receiver: Receiver, endpoint: Make) -> None:
    endpoint(url=receiver.url).deliver(EVENT)
    (got,) = receiver.got
    key = base64.b64decode(SECRET.removeprefix("whsec_")).hex()
    signed = f"{EVENT.id}.{got.headers['webhook-timestamp']}.".encode() + got.body
    made = subprocess.run(
        ["openssl", "dgst", "-sha256", "-mac", "HMAC", "-macopt", f"hexkey:{key}", "-binary"],
        input=signed,
        capture_output=True,
        check=True,
    ).stdout
    assert got.headers["webhook-signature"] == f"v1,{base64.b64encode(made).decode()}"


def test_while_a_secret_is_changed_both_verify(receiver: Receiver, endpoint: Make) -> None:
    endpoint(url=receiver.url, secrets=f"{NEW_SECRET}, {SECRET}").deliver(EVENT)
    (got,) = receiver.got
    for secret in (SECRET, NEW_SECRET):
        Webhook(secret).verify(got.body, got.headers)


def test_without_a_secret_there_is_no_signature(receiver: Receiver, endpoint: Make) -> None:
    endpoint(url=receiver.url, secrets="").deliver(EVENT)
    assert "webhook-signature" not in receiver.got[0].headers


def test_the_same_event_keeps_its_id_and_its_body(receiver: Receiver, endpoint: Make) -> None:
    here = endpoint(url=receiver.url)
    here.deliver(EVENT)
    here.deliver(EVENT)
    first, second = receiver.got
    assert (first.body, first.headers["webhook-id"]) == (second.body, second.headers["webhook-id"])


@pytest.mark.parametrize(
    ("wanted", "yes", "no"),
    [
        ("", ["image.create", "task.failure", "metadef_tag.delete"], []),
        ("image", ["image.create", "image.member.create"], ["task.failure", "metadef_namespace.create"]),
        ("image.member, task.failure", ["image.member.delete", "task.failure"], ["image.create", "task.success"]),
        ("image.delete", ["image.delete"], ["image.create"]),
    ],
)
def test_an_endpoint_gets_what_it_wants(endpoint: Make, wanted: str, yes: list[str], no: list[str]) -> None:
    here = endpoint(url="http://127.0.0.1:1/", events=wanted)
    assert [x for x in yes + no if here.wants(x)] == yes


# -- answers ---------------------------------------------------------------------------------------
def _refused(here: Endpoint) -> NotDelivered:
    with pytest.raises(NotDelivered) as told:
        here.deliver(EVENT)
    assert "127.0.0.1" not in str(told.value), "the URL may hold a token"
    return told.value


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_any_success_is_one(receiver: Receiver, endpoint: Make, status: int) -> None:
    receiver.behave({"status": status})
    endpoint(url=receiver.url).deliver(EVENT)


@pytest.mark.parametrize("status", [400, 401, 404, 413, 422, 500, 501])
def test_a_refusal_is_about_this_event(receiver: Receiver, endpoint: Make, status: int) -> None:
    receiver.behave({"status": status})
    told = _refused(endpoint(url=receiver.url))
    assert (str(told), told.unreachable, told.retry_after) == (f"it answered {status} Said", False, None)


@pytest.mark.parametrize("status", [408, 429, 502, 503, 504])
def test_a_busy_receiver_is_left_alone_for_as_long_as_it_asks(receiver: Receiver, endpoint: Make, status: int) -> None:
    here = endpoint(url=receiver.url)
    receiver.behave({"status": status})
    assert (_refused(here).unreachable, _refused(here).retry_after) == (True, None)
    receiver.behave({"status": status, "headers": {"Retry-After": "17"}})
    assert _refused(here).retry_after == 17
    receiver.behave(
        {
            "status": status,
            "headers": {"Retry-After": format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)},
        }
    )
    assert 60 < (_refused(here).retry_after or 0) <= 100
    receiver.behave({"status": status, "headers": {"Retry-After": "99999999"}})
    assert _refused(here).retry_after == 3600
    receiver.behave({"status": status, "headers": {"Retry-After": "soon"}})
    assert _refused(here).retry_after is None


def test_one_that_is_gone_is_asked_seldom_and_the_operator_is_told(receiver: Receiver, endpoint: Make) -> None:
    receiver.behave({"status": 410})
    told = _refused(endpoint(url=receiver.url))
    assert (told.unreachable, told.retry_after) == (True, 600)
    assert "endpoints" in str(told)


def test_redirects_are_not_followed(receiver: Receiver, endpoint: Make, tmp_path: Path) -> None:
    other = Receiver(tmp_path / "other")
    other.start()
    try:
        for status in (301, 302, 303, 307, 308):
            receiver.behave({"status": status, "headers": {"Location": other.url}})
            assert "redirects are not followed" in str(_refused(endpoint(url=receiver.url)))
        assert other.got == []
    finally:
        other.stop()


def test_a_proxy_of_the_environment_is_not_asked(
    receiver: Receiver, endpoint: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    endpoint(url=receiver.url).deliver(EVENT)


# -- receivers that are away, slow, or dying -------------------------------------------------------
def test_a_receiver_that_is_away_is_unreachable_and_found_again(receiver: Receiver, endpoint: Make) -> None:
    here = endpoint(url=receiver.url)
    here.deliver(EVENT)
    receiver.stop()
    assert _refused(here).unreachable
    receiver.start()
    here.deliver(EVENT)
    assert len(receiver.taken) == 2


def test_a_kept_connection_that_was_closed_meanwhile_is_no_failure(receiver: Receiver, endpoint: Make) -> None:
    here = endpoint(url=receiver.url)
    here.deliver(EVENT)
    receiver.stop()
    receiver.start()
    here.deliver(replace(EVENT, id="second"))
    assert [x["id"] for x in receiver.taken] == [EVENT.id, "second"]


def test_a_slow_receiver_is_given_up(receiver: Receiver, endpoint: Make) -> None:
    receiver.behave({"delay": 30})
    told = _refused(endpoint(url=receiver.url, timeout=0.5))
    assert (told.unreachable, str(told)) == (True, "no answer within 0.5 seconds")


def test_one_that_answers_a_byte_at_a_time_is_given_up_as_well(receiver: Receiver, endpoint: Make) -> None:
    receiver.behave({"drip": 0.4, "status": 200})
    told = _refused(endpoint(url=receiver.url, timeout=1))
    assert (told.unreachable, str(told)) == (True, "no answer within 1 seconds")


def test_one_that_dies_in_the_middle_of_its_answer_has_not_taken_it(receiver: Receiver, endpoint: Make) -> None:
    receiver.behave({"die": True})
    here = endpoint(url=receiver.url)
    assert _refused(here).unreachable
    assert receiver.process is not None
    receiver.process.wait(10)
    receiver.behave()
    receiver.start()
    here.deliver(EVENT)
    assert [x.headers["webhook-id"] for x in receiver.got] == [EVENT.id, EVENT.id], (
        "it may come twice, with the same id"
    )


# -- TLS -------------------------------------------------------------------------------------------
def test_the_receivers_certificate_is_checked(endpoint: Make, tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path / "receiver", "receiver")
    other = make_certificate(tmp_path / "other", "other")
    receiver = Receiver(tmp_path / "receiver", tls=True)
    receiver.start()
    try:
        endpoint(url=receiver.url, ca_file=certificate).deliver(EVENT)
        for trusted in ({"ca_file": other}, {}):
            told = _refused(endpoint(url=receiver.url, **trusted))
            assert told.unreachable
            assert "certificate" in str(told)
        assert len(receiver.got) == 1
    finally:
        receiver.stop()


def test_a_receiver_that_wants_our_certificate_gets_it(endpoint: Make, tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path / "receiver", "receiver")
    ours = make_certificate(tmp_path / "ours", "glance")
    shutil.copy(ours, tmp_path / "receiver" / "clients.pem")
    receiver = Receiver(tmp_path / "receiver", tls=True)
    receiver.start()
    try:
        endpoint(url=receiver.url, ca_file=certificate, cert_file=ours, key_file=ours.with_name("key.pem")).deliver(
            EVENT
        )
        assert _refused(endpoint(url=receiver.url, ca_file=certificate)).unreachable
        assert len(receiver.got) == 1
    finally:
        receiver.stop()


def test_the_time_of_the_attempt_is_signed(receiver: Receiver, endpoint: Make) -> None:
    began = int(time.time())
    endpoint(url=receiver.url).deliver(EVENT)
    assert began <= int(receiver.got[0].headers["webhook-timestamp"]) <= time.time()
