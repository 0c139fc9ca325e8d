"""Images as a capability."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta

from oslo_config import cfg

from glancecore.domain.lease import Operation
from glancecore.domain.metadata import MetadataLimits
from glancecore.features.images import rules, schemas
from glancecore.features.images.deletion import Deletion
from glancecore.features.images.location_hashing import LocationHashing
from glancecore.features.images.locations import Locations, LocationSettings
from glancecore.features.images.options import bound
from glancecore.features.images.property_protection import PropertyProtection
from glancecore.features.images.trash import Trash
from glancecore.features.images.use_cases import ImageRules, Images
from glancecore.kernel.core import CoreExtension, CoreKernel
from glancecore.kernel.transfer.downloads import Downloads
from glancecore.kernel.transfer.uploads import Uploads
from glancecore.ports.http import Route, Schema


class ImagesExtension(CoreExtension):
    """What all other capabilities may use."""

    rules = rules.RULES
    jobs = {"reaper": "glancecore.features.images.jobs:ReaperJob"}

    def __init__(self, kernel: CoreKernel) -> None:
        super().__init__(kernel)
        conf, repository, stores, leases, writer = (
            kernel.conf,
            kernel.database.images,
            kernel.stores,
            kernel.leases,
            kernel.writer,
        )
        self.formats = schemas.Formats(
            conf.image_format.disk_formats, conf.image_format.container_formats, kernel.hooks.shown_keys
        )
        self.limits = MetadataLimits(
            bound(conf.image_property_quota),
            bound(conf.image_tag_quota),
            bound(conf.image_metadata_quota),
            bound(conf.project_metadata_quota),
        )
        self.protection = _protection(conf, kernel)
        self.deletion = Deletion(repository, stores, leases, writer, kernel.on, delayed=conf.delayed_delete)
        self.trash = Trash(
            repository, self.deletion, timedelta(seconds=conf.scrub_time) if conf.delayed_delete else None
        )
        self.hashing = LocationHashing(kernel.database, stores, leases, kernel.data_settings, writer)
        self.locations = Locations(
            repository,
            kernel.policy,
            kernel.quota,
            stores,
            kernel.operations,
            self.hashing,
            kernel.lookups,
            LocationSettings(
                conf.show_multiple_locations,
                conf.do_secure_hash,
                bound(conf.image_location_quota),
                kernel.data_settings.algorithm,
                kernel.data_settings.inspection,
            ),
        )
        self.use_cases = Images(
            repository,
            kernel.policy,
            kernel.quota,
            ImageRules(
                limits=self.limits,
                protection=self.protection,
                read_only=self.formats.shown,
                unlists=kernel.hooks.unlists,
            ),
            self.deletion,
            self.locations,
            writer,
            kernel.on,
        )
        self.uploads = Uploads(
            repository, kernel.policy, kernel.quota, stores, kernel.operations, kernel.data_settings, kernel.signatures
        )
        self.downloads = Downloads(repository, kernel.policy, stores, kernel.notifications)
        kernel.on.abandoned(Operation.DELETE, self.deletion.finish)
        kernel.on.abandoned(Operation.HASH, self.hashing.start)
        kernel.on.removed(self.hashing.removed)
        kernel.on.abandoned(Operation.DROP_LOCATION, self.locations.finish_drop)

    def routes(self) -> Iterable[Route]:
        from glancecore.features.images import routes
        from glancecore.features.images.api import ImageApiSettings, ImagePresenter, ImagesApi
        from glancecore.features.images.data_api import ImageDataApi
        from glancecore.features.images.locations_api import LocationsApi

        kernel, conf = self.kernel, self.kernel.conf
        settings = ImageApiSettings(
            self.formats,
            conf.limit_param_default,
            conf.api_limit_max,
            conf.max_json_body,
            conf.show_image_direct_url,
            conf.show_multiple_locations,
        )
        presenter = ImagePresenter(settings, kernel.policy, self.protection, kernel.stores, kernel.hooks.shows())
        return routes.routes(
            ImagesApi(
                self.use_cases, presenter, settings, kernel.hooks.beside, kernel.hooks.import_methods, kernel.stores.ids
            ),
            ImageDataApi(self.uploads, self.downloads, sendfile=conf.server.sendfile),
            LocationsApi(self.locations, conf.max_json_body),
            self.formats,
        )

    def schemas(self) -> Mapping[str, Schema]:
        return schemas.documents(self.formats)

    def stop(self) -> None:
        self.hashing.stop()


def _protection(conf: cfg.ConfigOpts, kernel: CoreKernel) -> PropertyProtection:
    if not conf.property_protection_file:
        return PropertyProtection()
    return PropertyProtection.from_file(
        conf.property_protection_file, conf.property_protection_rule_format, kernel.policy
    )
