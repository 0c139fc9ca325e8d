"""``openstack image publish``: a file becomes a version of a family, and a channel points to it."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from osc_glancecore import making
from osc_glancecore.asking import Shows, one, said
from osc_glancecore.files import Source
from osc_glancecore.memory import Begun
from osc_glancecore.service import Service, ServiceError
from osc_glancecore.trying import again


class Publish(Shows):
    """Create an image, upload a file, make it a version and promote it. Broken off, the same command goes on where it
    was"""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = super().get_parser(prog_name)
        making.add_arguments(parser, "family and label")
        parser.add_argument(
            "--family", required=True, metavar="<family>", help="its name, such as debian/13, or its id"
        )
        parser.add_argument("--create-family", action="store_true", help="when there is none of that name")
        parser.add_argument("--label", required=True, metavar="<label>", help="of the new version, such as 20261130")
        parser.add_argument("--channel", metavar="<channel>", help="that then points to it, such as candidate")
        parser.add_argument("--architecture")
        parser.add_argument("--firmware")
        parser.add_argument("--reason", help="of the promotion, kept in the history")
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[Sequence[str], Sequence[object]]:
        service, source, how = self.service, Source.of(parsed_args.file), making.settings(parsed_args)
        family = self._family(service, parsed_args)
        root = f"/families/{family['id']}"
        version = f"{root}/versions/{quote(parsed_args.label, safe='')}"
        parsed_args.name = parsed_args.name or f"{family['name']} {parsed_args.label}"
        body = making.fields(parsed_args)
        begun = Begun(service, source, "publish", family["id"], parsed_args.label, body, how.store)
        taken = service.ask("GET", version)
        if taken.ok and taken.json()["image_id"] != begun.image_id:
            raise ServiceError(
                409, f"family {family['name']} has a version {parsed_args.label} already; take another label"
            )
        image = making.made(service, source, body, how, begun)
        again(
            service.call,
            "PUT",
            version,
            patience=how.patience,
            json={"image_id": image["id"], **said(parsed_args, "architecture", "firmware")},
        )
        if parsed_args.channel:
            again(
                service.call,
                "PUT",
                f"{root}/channels/{quote(parsed_args.channel, safe='')}",
                patience=how.patience,
                json={"label": parsed_args.label, **said(parsed_args, "reason")},
            )
        begun.forget()
        reference = (
            f"{family['name']}@{parsed_args.channel}"
            if parsed_args.channel
            else f"{family['name']}:{parsed_args.label}"
        )
        return one(
            {
                "id": image["id"],
                "family": family["name"],
                "label": parsed_args.label,
                "channel": parsed_args.channel,
                "reference": reference,
                "size": image["size"],
                "os_hash_algo": image["os_hash_algo"],
                "os_hash_value": image["os_hash_value"],
            }
        )

    def _family(self, service: Service, args: argparse.Namespace) -> dict[str, Any]:
        try:
            return service.family(args.family)
        except ServiceError as exc:
            if exc.status != 404:
                raise
            if not args.create_family:
                raise ServiceError(404, f"{exc}; --create-family makes it") from exc
        return dict(service.json("POST", "/families", json={"name": args.family}))
