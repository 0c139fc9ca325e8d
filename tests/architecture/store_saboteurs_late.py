"""Store drivers whose one mistake shows late: behind megabytes, at another instance, after a while, in a log. Run by
``test_store_kit``.

Each passed all rules of the kit before the rule that it names was made.
"""

import json
import logging
import os
import threading
import time
from contextlib import suppress

import pytest
from architecture.row_store import Reader, RowBackdoor, RowStore
from architecture.store_saboteurs import FolderKit, FolderStore

from glancecore.domain import errors
from glancecore.ports.store import Store, read_chunks
from glancecore.testing import _store_depth
from glancecore.testing.store import Reach, StoreConformance, make_store

LOG = logging.getLogger(__name__)
MIB = 1 << 20


class RowKit(StoreConformance):
    __test__ = False
    driver = RowStore
    reach = frozenset({Reach.PROCESSES})
    examples, steps = 10, 20
    test_memory_stays_constant = None  # it spools in memory

    @pytest.fixture
    def store(self, tmp_path):
        return make_store(self.driver, file=str(tmp_path / "one"))

    @pytest.fixture
    def neighbour(self, tmp_path):
        return make_store(self.driver, "other", file=str(tmp_path / "two"))

    @pytest.fixture
    def backdoor(self, tmp_path):
        return RowBackdoor(tmp_path / "one")


class ImpatientKit(FolderKit):
    __test__ = False
    patience = 3.0


class HastyKit(FolderKit):
    """Its answers are expected sooner than the port says, so that none is waited for long."""

    __test__ = False

    @pytest.fixture(autouse=True)
    def _soon(self, monkeypatch):
        monkeypatch.setattr(_store_depth, "ANSWER", 0.5)


# -- far behind ------------------------------------------------------------------------------------
class WrongRowReader(Reader):
    def cut(self, data, row):
        piece = super().cut(data, row)
        self.rows = getattr(self, "rows", 0) + 1
        return piece if self.rows < 3 else piece[:-1] + bytes([piece[-1] ^ 1])


class WrongBehindTheSecondRow(RowStore):
    """A range that goes over two row edges ends in a wrong byte."""

    caught_by = ("test_large_blob_is_right_at_every_edge",)

    def open(self, url, offset=0, length=None):
        self.reader = WrongRowReader if offset else Reader
        return super().open(url, offset, length)


class WrongBytesBehind8MiB(FolderStore):
    caught_by = ("test_large_blob_is_right_at_every_edge",)

    def write(self, out, piece):
        super().write(out, bytes(len(piece)) if out.tell() >= 8 * MIB else piece)


class WrongOffsetBehind1MiB(FolderStore):
    """The search of ``test_any_order_of_operations_behaves_like_a_dict`` meets it most times only: the edges are tried
    one by one."""

    caught_by = ("test_large_blob_is_right_at_every_edge",)

    def open(self, url, offset=0, length=None):
        size = self.size(url)
        src = self.located(url).open("rb")
        src.seek(min(offset - (offset > MIB), size))
        return read_chunks(src, self.clip(size, offset, length))


# -- put -------------------------------------------------------------------------------------------
class Swallows(FolderStore):
    swallowed = ()

    def put(self, key, chunks, size=None):
        def tolerant():
            with suppress(*self.swallowed):
                yield from chunks

        return super().put(key, tolerant(), size)


class SwallowsConnectionErrors(Swallows):
    caught_by = (
        "test_exception_of_the_source_passes_unchanged",
        "test_every_class_of_error_of_the_source_passes_unchanged",
    )
    swallowed = (ConnectionError,)


class SwallowsTimeouts(Swallows):
    caught_by = (
        "test_exception_of_the_source_passes_unchanged",
        "test_every_class_of_error_of_the_source_passes_unchanged",
    )
    swallowed = (TimeoutError,)


