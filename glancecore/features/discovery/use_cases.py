"""What this deployment offers: stores, import methods, usage."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from glancecore.domain import errors
from glancecore.domain.context import Context
from glancecore.domain.quota import Limits, shown
from glancecore.kernel.transfer.store_facade import StoreFacade
from glancecore.kernel.transfer.stores import Stores
from glancecore.policies.authorizer import Authorizer
from glancecore.ports.quota import Quota
from glancecore.ports.repository import ImageRepository

LOG = logging.getLogger(__name__)


class Discovery:
    def __init__(
        self,
        repository: ImageRepository,
        authorizer: Authorizer,
        quota: Quota,
        stores: Stores,
        import_methods: Sequence[str] = (),
        extensions: Sequence[Mapping[str, str]] = (),
    ) -> None:
        self._repository = repository
        self._policy = authorizer
        self._quota = quota
        self._stores = stores
        self.import_methods = tuple(import_methods)
        self._extensions = tuple(extensions)

    @property
    def store_ids(self) -> list[str]:
        return self._stores.ids

    def extensions(self, ctx: Context) -> Sequence[Mapping[str, str]]:
        """Name, version and title of each that is switched on."""
        ctx.authorized = True
        return self._extensions

    def stores(self, ctx: Context) -> list[dict[str, object]]:
        """What users may know. Values are strings, absent when not set."""
        ctx.authorized = True
        return [self._brief(x) for x in self._stores]

    def stores_detail(self, ctx: Context) -> list[dict[str, object]]:
        self._policy.authorize(ctx, "stores_info_detail")
        return [
            {
                **self._brief(x),
                "type": x.settings.driver,
                "weight": x.settings.weight,
                "properties": _properties(x),
                **({"unavailable-because": x.unavailable_because or "unknown"} if not x.available else {}),
            }
            for x in self._stores
        ]

    def usage(self, ctx: Context) -> dict[str, dict[str, int]]:
        """Usage and limit of the caller's project by resource; sizes in MiB as Keystone's limits count them, begun ones
        of a limit as whole. Empty where nothing is limited, as Glance's."""
        ctx.authorized = True
        limits = self._quota.limits(ctx.project)
        if not self._quota.shows_usage and limits in (Limits(), Limits(metadata_bytes=limits.metadata_bytes)):
            return {}
        return shown(self._repository.usage(ctx.project), limits)

    def _brief(self, store: StoreFacade) -> dict[str, object]:
        row: dict[str, object] = {"id": store.id}
        if store.settings.description:
            row["description"] = store.settings.description
        if store.id == self._stores.default_id:
            row["default"] = "true"
        if store.available and not store.writable:
            row["read-only"] = "true"
        if not store.available:
            row["available"] = "false"
        return row


def _properties(store: StoreFacade) -> dict[str, object]:
    try:
        return dict(store.properties)
    except Exception:  # whatever a plugin raises
        LOG.exception("store %s can't tell its properties", store.id)
        return {}


def require(enabled: bool, what: str) -> None:
    """Raises NotEnabled (404) for a part of the API that is switched off here."""
    if not enabled:
        raise errors.NotEnabled(f"{what} is not enabled in this deployment")
