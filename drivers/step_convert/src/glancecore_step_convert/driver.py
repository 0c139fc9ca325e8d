"""Images become the format that the cloud's hypervisors like best, before they go to the stores."""

from __future__ import annotations

import shutil

from glancecore.domain import errors
from glancecore.ports.import_step import ImportStep, ImportWork
from glancecore_step_convert import qemu
from glancecore_step_convert.options import OPTIONS, SECTION

#: VMDK types whose data is in the file itself.
VMDK_TYPES = frozenset({"streamOptimized", "monolithicSparse"})


class Convert(ImportStep):
    """Convert the disk with qemu-img, in a process with limits, after the inspection has found the data safe."""

    plugin_api = "1.0"
    options = OPTIONS
    section = SECTION
    isolated = False
    changes_data = True

    def start(self) -> None:
        if shutil.which(self.conf.qemu_img) is None:
            raise errors.ConfigError(
                f"[{SECTION}] qemu_img = {self.conf.qemu_img}: no such program; install qemu-utils, or name its path"
            )

    def run(self, work: ImportWork) -> None:
        image, wanted = work.image, str(self.conf.output_format)
        name = qemu.NAMES.get(image.disk_format or "")
        if name is None or image.disk_format == wanted or image.container_format != "bare":
            return  # kernels, ramdisks, packages: no disks
        source = work.staged
        work.check_alive()
        found = qemu.info(self.conf.qemu_img, source, name)
        if found.create_type is not None and found.create_type not in VMDK_TYPES:
            raise errors.ConversionFailed(f"a vmdk of type {found.create_type} is not taken")
        most = self.conf.max_bytes or self.config.image_size_cap
        if found.virtual_size > most:
            raise errors.ConversionFailed(
                f"the disk has {found.virtual_size} bytes, more than the {most} that are allowed"
            )
        if wanted == "raw":
            work.reserve(found.virtual_size)

        def look(seen: int) -> None:
            work.reserve(seen)
            work.progress(min(seen, found.virtual_size), found.virtual_size)

        target = work.scratch / "converted"
        qemu.convert(
            self.conf.qemu_img,
            source,
            name,
            target,
            wanted,
            qemu.Limits(self.conf.max_cpu_seconds, self.conf.max_seconds, self.conf.max_memory, most),
            look,
        )
        work.reserve(target.stat().st_size)
        work.set_formats(disk_format=wanted)
        work.replace(target)