class SwallowsErrorsOfTheCore(Swallows):
    caught_by = ("test_every_class_of_error_of_the_source_passes_unchanged",)
    swallowed = (errors.QuotaExceeded,)


class TranslatesErrorsOfTheCore(FolderStore):
    caught_by = (
        "test_exception_of_the_source_passes_unchanged",
        "test_every_class_of_error_of_the_source_passes_unchanged",
    )

    def put(self, key, chunks, size=None):
        try:
            return super().put(key, chunks, size)
        except errors.StoreUnavailable as exc:
            raise errors.StoreUnavailable(f"put failed: {exc}", self.name, "put") from exc


class PublishesAtTheLastByte(FolderStore):
    """What was declared is there, so it is whole; what comes behind it takes it back."""

    caught_by = ("test_blob_appears_only_when_put_returns",)

    def put(self, key, chunks, size=None):
        if size is None:
            return super().put(key, chunks)
        rest = iter(chunks)

        def declared():
            came = 0
            while came < size and (piece := next(rest, None)) is not None:
                came += len(piece)
                yield piece

        url = super().put(key, declared(), size)
        try:
            if any(rest):
                raise errors.SizeMismatch("wrong size")
        except BaseException:
            self.discard(key)
            raise
        return url


class WritesBehind(FolderStore):
    """What it has still to write it does before it looks itself, and when somebody starts."""

    caught_by = (
        "test_put_is_seen_at_once_by_who_was_there_before",
        "test_blob_outlives_a_writer_that_is_killed_behind_put",
    )
    waiting = {}  # of all instances in this process: path of the finished part -> path of the blob

    def __init__(self, name, conf):
        super().__init__(name, conf)
        self.mine = False

    def finish(self, part, key):
        if self.path(key).exists():
            raise errors.BlobExists("it exists")
        whole = part.with_suffix(".whole")
        part.rename(whole)
        part.touch()
        self.waiting[whole] = super().folder() / key
        self.mine = True

    def folder(self):
        if self.mine:
            self.flush()
        return super().folder()

    def start(self):
        self.flush()
        super().start()

    def flush(self):
        self.mine = False
        while self.waiting:
            with suppress(FileNotFoundError):
                part, path = self.waiting.popitem()
                part.rename(path)

    def put(self, key, chunks, size=None):
        self.flush()
        super().put(key, chunks, size)
        return f"kitfolder://{self.conf.folder}/{key}"

    def part(self, key):
        return super().folder() / f".{key}.part"

    def url(self, key):
        return f"kitfolder://{self.conf.folder}/{key}"

    @staticmethod
    def forget():
        WritesBehind.waiting.clear()


# -- other instances -------------------------------------------------------------------------------
class DefaultPlace(FolderStore):
    caught_by = ("test_place_does_not_depend_on_the_name",)
    place = Store.place


class RemembersSizes(FolderStore):
    caught_by = ("test_nothing_of_a_blob_is_remembered",)

    def __init__(self, name, conf):
        super().__init__(name, conf)
        self.sizes = {}

    def size(self, url):
        size = super().size(url)  # whether it is there is asked each time
        return self.sizes.setdefault(url, size)

    def delete(self, url):
        self.sizes.pop(url, None)
        super().delete(url)

    def discard(self, key):
        self.sizes.pop(self.url(key), None)
        super().discard(key)


# -- many at once, and for long --------------------------------------------------------------------
class OneWriterAtATime(FolderStore):
    caught_by = ("test_puts_do_not_wait_for_each_other",)
    kit = ImpatientKit
    lock = threading.RLock()

    def put(self, key, chunks, size=None):
        with self.lock:
            return super().put(key, chunks, size)


class LeaksADescriptorForEachPut(FolderStore):
    caught_by = ("test_successful_operations_leak_nothing",)
    leaked = []

    def put(self, key, chunks, size=None):
        url = super().put(key, chunks, size)
        self.leaked.append(os.open("/dev/null", os.O_RDONLY))
        return url

    @staticmethod
    def forget():
        while LeaksADescriptorForEachPut.leaked:
            os.close(LeaksADescriptorForEachPut.leaked.pop())


