"""Store drivers that take parts and have one mistake, and ``PartsStore``, which has none; run by ``test_store_kit``."""

import json
import os

from architecture.store_saboteurs import FolderKit, FolderStore

from glancecore.domain import errors
from glancecore.ports.store import Cap, StoredPart


class PartsStore(FolderStore):
    """Each part is a file, named by its number."""

    caps = FolderStore.caps | {Cap.PARTS}

    def begun(self, key):
        return self.folder() / f".{key}.begun"

    def piece(self, key, number):
        return self.folder() / f".{key}.{number}.piece"

    def begin_parts(self, owner, key, size=None):
        if self.path(key).exists():
            raise errors.BlobExists("it exists")
        self.begun(key).touch()
        return "handle"

    def require(self, key):
        if not self.begun(key).exists():
            raise errors.BlobNotFound("it was not begun")

    def put_part(self, key, handle, number, offset, chunks):
        self.require(key)
        data = b"".join(chunks)
        self.require(key)  # it may have been completed meanwhile
        self.piece(key, number).write_bytes(data)

    def open_parts(self, key, handle, parts):
        self.require(key)
        return iter([self.piece(key, x.number).read_bytes() for x in parts])

    def complete_parts(self, key, handle, parts):
        if self.begun(key).exists():
            if self.path(key).exists():
                raise errors.BlobExists("it exists")
            self.check_parts(key, parts)
            self.part(key).write_bytes(self.joined(key, parts))
            os.link(self.part(key), self.path(key))
            self.forget_parts(key)
        elif not self.path(key).exists():
            raise errors.BlobNotFound("it was not begun")
        return self.url(key)

    def check_parts(self, key, parts):
        for x in parts:
            if not self.piece(key, x.number).exists() or self.piece(key, x.number).stat().st_size != x.size:
                raise errors.SizeMismatch("a part is not there")

    def joined(self, key, parts):
        return b"".join(self.piece(key, x.number).read_bytes() for x in parts)

    def forget_parts(self, key):
        for entry in [self.begun(key), self.part(key), *self.folder().glob(f".{key}.*.piece")]:
            entry.unlink(missing_ok=True)

    def discard(self, key):
        self.forget_parts(key)
        super().discard(key)


class ForgetsItsLastByte(PartsStore):
    caught_by = ("test_parts_become_the_blob",)

    def joined(self, key, parts):
        return super().joined(key, parts)[:-1]


class RemembersTheHandle(PartsStore):
    """In the instance."""

    caught_by = ("test_parts_become_the_blob",)
    known = ()

    def begin_parts(self, owner, key, size=None):
        self.known = (key,)
        return super().begin_parts(owner, key, size)

    def require(self, key):
        if key not in self.known:
            raise errors.BlobNotFound("it was not begun")


class GrowsInPublic(PartsStore):
    caught_by = ("test_parts_can_not_be_opened_before_they_are_complete",)

    def put_part(self, key, handle, number, offset, chunks):
        super().put_part(key, handle, number, offset, chunks)
        with self.path(key).open("ab") as out:
            out.write(self.piece(key, number).read_bytes())

    def complete_parts(self, key, handle, parts):
        self.path(key).unlink(missing_ok=True)
        return super().complete_parts(key, handle, parts)


class WritesPartsLater(PartsStore):
    caught_by = ("test_parts_outlive_a_writer_that_is_killed",)
    waiting = ()

    def put_part(self, key, handle, number, offset, chunks):
        self.require(key)
        self.waiting = [*self.waiting, (self.piece(key, number), b"".join(chunks))]

    def complete_parts(self, key, handle, parts):
        for path, data in self.waiting:
            path.write_bytes(data)
        return super().complete_parts(key, handle, parts)


class OneFile(PartsStore):
    """Written at offsets, by whoever comes."""

    caught_by = ("test_what_a_writer_sends_that_was_overtaken_changes_nothing",)

    def put_part(self, key, handle, number, offset, chunks):
        self.require(key)
        descriptor = os.open(self.piece(key, 0), os.O_CREAT | os.O_WRONLY)
        try:
            for chunk in chunks:
                os.pwrite(descriptor, chunk, offset)
                offset += len(chunk)
        finally:
            os.close(descriptor)

    def check_parts(self, key, parts):
        os.truncate(self.piece(key, 0), sum(x.size for x in parts))

    def joined(self, key, parts):
        return self.piece(key, 0).read_bytes()


class AddsWhatFailed(PartsStore):
    """A part goes on where the one that failed had come to."""

    caught_by = ("test_a_part_that_failed_counts_for_nothing",)

    def put_part(self, key, handle, number, offset, chunks):
        self.require(key)
        with self.piece(key, number).open("ab") as out:
            for chunk in chunks:
                out.write(chunk)


class WrapsTheSource(PartsStore):
    caught_by = ("test_a_part_that_failed_counts_for_nothing",)

    def put_part(self, key, handle, number, offset, chunks):
        try:
            super().put_part(key, handle, number, offset, chunks)
        except Exception as exc:
            raise errors.StoreUnavailable("it failed") from exc


class ReadsInTheWrongOrder(PartsStore):
    caught_by = ("test_parts_can_be_read_before_they_are_complete",)

    def open_parts(self, key, handle, parts):
        return super().open_parts(key, handle, parts[::-1])


class CompletesOnce(PartsStore):
    caught_by = ("test_who_completes_again_is_told_the_same",)

    def complete_parts(self, key, handle, parts):
        self.require(key)
        return super().complete_parts(key, handle, parts)


class DiscardsBlobsOnly(PartsStore):
    caught_by = ("test_nothing_is_left_of_parts_that_were_discarded",)

    def discard(self, key):
        FolderStore.discard(self, key)


class PartsReplaceBlobs(PartsStore):
    caught_by = ("test_parts_never_replace_a_blob",)

    def complete_parts(self, key, handle, parts):
        self.require(key)
        self.path(key).unlink(missing_ok=True)
        return super().complete_parts(key, handle, parts)


class TakesWhatIsThere(PartsStore):
    caught_by = ("test_parts_that_are_not_all_there_become_no_blob",)

    def complete_parts(self, key, handle, parts):
        there = [
            StoredPart(x.number, self.piece(key, x.number).stat().st_size)
            for x in parts
            if self.piece(key, x.number).exists()
        ]
        return super().complete_parts(key, handle, there)


SABOTEURS = [cls for cls in list(globals().values()) if isinstance(cls, type) and "caught_by" in vars(cls)]
for _driver in [PartsStore, *SABOTEURS]:
    globals()[f"Test{_driver.__name__}"] = type(
        f"Test{_driver.__name__}", (FolderKit,), {"driver": _driver, "__test__": True}
    )

if __name__ == "__main__":  # tells test_store_kit what to expect
    print(json.dumps({driver.__name__: driver.caught_by for driver in SABOTEURS}))
