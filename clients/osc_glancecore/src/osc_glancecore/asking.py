"""What all commands of openstackclient here have: the service, what is shown, and refusals in the service's words."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from keystoneauth1 import exceptions as keystone
from osc_lib import exceptions
from osc_lib.cli.format_columns import DictColumn
from osc_lib.command import command

from osc_glancecore.service import Service, ServiceError, sentence
from osc_glancecore.uploading import Refused

_TOLD = (ServiceError, Refused, keystone.ClientException, OSError, ValueError)


class _Asks:
    app: Any

    @property
    def service(self) -> Service:
        return Service(self.app.client_manager.sdk_connection.image)

    def run(self, parsed_args: argparse.Namespace) -> int:
        try:
            return int(super().run(parsed_args) or 0)  # type: ignore[misc]
        except _TOLD as exc:
            raise exceptions.CommandError(sentence(exc)) from exc


class Does(_Asks, command.Command):
    """Shows nothing."""


class Shows(_Asks, command.ShowOne):
    """Shows one thing, as a table of fields."""


class Lists(_Asks, command.Lister):
    """Shows rows."""


def family_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("family", metavar="<family>", help="its name, such as debian/13, or its id")


def family_path(service: Service, name: str, *more: str) -> str:
    """The path of a family, or of what is behind it. Raises ServiceError."""
    return "/".join(["/families", str(service.family(name)["id"]), *(quote(x, safe="") for x in more)])


def one(row: Mapping[str, Any]) -> tuple[Sequence[str], Sequence[object]]:
    keys = list(row)
    return keys, [_cell(row[x]) for x in keys]


def table(
    rows: Iterable[Mapping[str, Any]], columns: Mapping[str, str]
) -> tuple[Sequence[str], Iterable[Sequence[object]]]:
    """``columns``: the field of each, by its heading."""
    return list(columns), [[_cell(row.get(x, "")) for x in columns.values()] for row in rows]


def _cell(value: object) -> object:
    """An object is a text in tables, and itself in JSON."""
    return DictColumn(dict(value)) if isinstance(value, Mapping) else value


def said(args: argparse.Namespace, *names: str) -> dict[str, object]:
    """Those of the arguments that were given."""
    return {x: y for x in names if (y := getattr(args, x)) is not None}
