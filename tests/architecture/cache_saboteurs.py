"""Cache drivers with one mistake each, and the kit's tests of them; run by ``test_cache_kit``, not by themselves.

``caught_by`` names the rules that must fail. Each spoils the file cache, which by itself passes them all.
"""

import dataclasses
import io
import json
import math
import os
import time
from pathlib import Path

import pytest
from glancecore_cache_file.driver import FileCache
from glancecore_cache_file.files import FileTail, shared
from glancecore_cache_file.index import FILLING, READY
from oslo_config import cfg

from glancecore.domain import errors
from glancecore.ports.cache import Cache, Fill, Removed, Tail
from glancecore.testing.cache import Backdoor, CacheConformance, make_cache


class Wrapped(Fill):
    def __init__(self, fill, seal):
        self.fill, self.seal, self.at = fill, seal, 0

    def write(self, piece):
        self.fill.write(piece)
        self.at += len(piece)

    def publish(self):
        self.fill.publish()

    def abort(self, *, damaged=False):
        self.fill.abort(damaged=damaged)


class Wrapping(FileCache):
    """Gives its own Fill and Tail."""

    made_fill, made_tail = Wrapped, None

    def claim(self, image_id, seal):
        made = super().claim(image_id, seal)
        if isinstance(made, Fill):
            return self.made_fill(made, seal)
        return self.made_tail(made, seal) if isinstance(made, Tail) and self.made_tail else made


class Rereading(Tail):
    """Reads as the real one does, except for ``read``."""

    def __init__(self, tail, seal):
        self.real, self.seal = tail, seal

    def read(self, offset, length, timeout):
        return self.real.read(offset, length, timeout)

    def close(self):
        self.real.close()


class Mute(FileCache):
    caught_by = ("test_options_can_be_declared_and_shown",)
    options = [*FileCache.options, cfg.StrOpt("nothing")]


class Garbling(FileCache):
    caught_by = ("test_entry_has_the_bytes_that_were_filled", "test_what_is_read_is_not_evicted")

    def open(self, image_id, seal, *, count=True):
        file = super().open(image_id, seal, count=count)
        if file is None:
            return None
        file.close()
        return io.BytesIO(b"other")


class Positioned(FileCache):
    caught_by = ("test_entry_is_seekable",)

    def open(self, image_id, seal, *, count=True):
        file = super().open(image_id, seal, count=count)
        if file is not None:
            file.read(1)
        return file


class OtherDescriptor(FileCache):
    caught_by = ("test_fileno_leads_to_the_bytes",)

    def open(self, image_id, seal, *, count=True):
        file = super().open(image_id, seal, count=count)
        if file is not None:
            file.close()
            return Path(os.devnull).open("rb")
        return None


class Inventing(FileCache):
    caught_by = ("test_absent_entry_is_none",)

    def open(self, image_id, seal, *, count=True):
        return super().open(image_id, seal, count=count) or io.BytesIO(b"")


class Careless(FileCache):
    caught_by = (
        "test_unpublished_is_never_opened",
        "test_entry_of_another_seal_is_dropped",
        "test_changed_entry_is_dropped",
    )

    def open(self, image_id, seal, *, count=True):
        for path in self._data.glob(f"{image_id}.*"):
            if not path.name.endswith(".fill"):
                return path.open("rb")
        return None


class AnySeal(FileCache):
    caught_by = ("test_claim_with_another_seal_begins_anew",)

    def claim(self, image_id, seal):
        row = self._index.current(image_id)
        return super().claim(image_id, row.seal if row else seal)


class Trusting(FileCache):
    caught_by = ("test_changed_entry_is_not_followed",)

    def _follow(self, row):
        return FileTail(shared(self._data / row.name), None, row.size) if row.state == READY else super()._follow(row)


class NotCounting(FileCache):
    caught_by = ("test_hits_are_counted", "test_least_recently_accessed_goes")

    def _hit(self, row):
        pass


