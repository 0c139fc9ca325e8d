"""What every plugin states, whatever its kind."""

from __future__ import annotations

from typing import ClassVar

#: Major and minor version of the plugin API: of all that plugins implement and call (``glancecore.ports``,
#: ``glancecore.domain``). What a plugin of 1.0 implements and calls works in every 1.x. A minor version adds; what a
#: major version will take away is deprecated one minor version before.
PLUGIN_API = (1, 0)


class Plugin:
    """The base of the base class of each kind. There is no default: a plugin that inherited one would always claim the
    version that is installed."""

    #: The version of the plugin API that the plugin was written for, as text: ``plugin_api = "1.0"``. An older major
    #: version is refused when the plugin is loaded, and so is a newer version than the service has.
    plugin_api: ClassVar[str]
