"""``openstack image family …``"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence

from osc_glancecore.asking import Does, Lists, Shows, family_argument, family_path, one, said, table


class CreateFamily(Shows):
    """Create a family of images"""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = super().get_parser(prog_name)
        parser.add_argument("name", metavar="<name>", help="up to four parts with slashes, such as debian/13")
        parser.add_argument("--description")
        parser.add_argument("--visibility", choices=["private", "public"])
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[Sequence[str], Sequence[object]]:
        return one(self.service.json("POST", "/families", json=said(parsed_args, "name", "description", "visibility")))


class ListFamilies(Lists):
    """List families: your project's own, then public ones"""

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[Sequence[str], Iterable[Sequence[object]]]:
        del parsed_args
        return table(
            self.service.pages("/families", "families"),
            {"ID": "id", "Name": "name", "Visibility": "visibility", "Default": "default", "Owner": "owner"},
        )


class ShowFamily(Shows):
    """Show a family"""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = super().get_parser(prog_name)
        family_argument(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[Sequence[str], Sequence[object]]:
        return one(self.service.family(parsed_args.family))


class SetFamily(Shows):
    """Change a family"""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = super().get_parser(prog_name)
        family_argument(parser)
        parser.add_argument("--description")
        parser.add_argument("--visibility", choices=["private", "public"])
        parser.add_argument("--default", metavar="<channel>", help="the channel that the bare name means, or latest")
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[Sequence[str], Sequence[object]]:
        service = self.service
        return one(
            service.json(
                "PATCH",
                family_path(service, parsed_args.family),
                json=said(parsed_args, "description", "visibility", "default"),
            )
        )


class DeleteFamily(Does):
    """Delete a family; its images stay"""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = super().get_parser(prog_name)
        family_argument(parser)
        parser.add_argument("--force", action="store_true", help="also when it has versions or channels")
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        service = self.service
        service.call(
            "DELETE", family_path(service, parsed_args.family), params={"force": "true"} if parsed_args.force else None
        )