class LeaksAThreadForEachPut(FolderStore):
    caught_by = ("test_successful_operations_leak_nothing",)
    end = threading.Event()

    def put(self, key, chunks, size=None):
        url = super().put(key, chunks, size)
        threading.Thread(target=self.end.wait, daemon=True).start()
        return url

    @staticmethod
    def forget():
        LeaksAThreadForEachPut.end.set()
        LeaksAThreadForEachPut.end = threading.Event()


class LeaksADescriptorForEachStart(FolderStore):
    caught_by = ("test_started_instances_leak_nothing",)
    leaked = []

    def start(self):
        super().start()
        self.leaked.append(os.open("/dev/null", os.O_RDONLY))

    @staticmethod
    def forget():
        while LeaksADescriptorForEachStart.leaked:
            os.close(LeaksADescriptorForEachStart.leaked.pop())


# -- time ------------------------------------------------------------------------------------------
class ThinksLongAtPing(FolderStore):
    caught_by = ("test_ping_answers_in_time",)
    kit = HastyKit

    def ping(self):
        time.sleep(1)
        super().ping()


class WaitsForWhatIsAway(FolderStore):
    caught_by = ("test_ping_of_a_backend_that_is_away_answers_in_time",)
    kit = HastyKit

    def ping(self):
        if not self.folder().is_dir():
            time.sleep(1)
        super().ping()


class HangsInPut(FolderStore):
    caught_by = ("test_source_is_iterated_once", "test_threads_do_not_disturb_each_other")
    kit = ImpatientKit

    def put(self, key, chunks, size=None):
        threading.Event().wait()


class HangsWhileItReads(FolderStore):
    caught_by = ("test_readers_are_independent",)
    kit = ImpatientKit

    def open(self, url, offset=0, length=None):
        yield from super().open(url, offset, length)
        threading.Event().wait()


class HangsElsewhere(FolderStore):
    caught_by = ("test_another_process_sees_the_blob",)
    kit = ImpatientKit
    home = os.environ.setdefault("KIT_HOME", str(os.getpid()))

    def size(self, url):
        if str(os.getpid()) != self.home:
            threading.Event().wait()
        return super().size(url)


# -- silence ---------------------------------------------------------------------------------------
class Prints(FolderStore):
    caught_by = ("test_output_and_logs_have_no_url_and_no_credential",)

    def size(self, url):
        print("size", url)
        return super().size(url)


class WritesToTheDescriptor(FolderStore):
    """As a library in C does."""

    caught_by = ("test_output_and_logs_have_no_url_and_no_credential",)

    def size(self, url):
        os.write(2, f"size {url}\n".encode(errors="replace"))
        return super().size(url)


class LogsUrls(FolderStore):
    caught_by = ("test_output_and_logs_have_no_url_and_no_credential",)

    def delete(self, url):
        LOG.debug("deleting %s", url)
        super().delete(url)


class LogsItsPassword(FolderStore):
    caught_by = ("test_output_and_logs_have_no_url_and_no_credential",)

    def start(self):
        logging.getLogger("somebody.else").info("logging in with %s", self.conf.password)
        super().start()


SABOTEURS = [cls for cls in list(globals().values()) if isinstance(cls, type) and "caught_by" in vars(cls)]
for _driver in [RowStore, *SABOTEURS]:
    _kit = vars(_driver).get("kit", RowKit if issubclass(_driver, RowStore) else FolderKit)
    globals()[f"Test{_driver.__name__}"] = type(
        f"Test{_driver.__name__}", (_kit,), {"driver": _driver, "__test__": True}
    )

if __name__ == "__main__":  # tells test_store_kit what to expect
    print(json.dumps({driver.__name__: driver.caught_by for driver in SABOTEURS}))
