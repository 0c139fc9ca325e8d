"""Options of [notify_webhook], and of one section for each endpoint; imports nothing but oslo.config."""

from __future__ import annotations

from oslo_config import cfg

from glancecore.ports.options import ListOpt

OPTIONS: list[cfg.Opt] = [
    ListOpt(
        "endpoints",
        default=[],
        sample_default=["audit", "cmdb"],
        help=(
            "Names of the receivers; the options of each are in a section of its own, such as [webhook_audit]. Events"
            " wait under these names: what waits for a name that is taken away stays, see glance-manage outbox."
        ),
    ),
    cfg.StrOpt(
        "source",
        default="/image",
        help=(
            "CloudEvents' source: a URI that says which service it was. The same on all machines of one service; an"
            " event is known by source and id."
        ),
    ),
    cfg.StrOpt(
        "type_prefix",
        default="org.openstack.glance.",
        help="What stands before the type of an event (image.create …) in CloudEvents' type.",
    ),
]

ENDPOINT_OPTIONS: list[cfg.Opt] = [
    cfg.StrOpt(
        "url",
        secret=True,
        sample_default="https://receiver.example.org/events",
        help="Where events are sent with POST: http or https. Redirects are not followed.",
    ),
    ListOpt(
        "events",
        default=[],
        sample_default=["image", "image.member.create", "task.failure"],
        help=(
            "Types that are sent: image.create, or image for all that begin so. Empty: all. image.send (a download)"
            " costs a write to the database for each download."
        ),
    ),
    ListOpt(
        "secrets",
        secret=True,
        default=[],
        help=(
            "Signing secrets: whsec_ and the base64 of 24 to 64 random bytes. Each event is signed with all of them: to"
            " change the secret, add the new one, let the receiver change, take the old one away. Empty: events are not"
            " signed."
        ),
    ),
    cfg.StrOpt(
        "mode",
        default="structured",
        choices=["structured", "binary"],
        help=(
            "CloudEvents over HTTP: structured (everything in the JSON body, and signed) or binary (attributes in ce-"
            " headers, which are not signed; the body is the data)."
        ),
    ),
    cfg.FloatOpt(
        "timeout", default=10.0, min=0.1, help="Seconds that one delivery may take, from the connection to the answer."
    ),
    cfg.StrOpt("authorization", secret=True, help="Value of an Authorization header, such as Bearer and a token."),
    cfg.StrOpt(
        "ca_file",
        help="Certificates of the authorities that the receiver is checked with. Not set: those of the system.",
    ),
    cfg.StrOpt("cert_file", help="Our certificate, for receivers that want one."),
    cfg.StrOpt("key_file", help="The key of cert_file, when it is not in the same file."),
]


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """For oslo-config-generator."""
    return [("notify_webhook", list(OPTIONS)), ("webhook_audit", list(ENDPOINT_OPTIONS))]
