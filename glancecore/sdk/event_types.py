"""Types of events as operators name them: ``image.create``, or ``image`` for all that begin so."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from glancecore.domain.errors import ConfigError
from glancecore.domain.events import EventType

_TYPES = [x.value for x in EventType]
_AREAS = {x.partition(".")[0] for x in _TYPES}


def matches(wanted: str, event_type: str) -> bool:
    return event_type == wanted or event_type.startswith(f"{wanted}.")


def check(option: str, wanted: Sequence[str]) -> None:
    """Types of extensions can't be known here, but for those whose first word is the service's own. Raises
    ConfigError."""
    for word in wanted:
        if any(matches(word, x) for x in _TYPES) or ("." in word and word.partition(".")[0] not in _AREAS):
            continue
        near = difflib.get_close_matches(word, [*_TYPES, *_AREAS], n=1)
        raise ConfigError(
            f"{option}: there is no {word!r}; "
            + (f"did you mean {near[0]}?" if near else "name types of docs/notifications.md")
        )
