"""``openstack image channel …``"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from typing import ClassVar

from osc_glancecore.asking import Does, Lists, Shows, family_argument, family_path, one, said, table


def _channel(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    family_argument(parser)
    parser.add_argument("channel", metavar="<channel>", help="its name, such as stable")
    return parser


def _move(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser.add_argument("--reason", help="kept in the history")
    parser.add_argument(
        "--expected-revision",
        metavar="<number>",
        type=int,
        help="refuse when somebody has moved it since that revision; 0: it is not there yet",
    )
    return parser


class ListChannels(Lists):
    """List channels of a family"""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = super().get_parser(prog_name)
        family_argument(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[Sequence[str], Iterable[Sequence[object]]]:
        service = self.service
        return table(
            service.json("GET", family_path(service, parsed_args.family, "channels"))["channels"],
            {"Name": "name", "Label": "label", "Image": "image_id", "Revision": "revision", "Pinned": "pinned"},
        )


class ShowChannel(Shows):
    """Show a channel"""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        return _channel(super().get_parser(prog_name))

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[Sequence[str], Sequence[object]]:
        service = self.service
        return one(service.json("GET", family_path(service, parsed_args.family, "channels", parsed_args.channel)))


class Promote(Shows):
    """Point a channel to a version"""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = _channel(super().get_parser(prog_name))
        parser.add_argument("label", metavar="<label>", help="of the version")
        return _move(parser)

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[Sequence[str], Sequence[object]]:
        service = self.service
        body = said(parsed_args, "label", "reason", "expected_revision")
        return one(
            service.json("PUT", family_path(service, parsed_args.family, "channels", parsed_args.channel), json=body)
        )


class _Acts(Shows):
    action: ClassVar[str]

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        return _move(_channel(super().get_parser(prog_name)))

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[Sequence[str], Sequence[object]]:
        service = self.service
        path = family_path(service, parsed_args.family, "channels", parsed_args.channel)
        return one(
            service.json("POST", f"{path}/actions/{self.action}", json=said(parsed_args, "reason", "expected_revision"))
        )


class RollBack(_Acts):
    """Point a channel to where it pointed before"""

    action = "rollback"


class Pin(_Acts):
    """Pin a channel: it is not moved until it is unpinned"""

    action = "pin"


class Unpin(_Acts):
    """Unpin a channel"""

    action = "unpin"


class History(Lists):
    """Show the moves of a channel, the last one first"""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = _channel(super().get_parser(prog_name))
        parser.add_argument("--limit", metavar="<number>", type=int, default=100)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[Sequence[str], Iterable[Sequence[object]]]:
        service = self.service
        path = family_path(service, parsed_args.family, "channels", parsed_args.channel)
        return table(
            service.pages(f"{path}/history", "moves", most=parsed_args.limit),
            {
                "Number": "number",
                "At": "at",
                "Action": "action",
                "From": "from",
                "To": "to",
                "User": "user",
                "Reason": "reason",
            },
        )


class DeleteChannel(Does):
    """Delete a channel; the versions stay"""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        return _channel(super().get_parser(prog_name))

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        service = self.service
        service.call("DELETE", family_path(service, parsed_args.family, "channels", parsed_args.channel))
