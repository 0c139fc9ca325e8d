"""What a database driver may offer beside ``Database``: a schema that is upgraded while nodes of two releases serve."""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol, runtime_checkable


class SchemaStep(StrEnum):
    """What is to be done to the schema next."""

    NOTHING = "nothing"
    #: There is none, or it is too old for an upgrade beside nodes that run: all of them stop, and it is synced.
    SYNC = "sync"
    #: While nodes of the release before serve.
    EXPAND = "expand"
    #: When no node of the release before runs any more.
    CONTRACT = "contract"
    #: It is of the release that comes next, and this one serves on it.
    NEWER = "newer"


@runtime_checkable
class RollingSchema(Protocol):
    """Nodes of the release before serve from before ``expand`` until ``contract``, beside those of this one."""

    def expand(self) -> None:
        """Add what this release needs, and take nothing away; a new database gets everything. Again without harm.
        Raises ConfigError when the schema is older than that of the release before, SchemaUnknown."""

    def contract(self) -> None:
        """Take away what only the release before needs; its nodes do not start from then on. Again without harm. Raises
        ConfigError before ``expand``, SchemaUnknown."""

    def schema_step(self) -> SchemaStep:
        """Raises SchemaUnknown for a schema that this release neither makes nor serves on."""
