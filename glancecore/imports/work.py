"""What methods and steps are handed: a narrow view of the run."""

from __future__ import annotations

import logging
import shutil
from dataclasses import replace
from pathlib import Path

from glancecore.domain import errors, fields
from glancecore.domain.image import Image, Staged
from glancecore.domain.lease import BlobRef
from glancecore.imports.run import Run
from glancecore.ports.import_method import Request
from glancecore.services.checkpoints import reach

LOG = logging.getLogger(__name__)


class MethodWork:
    """``FetchWork`` for a method."""

    def __init__(self, run: Run) -> None:
        self._run = run

    @property
    def image(self) -> Image:
        return self._run.image()

    @property
    def request(self) -> Request:
        return self._run.request

    def check_alive(self) -> None:
        self._run.check_alive()

    def set_properties(self, **properties: str) -> None:
        _check_names(properties)
        self._run.save(image=lambda x: x.given(properties))

    def set_formats(self, disk_format: str | None = None, container_format: str | None = None) -> None:
        self._run.save(image=lambda x: replace(x, disk_format=disk_format or x.disk_format,
                                               container_format=container_format or x.container_format))


class StepWork:
    """``ImportWork`` for one step. ``close`` when the step has ended, well or badly."""

    def __init__(self, run: Run, name: str) -> None:
        self._run = run
        self._name = name
        self._scratch: Path | None = None
        self._copy: Path | None = None
        #: Whether it has made other data of the staged data.
        self.replaced = False

    @property
    def image(self) -> Image:
        return self._run.image()

    @property
    def request(self) -> Request:
        return self._run.request

    @property
    def staged(self) -> Path:
        staged = self._staged()
        path = self._run.parts.stores.recorded(staged.store).local_path(staged.url)
        if path is not None:
            return path
        if self._copy is None:  # the staging store is elsewhere
            copy = self._folder("staged") / "data"
            with copy.open("wb") as out:
                seen = 0
                for piece in self._run.parts.stores.recorded(staged.store).open(staged.url):
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

    def replace(self, path: Path) -> None:
        """The new data is written and recorded before the old goes, so that a crash leaves one of them."""
        if path.parent != self.scratch or path.is_symlink() or not path.is_file():
            raise errors.StepFailed(f"step {self._name} made no file of its own")
        run, area, old = self._run, self._run.parts.area, self._staged()
        ref = area.ref(run.lease)
        run.save(add=ref)
        reach("step.intent")
        staged = old.become(area.put_file(run.image(), ref, path, run.progress))
        reach("step.replaced")
        old_ref = BlobRef(old.store, old.key)
        done = old.worked.steps if old.worked is not None else ()
        try:
            run.save(image=lambda x: x.takes(staged).worked(*done), drop=ref, add=old_ref)
        except errors.LeaseLost:
            run.disown(ref)
            raise
        reach("step.recorded")
        area.discard(old_ref)
        run.save(drop=old_ref)
        path.unlink()
        self._copy = None
        self.replaced = True

    def set_formats(self, disk_format: str | None = None, container_format: str | None = None) -> None:
        self._run.save(image=lambda x: replace(x, disk_format=disk_format or x.disk_format,
                                               container_format=container_format or x.container_format))

    def set_properties(self, **properties: str) -> None:
        _check_names(properties)
        self._run.save(image=lambda x: x.given(properties))

    def remove_properties(self, *names: str) -> None:
        self._run.save(image=lambda x: replace(x, properties={key: value for key, value in x.properties.items() if key not in names}))

    def close(self) -> None:
        shutil.rmtree(folder_of(self._run), ignore_errors=True)

    # -- inside ------------------------------------------------------------------------------------------------------
    def _staged(self) -> Staged:
        staged = self._run.image().staged
        if staged is None:
            raise errors.StepFailed(f"step {self._name}: there is no staged data")
        return staged

    def _folder(self, name: str) -> Path:
        folder = folder_of(self._run) / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder


def folder_of(run: Run) -> Path:
    """The scratch folder of this holding of the image: who takes it over has another one."""
    return run.parts.settings.work_dir / f"{run.image_id}.{run.lease.token}"


def _check_names(properties: dict[str, str]) -> None:
    for name, value in properties.items():
        if fields.is_base(name) or fields.is_reserved(name) or len(name) > fields.MAX_NAME or not isinstance(value, str):
            raise errors.StepFailed(f"{name!r} can't be a property")