class Crowd(FileCache):
    """Whoever comes fills."""

    caught_by = ("test_one_filler_among_threads",)

    def claim(self, image_id, seal):
        return super().claim(f"{image_id}-{os.urandom(4).hex()}", seal)


class Alone(FileCache):
    """Processes don't know of each other."""

    caught_by = ("test_one_filler_among_processes", "test_entry_is_seen_by_other_processes")

    def claim(self, image_id, seal):
        return super().claim(f"{image_id}-{os.getpid()}", seal)

    def open(self, image_id, seal, *, count=True):
        return super().open(f"{image_id}-{os.getpid()}", seal, count=count)


class HastyTail(Rereading):
    def read(self, offset, length, timeout):
        return os.pread(self.real._data, length, offset) or self.real.read(offset, length, timeout)


class Hasty(Wrapping):
    """Gives the last byte before it is published."""

    caught_by = ("test_tail_gives_what_there_is",)
    made_tail = HastyTail


class NoTail(FileCache):
    caught_by = ("test_tail_of_a_complete_entry",)

    def claim(self, image_id, seal):
        row = self._index.current(image_id)
        return None if row is not None and row.state == READY else super().claim(image_id, seal)


class SilentFill(Wrapped):
    def abort(self, *, damaged=False):
        self.fill.abort()


class Silent(Wrapping):
    caught_by = ("test_tail_is_told_of_an_abort",)
    made_fill = SilentFill


class PatientTail(Rereading):
    def read(self, offset, length, timeout):
        data = os.pread(self.real._data, length, offset)
        time.sleep(0 if data else min(timeout, 1))
        return data


class Patient(Wrapping):
    """Waits for the dead."""

    caught_by = ("test_killed_filler_is_noticed_and_replaced",)
    made_tail = PatientTail


class Untidy(Wrapping):
    caught_by = ("test_abort_leaves_nothing", "test_short_entry_is_not_published")

    def claim(self, image_id, seal):
        made = super().claim(image_id, seal)
        (self._data / f"{image_id}.left").write_bytes(b"left")
        return made


class PaddingFill(Wrapped):
    def publish(self):
        self.fill.write(bytes(self.seal.size - self.at))
        self.fill.publish()


class Padding(Wrapping):
    caught_by = ("test_short_entry_is_not_published",)
    made_fill = PaddingFill


class CuttingFill(Wrapped):
    def write(self, piece):
        super().write(piece[: self.seal.size - self.at])


class Cutting(Wrapping):
    caught_by = ("test_long_entry_is_not_written",)
    made_fill = CuttingFill


class Boastful(FileCache):
    caught_by = ("test_too_large_is_not_taken",)

    def claim(self, image_id, seal):
        return super().claim(image_id, dataclasses.replace(seal, size=min(seal.size, self.settings.max_size)))


class Eager(FileCache):
    """Evicts before it knows that this helps."""

    caught_by = ("test_nothing_goes_when_that_is_not_enough",)

    def claim(self, image_id, seal):
        if self._index.current(image_id) is None:
            self.prune(self.settings.max_size - seal.size)
        return super().claim(image_id, seal)


class Forgetful(FileCache):
    """What was removed counts no more, though it is there."""

    caught_by = ("test_removed_bytes_count_while_they_are_read",)

    def _remove(self, index, row):
        (self._data / row.name).unlink(missing_ok=True)
        index.forget(row.token)


class Grieving(FileCache):
    """Keeps the room of the dead."""

    caught_by = ("test_dead_filler_gives_its_room_back",)

    def _make_room(self, index, size):
        taken = sum(x.size for x in index.rows(FILLING))
        return taken + size <= self.settings.max_size and super()._make_room(index, size)


class Boundless(FileCache):
    caught_by = ("test_bound_holds_under_parallel_fills",)

    def _make_room(self, index, size):
        return True


class Backwards(FileCache):
    caught_by = ("test_entries_tell_the_facts",)

    def entries(self):
        return super().entries()[::-1]


