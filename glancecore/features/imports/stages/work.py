"""What methods and steps are handed: a narrow view of the run."""

from __future__ import annotations

import logging
import shutil
from dataclasses import replace
from pathlib import Path

from glancecore.domain import errors, fields, metadata
from glancecore.domain.image import Image
from glancecore.domain.lease import BlobRef
from glancecore.domain.quota import Limits
from glancecore.domain.staged import Staged
from glancecore.features.imports.run import ImportRun
from glancecore.features.imports.stages.reservation import ImportReservation
from glancecore.ports.import_method import MethodRequest
from glancecore.sdk.checkpoints import checkpoint

LOG = logging.getLogger(__name__)


class MethodWork:
    """``FetchWork`` for a method. ``preparing``: the first byte has not come, so the method may still say what the data
    is."""

    def __init__(self, run: ImportRun, *, preparing: bool = False) -> None:
        self._run = run
        self.preparing = preparing

    @property
    def image(self) -> Image:
        return self._run.image()

    @property
    def request(self) -> MethodRequest:
        return self._run.request

    def check_alive(self) -> None:
        self._run.check_alive()

    def set_properties(self, **properties: str) -> None:
        _give(self._run, properties)

    def set_formats(self, disk_format: str | None = None, container_format: str | None = None) -> None:
        if not self.preparing:
            raise errors.ImportFailed(
                "the import method says what the data is while the data comes; it must do so before"
            )
        self._run.services.settings.check_formats(disk_format or None, container_format or None)
        self._run.save(
            image=lambda x: replace(
                x, disk_format=disk_format or x.disk_format, container_format=container_format or x.container_format
            )
        )


class StepWork:
    """``ImportWork`` for one step. ``close`` when the step has ended, well or badly."""

    def __init__(self, run: ImportRun, name: str) -> None:
        self._run = run
        self._name = name
        self._scratch: Path | None = None
        self._copy: Path | None = None
        #: What the step has said that its data is; saved with the data.
        self._formats: dict[str, str] = {}
        self._room: ImportReservation | None = None
        #: Whether it has made other data of the staged data.
        self.replaced = False

    @property
    def image(self) -> Image:
        return self._named(self._run.image())

    @property
    def request(self) -> MethodRequest:
        return self._run.request

    @property
    def staged(self) -> Path:
        staged = self._staged()
        path = self._run.services.stores.recorded(staged.store).local_path(staged.url)
        if path is not None:
            return path
        if self._copy is None:  # the staging store is elsewhere
            copy = self._folder("staged") / "data"
            with copy.open("wb") as out:
                seen = 0
                for piece in self._run.services.stores.recorded(staged.store).open(staged.url):
                    out.write(piece)
                    seen += len(piece)
                    self._run.progress(seen, staged.digests.size)
            self._copy = copy
        return self._copy

    @property
    def scratch(self) -> Path:
        if self._scratch is None:
            self._scratch = self._folder("scratch")
        return self._scratch

    def check_alive(self) -> None:
        self._run.check_alive()

    def progress(self, bytes: int, total: int | None = None) -> None:  # noqa: A002 (the port's name)
        self._run.progress(bytes, total)

    def reserve(self, size: int) -> None:
        self.check_alive()
        cap = self._run.services.staged_data.cap
        if size > cap:
            raise errors.TooLarge(f"the data would have {size} bytes after step {self._name}; image_size_cap is {cap}")
        self._room = self._room or ImportReservation(self._run)
        self._room.need(size)

    def replace(self, path: Path) -> None:
        """The new data is written and recorded before the old goes, so that a crash leaves one of them."""
        if path.parent != self.scratch or path.is_symlink() or not path.is_file():
            raise errors.StepFailed(f"step {self._name} made no file of its own")
        run, staged_data, old = self._run, self._run.services.staged_data, self._staged()
        self.reserve(path.stat().st_size)
        ref = staged_data.ref(run.image_id)
        run.save(add=ref)
        checkpoint("step.intent")
        staged = old.become(staged_data.put_file(self.image, ref, path, run.progress))
        checkpoint("step.replaced")
        old_ref = BlobRef(old.store, old.key)
        done = old.worked.steps if old.worked is not None else ()
        try:
            run.save(
                image=lambda x: self._named(x).with_staged(staged).with_checkpoint(*done),
                drop=ref,
                add=old_ref,
                reserved=staged.digests.size * len(run.task.stores),
            )
        except errors.LeaseLost:
            run.disown(ref)
            raise
        checkpoint("step.recorded")
        staged_data.discard(old_ref)
        run.save(drop=old_ref)
        path.unlink()
        self._copy, self._formats = None, {}
        self.replaced = True

    def set_formats(self, disk_format: str | None = None, container_format: str | None = None) -> None:
        self._formats |= {
            name: value
            for name, value in (("disk_format", disk_format), ("container_format", container_format))
            if value
        }

    def finish(self) -> None:
        """The step has run. What it calls by another name, and has not replaced, is inspected as that. Raises
        BadContent."""
        if not self._formats:
            return
        staged = self._run.services.staged_data.judge(self.image, self._staged(), self._run.progress)
        self._run.save(image=lambda x: self._named(x).with_staged(staged))

    def set_properties(self, **properties: str) -> None:
        _give(self._run, properties)

    def remove_properties(self, *names: str) -> None:
        self._run.save(
            image=lambda x: replace(
                x, properties={key: value for key, value in x.properties.items() if key not in names}
            )
        )

    def close(self) -> None:
        shutil.rmtree(folder_of(self._run), ignore_errors=True)

    # -- inside ------------------------------------------------------------------------------------
    def _named(self, image: Image) -> Image:
        return replace(image, **self._formats)  # type: ignore[arg-type]

    def _staged(self) -> Staged:
        staged = self._run.image().staged
        if staged is None:
            raise errors.StepFailed(f"step {self._name}: there is no staged data")
        return staged

    def _folder(self, name: str) -> Path:
        folder = folder_of(self._run) / name
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.mkdir(exist_ok=True)
        return folder


def folder_of(run: ImportRun) -> Path:
    """The scratch folder of this holding of the image: who takes it over has another one."""
    return run.services.settings.work_dir / f"{run.image_id}.{run.lease.token}"


def _give(run: ImportRun, properties: dict[str, str]) -> None:
    """The image gets these properties, within the limits that users have. Raises StepFailed, Invalid, LimitExceeded,
    QuotaExceeded."""
    limits = run.services.settings.metadata

    def given(image: Image) -> Image:
        after = image.with_import_properties(properties)
        metadata.check(after, limits, image)
        return after

    _check_names(properties)
    run.save(image=given, limits=None if limits.project_bytes is None else Limits(metadata_bytes=limits.project_bytes))


def _check_names(properties: dict[str, str]) -> None:
    for name, value in properties.items():
        if (
            fields.is_base(name)
            or fields.is_reserved(name)
            or len(name) > fields.MAX_NAME
            or not isinstance(value, str)
        ):
            raise errors.StepFailed(f"{name!r} can't be a property")
