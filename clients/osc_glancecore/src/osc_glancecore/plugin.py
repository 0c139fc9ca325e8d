"""What openstackclient looks for in a plugin. The commands ask the image service through openstackclient's own
connection, so there is no client to make."""

from __future__ import annotations

import argparse
from typing import Any

API_NAME = "glancecore"
API_VERSION_OPTION = "os_glancecore_api_version"
API_VERSIONS = {"1": "osc_glancecore.plugin"}
DEFAULT_API_VERSION = "1"


def make_client(instance: Any) -> Any:
    """The connection of openstacksdk."""
    return instance.sdk_connection


def build_option_parser(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser.add_argument(
        "--os-glancecore-api-version",
        metavar="<version>",
        default=DEFAULT_API_VERSION,
        choices=sorted(API_VERSIONS),
        help="version of glancecore's own commands (there is one)",
    )
    return parser