class NotNoting(FileCache):
    caught_by = ("test_verification_is_noted",)

    def verified(self, image_id, seal):
        pass


class Clinging(FileCache):
    caught_by = ("test_drop_removes_the_entry",)

    def drop(self, image_id):
        return self._index.current(image_id) is not None


class LettingGoOn(FileCache):
    """A filler is not disturbed."""

    caught_by = ("test_drop_stops_a_filler",)

    def drop(self, image_id):
        row = self._index.current(image_id)
        return row is not None and (row.state == FILLING or super().drop(image_id))


class Half(FileCache):
    caught_by = ("test_clear_removes_all_entries",)

    def clear(self):
        return self.prune(10 << 10)


class Greedy(FileCache):
    caught_by = ("test_prune_removes_down_to_the_target",)

    def prune(self, target, *, dry_run=False):
        return super().prune(target - (100 << 10), dry_run=dry_run)


class Wet(FileCache):
    caught_by = ("test_dry_run_tells_and_leaves",)

    def prune(self, target, *, dry_run=False):
        return super().prune(target)


class Lazy(FileCache):
    caught_by = (
        "test_clean_removes_what_dead_fillers_left",
        "test_start_removes_what_dead_fillers_left",
        "test_clean_removes_litter",
    )

    def clean(self, stalled, *, dry_run=False):
        return Removed()


class NeverStalled(FileCache):
    caught_by = ("test_clean_removes_what_stands_still",)

    def clean(self, stalled, *, dry_run=False):
        return super().clean(math.inf, dry_run=dry_run)


class Stack(FileCache):
    caught_by = ("test_queue_is_first_in_first_out",)

    def queued(self):
        return super().queued()[::-1]


class Private(FileCache):
    caught_by = ("test_queue_is_seen_by_other_processes",)

    def queue(self, image_id):
        self.__dict__.setdefault("own", []).append(image_id)

    def queued(self):
        return self.__dict__.get("own", [])


class Frank(FileCache):
    caught_by = ("test_broken_cache_says_so",)

    def entries(self):
        try:
            return super().entries()
        except errors.CacheUnavailable as exc:
            raise OSError("gone") from exc


class Leaking(FileCache):
    caught_by = ("test_nothing_leaks",)

    def claim(self, image_id, seal):
        os.open(self._folder, os.O_RDONLY)
        return super().claim(image_id, seal)


class FolderBackdoor(Backdoor):
    def __init__(self, folder):
        self.folder, self.away = folder, folder.with_name("away")

    def used(self):
        sizes = []
        for path in (self.folder / "data").iterdir():
            try:
                sizes.append(0 if path.suffix == ".fill" else path.stat().st_size)
            except FileNotFoundError:
                continue
        return sum(sizes)

    def names(self):
        return {path.name for path in (self.folder / "data").iterdir()}

    def change(self, image_id):
        (path,) = (self.folder / "data").glob(f"{image_id}.*")
        path.write_bytes(path.read_bytes()[:-1] + b"?")

    def litter(self):
        (self.folder / "data" / "nobody.0123").write_bytes(b"litter")

    def break_(self):
        self.folder.rename(self.away)

    def mend(self):
        if self.away.exists():
            self.away.rename(self.folder)


def tested(driver):
    class Tested(CacheConformance):
        @pytest.fixture
        def cache(self, tmp_path):
            return make_cache(driver, tmp_path / "cache")

        @pytest.fixture
        def backdoor(self, tmp_path):
            return FolderBackdoor(tmp_path / "cache")

    Tested.__name__ = Tested.__qualname__ = f"Test{driver.__name__}"
    return Tested


SABOTEURS = [
    x for x in list(vars().values()) if isinstance(x, type) and issubclass(x, Cache) and "caught_by" in vars(x)
]
for each in [FileCache, *SABOTEURS]:
    globals()[f"Test{each.__name__}"] = tested(each)

if __name__ == "__main__":
    print(json.dumps({x.__name__: x.caught_by for x in SABOTEURS}))
