"""The updater: fills in what is not known of an image's data, and counts anew what projects use."""

from __future__ import annotations

from glancecore.domain import errors
from glancecore.domain.image import Image
from glancecore.domain.lease import Operation
from glancecore.domain.quota import Usage
from glancecore.features.copies.options import UPDATER
from glancecore.features.copies.use_cases import WITH_DATA
from glancecore.features.images.extension import ImagesExtension
from glancecore.kernel.core import CoreTools
from glancecore.ports.options import Section
from glancecore.ports.periodic import JobContext, PeriodicJob

_PAGE = 100
#: Seconds between two looks at a hash that is being made.
_LOOK = 0.2


class Updater(PeriodicJob):
    """Hashes and measures data that nobody has hashed or measured, notes locations as their stores name them, and mends
    counters of usage that are wrong."""

    options, interval = UPDATER, 3600.0
    summary = "fills in missing hashes and sizes, counts anew what projects use"

    def __init__(self, conf: Section, tools: CoreTools) -> None:
        super().__init__(conf, tools)
        self._tools = tools
        self._images = tools.of(ImagesExtension)

    def run(self, turn: JobContext) -> None:
        self._fill(turn)
        if self.conf.usage:
            self._count(turn)

    # -- images ------------------------------------------------------------------------------------
    def _fill(self, turn: JobContext) -> None:
        after = str(turn.state.get("after") or "")
        while page := self._tools.database.images.scan(WITH_DATA, after, _PAGE):
            for image in page:
                turn.check()
                if image.good_locations:
                    self._look_at(turn, image)
            after = page[-1].id
            turn.remember({"after": after})
        turn.remember({})

    def _look_at(self, turn: JobContext, image: Image) -> None:
        try:
            if self._images.locations.rename(image, dry_run=turn.dry_run):
                turn.find("renamed", image.id, "its locations are written as their stores name them now")
        except errors.ImageNotFound:
            return
        wanted = {
            "size": image.size,
            **({"checksum": image.checksum} if self._tools.core.data_settings.checksum else {}),
            "os_hash_value": image.hash_value,
        }
        lacking = [
            name for name, value in wanted.items() if value is None or (image.unproved and name == "os_hash_value")
        ]
        if lacking and (
            self._tools.core.conf.do_secure_hash or not all(map(self._tools.stores.vouch, image.good_locations))
        ):
            turn.find("incomplete", image.id, f"{', '.join(lacking)} {'is' if len(lacking) == 1 else 'are'} not known")
            if not turn.dry_run:
                self._hash(turn, image)
        elif image.virtual_size is None and image.size is not None:
            self._measure(turn, image)

    def _hash(self, turn: JobContext, image: Image) -> None:
        """As data of an added location is hashed: under a lease, to its end, whatever happens to us."""
        lease = self._tools.core.leases.new(image, Operation.HASH, image.status)
        try:
            self._tools.database.images.commit(self._tools.core.leases.taken(lease))
        except errors.ImageBusy:
            self._tools.core.leases.forget(lease)
            turn.count("busy")
            return
        self._images.hashing.start(lease)
        while (held := self._tools.database.images.lease(image.id)) is not None and held.token == lease.token:
            turn.pause(_LOOK)
        after = self._again(image)
        if after is not None and after.hash_value is not None and not after.unproved:
            turn.find("hashed", image.id, f"{after.hash_algo} and size were filled in")
        elif after is not None:
            turn.fail(f"image {image.id} could not be hashed: {after.last_error or 'the log says why'}")

    def _again(self, image: Image) -> Image | None:
        try:
            return self._tools.database.images.get_any(image.id)
        except errors.ImageNotFound:
            return None

    def _measure(self, turn: JobContext, image: Image) -> None:
        """The virtual size is told by the data's beginning, if at all."""
        try:
            found = self._images.locations.measure(image, dry_run=turn.dry_run)
        except errors.GlanceError as exc:
            turn.fail(f"image {image.id}: its virtual size can't be found: {exc}")
            return
        if found is not None:
            turn.find("measured", image.id, f"virtual_size is {found}")

    # -- usage -------------------------------------------------------------------------------------
    def _count(self, turn: JobContext) -> None:
        images = self._tools.database.images
        for project in images.projects():
            turn.check()
            turn.count("projects")
            told, true = images.recount(project, mend=not turn.dry_run)
            if told != true:
                done = "would be" if turn.dry_run else "was"
                turn.find(
                    "miscounted",
                    project or "images without owner",
                    f"{_words(told)} {done} corrected to {_words(true)}",
                )


def _words(usage: Usage) -> str:
    return (
        f"{usage.bytes} bytes, {usage.staged_bytes} staged, {usage.images} images, {usage.uploading} uploading,"
        f" {usage.metadata_bytes} bytes of metadata"
    )
