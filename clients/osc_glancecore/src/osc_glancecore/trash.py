"""``openstack image trash …``"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from urllib.parse import quote

from osc_glancecore.asking import Does, Lists, Shows, one, table


def _image(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser.add_argument("image", metavar="<image>", help="the deleted image's id")
    return parser


class ListTrash(Lists):
    """List deleted images that can be had back, the last one first"""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = super().get_parser(prog_name)
        parser.add_argument("--of-project", metavar="<project>", help="another project's id (admins)")
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[Sequence[str], Iterable[Sequence[object]]]:
        params = {"project": parsed_args.of_project} if parsed_args.of_project else None
        return table(
            self.service.pages("/trash", "images", params),
            {
                "ID": "id",
                "Name": "name",
                "Size": "size",
                "Deleted": "deleted_at",
                "By": "deleted_by",
                "Goes": "goes_at",
            },
        )


class ShowDeleted(Shows):
    """Show a deleted image"""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        return _image(super().get_parser(prog_name))

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[Sequence[str], Sequence[object]]:
        return one(self.service.json("GET", f"/trash/{quote(parsed_args.image, safe='')}"))


class RestoreImage(Shows):
    """Have a deleted image back as it was"""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        return _image(super().get_parser(prog_name))

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[Sequence[str], Sequence[object]]:
        return one(self.service.json("POST", f"/trash/{quote(parsed_args.image, safe='')}/actions/restore"))


class PurgeImage(Does):
    """Delete a deleted image for good, now (admins)"""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        return _image(super().get_parser(prog_name))

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        self.service.call("DELETE", f"/trash/{quote(parsed_args.image, safe='')}")
