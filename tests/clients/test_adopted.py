"""What was a real Glance's is used by the stock clients as if nothing had happened."""

from __future__ import annotations

from pathlib import Path

from peer.deployment import NAMESPACE, Peer
from shell import Shell


def test_images_of_glance_are_listed_shown_saved_changed_and_deleted(
    people: dict[str, Shell], adopted: Peer, tmp_path: Path
) -> None:
    admin = people["admin"]
    image_id = adopted.ids["active é"]
    listed = {x["ID"]: x for x in admin.json("openstack", "image", "list", "--limit", "1000")}
    assert listed[image_id]["Status"] == "active"
    assert adopted.ids["killed"] not in listed
    shown = admin.json("openstack", "image", "show", image_id)
    assert (shown["name"], shown["owner"], shown["tags"], shown["properties"]["colour"]) == (
        "active é",
        "demo",
        ["t", "ü"],
        "red",
    )
    for words in (("openstack", "image", "save", "--file"), ("glance", "image-download", "--file")):
        admin.run(*words, tmp_path / words[0], image_id)
        assert (tmp_path / words[0]).read_bytes() == adopted.data["active é"]
    admin.run("openstack", "image", "set", "--property", "colour=blue", "--unprotected", image_id)
    assert "blue" in admin.run("glance", "image-show", image_id)
    admin.run("openstack", "image", "delete", image_id)
    assert not (adopted.folder / "fast" / image_id).exists()


def test_members_and_definitions_of_glance(people: dict[str, Shell], adopted: Peer) -> None:
    admin = people["admin"]
    members = admin.json("openstack", "image", "member", "list", adopted.ids["shared"])
    assert {(x["Member ID"], x["Status"]) for x in members} == {("friend", "accepted"), ("stranger", "pending")}
    assert str(NAMESPACE["display_name"]) in admin.run("glance", "md-namespace-show", str(NAMESPACE["namespace"]))
