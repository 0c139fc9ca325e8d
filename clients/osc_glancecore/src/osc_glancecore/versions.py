"""``openstack image version …``"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence

from osc_glancecore.asking import Does, Lists, Shows, family_argument, family_path, one, said, table


def _label(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    family_argument(parser)
    parser.add_argument("label", metavar="<label>", help="of the version")
    return parser


class AddVersion(Shows):
    """Make an image a version of a family, for good"""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = _label(super().get_parser(prog_name))
        parser.add_argument("image", metavar="<image>", help="its id or name")
        parser.add_argument("--architecture")
        parser.add_argument("--firmware")
        parser.add_argument(
            "--not-latest", action="store_const", const=False, dest="latest", help="it never becomes latest"
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[Sequence[str], Sequence[object]]:
        service = self.service
        body = {
            "image_id": service.image(parsed_args.image)["id"],
            **said(parsed_args, "architecture", "firmware", "latest"),
        }
        return one(
            service.json("PUT", family_path(service, parsed_args.family, "versions", parsed_args.label), json=body)
        )


class ListVersions(Lists):
    """List versions of a family, the newest first"""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = super().get_parser(prog_name)
        family_argument(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[Sequence[str], Iterable[Sequence[object]]]:
        service = self.service
        return table(
            service.pages(family_path(service, parsed_args.family, "versions"), "versions"),
            {
                "Label": "label",
                "Image": "image_id",
                "Added": "created_at",
                "State": "state",
                "Replacement": "replacement",
            },
        )


class ShowVersion(Shows):
    """Show a version"""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        return _label(super().get_parser(prog_name))

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[Sequence[str], Sequence[object]]:
        service = self.service
        return one(service.json("GET", family_path(service, parsed_args.family, "versions", parsed_args.label)))


class RemoveVersion(Does):
    """Take a version out of its family; the image stays"""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        return _label(super().get_parser(prog_name))

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        service = self.service
        service.call("DELETE", family_path(service, parsed_args.family, "versions", parsed_args.label))


class DeprecateVersion(Shows):
    """Deprecate a version: no reference leads to it any more"""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = _label(super().get_parser(prog_name))
        for name, text in (
            ("deprecated-at", "from when on; now, unless it is said"),
            ("obsolete-at", "from when on it should not be used"),
            ("ends-at", "when it may be deleted"),
        ):
            parser.add_argument(f"--{name}", metavar="<time>", help=f"{text}: YYYY-MM-DDTHH:MM:SSZ")
        parser.add_argument(
            "--replacement", metavar="<reference>", help="what to use in its place, such as debian/13@stable"
        )
        parser.add_argument("--reason")
        parser.add_argument(
            "--force",
            action="store_const",
            const=True,
            help="also when a channel points to it, or nothing else could be latest",
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[Sequence[str], Sequence[object]]:
        service = self.service
        body = said(parsed_args, "deprecated_at", "obsolete_at", "ends_at", "replacement", "reason", "force")
        return one(
            service.json(
                "POST",
                family_path(service, parsed_args.family, "versions", parsed_args.label) + "/actions/deprecate",
                json=body,
            )
        )


class RestoreVersion(Shows):
    """Take a deprecation back"""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = _label(super().get_parser(prog_name))
        parser.add_argument("--reason")
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[Sequence[str], Sequence[object]]:
        service = self.service
        return one(
            service.json(
                "POST",
                family_path(service, parsed_args.family, "versions", parsed_args.label) + "/actions/restore",
                json=said(parsed_args, "reason"),
            )
        )
