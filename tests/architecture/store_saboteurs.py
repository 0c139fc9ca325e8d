"""Store drivers with one mistake each, and the kit's tests of them; run by ``test_store_kit``, not by themselves.

``caught_by`` names the rules that must fail. ``FolderStore`` is the driver without mistakes that they spoil.
"""

import json
import os
import threading
import time
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from oslo_config import cfg

from glancecore.domain import errors
from glancecore.ports.store import CHUNK, MARKER, Cap, PlaceMarker, Store, StoredBlob, read_chunks
from glancecore.testing.store import Backdoor, Reach, StoreConformance, make_store


class FolderStore(Store):
    schemes = ("kitfolder",)
    options = [
        cfg.StrOpt("folder", help="Where the blobs are."),
        cfg.PortOpt("port", default=9, help="Where signed URLs lead."),
        cfg.StrOpt("password", default="correct horse", secret=True, help="Unused."),
    ]
    caps = frozenset({Cap.WRITE, Cap.DELETE, Cap.RANGE, Cap.LIST, Cap.LOCAL, Cap.ADOPT, Cap.MARK})

    def start(self):
        try:
            self.folder().mkdir(exist_ok=True)
        except OSError as exc:
            raise errors.ConfigError(f"folder: {exc.strerror}") from exc

    def ping(self):
        with self.translated():
            list(self.folder().iterdir())

    @property
    def place(self):
        return f"folder:{self.conf.folder}"

    @property
    def properties(self):
        return {"port": self.conf.port}

    def folder(self):
        return Path(self.conf.folder)

    def path(self, key):
        return self.folder() / key

    def part(self, key):
        return self.folder() / f".{key}.part"

    def url(self, key):
        return f"kitfolder://{self.conf.folder}/{key}"

    def located(self, url):
        key = url.rpartition("/")[2]
        if (
            key.startswith(".")
            or not key
            or url != self.url(key)
            or not key.isprintable()
            or not key.isascii()
            or "%" in key
            or set(key) & set("?#; ")
        ):
            raise errors.BadLocation(f"not a location of {self.name}")
        return self.path(key)

    @contextmanager
    def translated(self):
        try:
            yield
        except FileExistsError:
            raise errors.BlobExists("it exists") from None
        except FileNotFoundError:
            raise (errors.BlobNotFound if self.folder().is_dir() else errors.StoreUnavailable)(
                "it is not there"
            ) from None
        except OSError as exc:
            raise errors.StoreUnavailable(exc.strerror) from exc

    def marker(self):
        return self.folder() / MARKER

    def markers(self):
        with self.translated():
            list(self.folder().iterdir())
            return [
                PlaceMarker(
                    f"folder = {self.conf.folder}", self.marker().read_bytes() if self.marker().exists() else None
                )
            ]

    def mark(self, where, content):
        part = self.folder() / f".{threading.get_ident()}"
        with self.translated():
            part.write_bytes(content)
            with suppress(FileExistsError):
                os.link(part, self.marker())
            part.unlink()
        return self.marker().read_bytes()

    def put(self, key, chunks, size=None):
        part = self.part(key)
        with self.translated():
            out = part.open("wb")
        try:
            with out:
                for piece in chunks:
                    self.write(out, piece)
                came = out.tell()
            self.check(size, came)
            self.finish(part, key)
        except BaseException:
            with suppress(OSError):
                self.clean(key)
            raise
        with self.translated():
            self.part(key).unlink()
        return self.url(key)

    def write(self, out, piece):
        out.write(piece)

    def check(self, size, came):
        if size not in {None, came}:
            raise errors.SizeMismatch("wrong size")

    def finish(self, part, key):
        with self.translated():
            os.link(part, self.path(key))

    def clean(self, key):
        self.part(key).unlink()

    def delete(self, url):
        with self.translated():
            self.located(url).unlink()

    def discard(self, key):
        with self.translated():
            list(self.folder().iterdir())
            self.path(key).unlink(missing_ok=True)
            self.part(key).unlink(missing_ok=True)

    def adopt(self, key, path):
        with self.translated():
            os.link(path, self.path(key))
        return self.url(key)

    def canonical(self, url):
        return self.url(self.located(url).name)

    def open(self, url, offset=0, length=None):
        size = self.size(url)
        with self.translated():
            src = self.located(url).open("rb")
        src.seek(min(offset, size))
        return read_chunks(src, self.clip(size, offset, length))

    def clip(self, size, offset, length):
        left = max(0, size - offset)
        return left if length is None else min(left, length)

    def size(self, url):
        with self.translated():
            return self.located(url).stat().st_size

    def local_path(self, url):
        self.size(url)
        return self.located(url)

    def list(self):
        with self.translated():
            for entry in list(self.folder().iterdir()):
                if not entry.name.startswith("."):
                    with suppress(FileNotFoundError):
                        yield StoredBlob(
                            entry.name, self.url(entry.name), entry.stat().st_size, self.time(entry.stat().st_mtime)
                        )

    def time(self, seconds):
        return datetime.fromtimestamp(seconds, UTC)


class FolderBackdoor(Backdoor):
    def __init__(self, folder):
        self.folder = folder

    def path(self, url):
        return self.folder / url.rpartition("/")[2]

    def read(self, url):
        return self.path(url).read_bytes() if self.path(url).exists() else None

    def names(self):
        return {entry.name for entry in self.folder.iterdir()} if self.folder.is_dir() else set()

    def make(self, data):
        name = f"made-{len(self.names())}"
        (self.folder / name).write_bytes(data)
        return f"kitfolder://{self.folder}/{name}"

    def cut(self, url, size):
        os.truncate(self.path(url), size)

    def break_(self):
        self.folder.rename(self.folder.with_suffix(".away"))
        self.folder.write_bytes(b"")

    def mend(self):
        if self.folder.with_suffix(".away").exists():
            self.folder.unlink()
            self.folder.with_suffix(".away").rename(self.folder)


class FolderKit(StoreConformance):
    __test__ = False
    reach = frozenset(Reach)
    driver = FolderStore
    port = 9
    huge, memory = 64 << 20, 32 << 20
    examples, steps, expiry = (
        100,
        30,
        3,
    )  # a saboteur is found early; too few examples would let one slip through now and then

    @pytest.fixture
    def store(self, tmp_path):
        store = make_store(self.driver, folder=str(tmp_path / "one"), port=self.port)
        yield store
        vars(self.driver).get("forget", lambda: None)()

    @pytest.fixture
    def neighbour(self, tmp_path):
        return make_store(self.driver, "other", folder=str(tmp_path / "two"))

    @pytest.fixture
    def backdoor(self, tmp_path):
        return FolderBackdoor(tmp_path / "one")


class ReadOnlyStore(FolderStore):
    """No mistake: the kit must also know what a store that only reads has to do."""

    caps = frozenset()
    put, delete, discard, adopt, local_path, list, markers, mark = (
        vars(Store)[name] for name in ("put", "delete", "discard", "adopt", "local_path", "list", "markers", "mark")
    )

    def open(self, url, offset=0, length=None):
        if offset or length is not None:
            raise errors.Unsupported("no ranges")
        return super().open(url)


class PresigningStore(FolderStore):
    """No mistake, with a web server that knows the time."""

    caps = FolderStore.caps | {Cap.PRESIGN}

    def presign(self, url, seconds):
        self.size(url)
        return f"http://127.0.0.1:{self.conf.port}{self.located(url)}?until={time.time() + seconds}"


class Signed(BaseHTTPRequestHandler):
    def do_GET(self):
        if float(parse_qs(urlsplit(self.path).query)["until"][0]) < time.time():
            self.send_error(403)
            return
        data = Path(unquote(urlsplit(self.path).path)).read_bytes()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args):
        pass


class PresigningKit(FolderKit):
    __test__ = False
    driver = PresigningStore

    @pytest.fixture
    def store(self, tmp_path):
        with ThreadingHTTPServer(("127.0.0.1", 0), Signed) as server:
            thread = threading.Thread(target=server.serve_forever, args=(0.02,))
            thread.start()
            yield make_store(self.driver, folder=str(tmp_path / "one"), port=server.server_port)
            server.shutdown()
            thread.join()


# -- the saboteurs: what they say of themselves ----------------------------------------------------
class ExplainsNoOption(FolderStore):
    caught_by = ("test_declaration_is_well_formed",)
    options = [*FolderStore.options, cfg.StrOpt("mystery")]


class UndeclaredCapabilityWorks(FolderStore):
    caught_by = ("test_undeclared_capability_is_unsupported", "test_list_tells_every_blob")
    caps = FolderStore.caps - {Cap.LIST}


class EveryInstanceIsItsOwnPlace(FolderStore):
    caught_by = ("test_place_is_the_same_for_equal_settings",)

    @property
    def place(self):
        return f"folder:{id(self)}"


class OnePlaceForAll(FolderStore):
    caught_by = ("test_place_tells_neighbours_apart",)
    place = "folder"


class TellsItsPassword(FolderStore):
    caught_by = ("test_properties_are_json_without_secrets",)

    @property
    def properties(self):
        return dict(self.conf)


class EmptiesAtStart(FolderStore):
    caught_by = ("test_start_may_run_many_times_at_once", "test_another_process_sees_the_blob")

    def start(self):
        super().start()
        for entry in self.folder().iterdir():
            entry.unlink(missing_ok=True)


class TidiesAtStart(FolderStore):
    caught_by = ("test_start_leaves_running_puts_alone",)

    def start(self):
        super().start()
        for entry in self.folder().glob(".*.part"):
            entry.unlink(missing_ok=True)


class EmptiesAtClose(FolderStore):
    caught_by = ("test_blobs_outlive_close",)

    def close(self):
        for entry in self.folder().iterdir():
            entry.unlink()


class NeverAnswersPing(FolderStore):
    caught_by = ("test_ping_of_a_healthy_backend_returns",)

    def ping(self):
        raise errors.StoreUnavailable("no")


class OwesBytes(FolderStore):
    caught_by = ("test_free_is_bytes_or_unknown",)

    def free(self):
        return -1


# -- put -------------------------------------------------------------------------------------------
class ForgetsLastChunk(FolderStore):
    caught_by = ("test_what_is_put_is_what_is_read", "test_any_order_of_operations_behaves_like_a_dict")

    def put(self, key, chunks, size=None):
        pieces = list(chunks)
        return super().put(key, pieces[:-1] if len(pieces) > 1 else pieces)


class StopsAtAnEmptyPiece(FolderStore):
    caught_by = ("test_pieces_may_have_any_length",)

    def put(self, key, chunks, size=None):
        return super().put(key, iter(iter(chunks).__next__, b""), size)


class WantsBytes(FolderStore):
    caught_by = ("test_pieces_may_be_memoryviews",)

    def write(self, out, piece):
        out.write(piece + b"")


class ReadsTheSourceTwice(FolderStore):
    caught_by = ("test_source_is_iterated_once",)

    def put(self, key, chunks, size=None):
        return super().put(
            key, chunks, sum(map(len, chunks)) if isinstance(chunks, list) or not hasattr(chunks, "send") else size
        )


class DropsExtensions(FolderStore):
    caught_by = ("test_every_allowed_key_works", "test_keys_that_resemble_each_other_are_different")

    def path(self, key):
        return self.folder() / (key.rpartition(".")[0] or key)


class IgnoresCase(FolderStore):
    caught_by = ("test_keys_that_resemble_each_other_are_different", "test_discard_touches_its_key_only")

    def path(self, key):
        return self.folder() / key.lower()


class RemembersInTheInstance(FolderStore):
    """Reads back perfectly what it was told, and has stored nothing."""

    caught_by = (
        "test_another_instance_sees_the_blob",
        "test_another_process_sees_the_blob",
        "test_what_is_put_is_what_is_read",
        "test_blobs_outlive_close",
    )

    def __init__(self, name, conf):
        super().__init__(name, conf)
        self.blobs = {}

    def put(self, key, chunks, size=None):
        self.blobs[self.url(key)] = b"".join(chunks)
        return self.url(key)

    def open(self, url, offset=0, length=None):
        if url not in self.blobs:
            raise errors.BlobNotFound("no")
        return iter([self.blobs[url]])

    def size(self, url):
        return len(self.blobs[url])


class WritesInPlace(FolderStore):
    caught_by = ("test_blob_appears_only_when_put_returns", "test_failed_put_on_an_existing_key_keeps_the_blob")

    def part(self, key):
        return self.path(key)

    def finish(self, part, key):
        part.rename(self.folder() / f".{key}.x")
        (self.folder() / f".{key}.x").rename(self.path(key))

    def put(self, key, chunks, size=None):
        with suppress(errors.BlobNotFound):
            return super().put(key, chunks, size)
        return self.url(key)


class Replaces(FolderStore):
    caught_by = ("test_existing_blob_is_never_replaced", "test_any_order_of_operations_behaves_like_a_dict")

    def finish(self, part, key):
        self.path(key).unlink(missing_ok=True)
        super().finish(part, key)


class CleansUpTooMuch(FolderStore):
    caught_by = ("test_failed_put_on_an_existing_key_keeps_the_blob", "test_existing_blob_is_never_replaced")

    def clean(self, key):
        self.discard(key)


class BelievesTheSize(FolderStore):
    caught_by = ("test_wrong_size_is_refused_and_leaves_nothing",)

    def check(self, size, came):
        pass


class WrapsWhatTheSourceRaises(FolderStore):
    caught_by = ("test_exception_of_the_source_passes_unchanged",)

    def put(self, key, chunks, size=None):
        with self.translated():
            return super().put(key, chunks, size)


class SwallowsWhatTheSourceRaises(FolderStore):
    caught_by = (
        "test_exception_of_the_source_passes_unchanged",
        "test_broken_source_leaves_nothing",
        "test_any_order_of_operations_behaves_like_a_dict",
    )

    def put(self, key, chunks, size=None):
        def tolerant():
            with suppress(Exception):
                yield from chunks

        return super().put(key, tolerant(), size)


class LeavesTemporaryFiles(FolderStore):
    caught_by = ("test_broken_source_leaves_nothing", "test_wrong_size_is_refused_and_leaves_nothing")

    def clean(self, key):
        pass


# -- delete and discard ----------------------------------------------------------------------------
class DeletesLater(FolderStore):
    caught_by = ("test_deleted_blob_is_gone_at_once",)

    def delete(self, url):
        path = self.located(url)
        with self.translated():
            path.rename(path.with_name(f".{path.name}.trash"))


class DeletesQuietly(FolderStore):
    caught_by = ("test_deleting_twice_is_not_found",)

    def delete(self, url):
        self.located(url).unlink(missing_ok=True)


class NeverForgetsAKey(FolderStore):
    caught_by = ("test_key_is_free_after_delete",)

    def __init__(self, name, conf):
        super().__init__(name, conf)
        self.used = set()

    def finish(self, part, key):
        if key in self.used:
            raise errors.BlobExists("used")
        super().finish(part, key)
        self.used.add(key)


class EndsQuietlyWhenTheBlobGoes(FolderStore):
    caught_by = (
        "test_delete_under_a_reader_never_gives_wrong_bytes",
        "test_backend_that_goes_away_under_a_reader",
        "test_blob_that_lost_bytes_is_not_quietly_short",
    )

    def open(self, url, offset=0, length=None):
        self.size(url)

        def pieces():
            at = offset
            with suppress(OSError):
                while True:
                    with self.located(url).open("rb") as src:
                        src.seek(at)
                        piece = src.read(CHUNK)
                    if not piece:
                        return
                    at += len(piece)
                    yield piece

        return pieces()


class ComplainsAboutNothing(FolderStore):
    caught_by = ("test_discard_of_nothing_succeeds",)

    def discard(self, key):
        with self.translated():
            self.path(key).unlink()


class DiscardsOnlyParts(FolderStore):
    caught_by = ("test_discard_removes_a_finished_blob",)

    def discard(self, key):
        self.part(key).unlink(missing_ok=True)


class DiscardsByPrefix(FolderStore):
    caught_by = ("test_discard_touches_its_key_only", "test_discard_of_another_key_leaves_a_running_put_alone")

    def discard(self, key):
        for entry in [*self.folder().glob(f"{key}*"), *self.folder().glob(f".{key}*")]:
            entry.unlink()


class DiscardsOnlyBlobs(FolderStore):
    caught_by = ("test_discard_removes_what_a_killed_writer_left",)

    def discard(self, key):
        with self.translated():
            self.path(key).unlink(missing_ok=True)


# -- reading ---------------------------------------------------------------------------------------
class GivesViews(FolderStore):
    caught_by = ("test_open_gives_exactly_the_bytes",)

    def open(self, url, offset=0, length=None):
        return map(memoryview, super().open(url, offset, length))


class LazyNotFound(FolderStore):
    caught_by = (
        "test_absent_blob_raises_at_open_not_later",
        "test_range_of_an_absent_blob_raises_at_open",
        "test_deleted_blob_is_gone_at_once",
    )

    def open(self, url, offset=0, length=None):
        yield from super().open(url, offset, length)


class NothingIsZeroBytes(FolderStore):
    caught_by = ("test_absent_blob_has_no_size_path_or_url",)

    def size(self, url):
        return super().size(url) if self.located(url).exists() else 0


class OffByOne(FolderStore):
    caught_by = ("test_ranges_at_every_edge",)

    def clip(self, size, offset, length):
        return super().clip(size, offset, length if length is None or not offset else length + 1)


class RefusesRangesPastTheEnd(FolderStore):
    caught_by = ("test_range_past_the_end_gives_what_there_is",)

    def clip(self, size, offset, length):
        return length if length is not None else super().clip(size, offset, length)


class TakesZeroForAll(FolderStore):
    caught_by = ("test_range_of_no_bytes_is_empty",)

    def clip(self, size, offset, length):
        return super().clip(size, offset, length or None)


class OneHandleForAllReaders(FolderStore):
    caught_by = ("test_readers_are_independent",)
    shared = {}

    def open(self, url, offset=0, length=None):
        self.size(url)
        src = self.shared.setdefault(url, self.located(url).open("rb"))
        src.seek(offset)
        return iter(lambda: src.read(CHUNK), b"")

    @staticmethod
    def forget():
        while OneHandleForAllReaders.shared:
            OneHandleForAllReaders.shared.popitem()[1].close()


class LeaksDescriptors(FolderStore):
    caught_by = ("test_closed_reader_leaks_nothing", "test_finished_reader_leaks_nothing")
    leaked = []

    def open(self, url, offset=0, length=None):
        self.leaked.append(self.located(url).open("rb"))
        return super().open(url, offset, length)

    @staticmethod
    def forget():
        while LeaksDescriptors.leaked:
            LeaksDescriptors.leaked.pop().close()


class CantBeClosedBeforeTheStart(FolderStore):
    """A generator: closing it before its first piece leaves it to the garbage collector, which warns."""

    caught_by = ("test_closed_reader_leaks_nothing",)

    def open(self, url, offset=0, length=None):
        self.size(url)
        src = self.located(url).open("rb")
        self.keep = src
        return self.pieces(src, offset)

    def pieces(self, src, offset):
        with src:
            src.seek(offset)
            yield from iter(lambda: src.read(CHUNK), b"")


class LeaksWhenItRefuses(FolderStore):
    caught_by = ("test_failed_operations_leak_nothing",)
    leaked = []

    def finish(self, part, key):
        self.leaked.append(part.open("rb"))
        super().finish(part, key)
        self.leaked.pop().close()

    @staticmethod
    def forget():
        while LeaksWhenItRefuses.leaked:
            LeaksWhenItRefuses.leaked.pop().close()


class KeepsAllInMemory(FolderStore):
    caught_by = ("test_memory_stays_constant",)

    def put(self, key, chunks, size=None):
        return super().put(key, [b"".join(chunks)], size)


class EndsQuietlyShort(FolderStore):
    caught_by = ("test_blob_that_lost_bytes_is_not_quietly_short",)

    def clip(self, size, offset, length):
        return None


# -- locations -------------------------------------------------------------------------------------
class BelievesPaths(FolderStore):
    caught_by = ("test_foreign_urls_are_refused", "test_urls_of_a_neighbour_are_refused")

    def located(self, url):
        path = Path(unquote(urlsplit(url).path))
        if "\0" in str(path) or not path.is_file():
            raise errors.BlobNotFound("no")
        return path


class LooksAtTheKeyOnly(FolderStore):
    """As a driver does that drops the user, the port or the case of a location without saying so."""

    caught_by = ("test_one_blob_has_one_url",)

    def located(self, url):
        head, _, key = url.rpartition("/")
        return super().located(f"{head.replace('x@', '', 1)}/{key}")

    def canonical(self, url):
        self.located(url)
        return url


class RefusesButReads(FolderStore):
    """Says that it is none of its own, and reads it all the same."""

    caught_by = ("test_one_blob_has_one_url",)

    def canonical(self, url):
        return self.url(FolderStore.located(self, url).name)

    def located(self, url):
        return super().located(url.partition("?")[0])


class PutsUnderAnotherName(FolderStore):
    caught_by = ("test_one_blob_has_one_url",)

    def canonical(self, url):
        return super().canonical(url).replace("kitfolder://", "kitfolder://localhost", 1)

    def located(self, url):
        return super().located(url.replace("kitfolder://localhost", "kitfolder://", 1))


class TalksTooMuch(FolderStore):
    caught_by = ("test_errors_name_no_url_path_or_credential",)

    def located(self, url):
        try:
            return super().located(url)
        except errors.BadLocation:
            raise errors.BadLocation(f"{url} is none of mine") from None


# -- other capabilities ----------------------------------------------------------------------------
class ListsOnePage(FolderStore):
    caught_by = ("test_list_tells_every_blob",)

    def list(self):
        return islice(super().list(), 20)


class KnowsNoTimeZone(FolderStore):
    caught_by = ("test_list_tells_times_in_utc",)

    def time(self, seconds):
        return datetime.fromtimestamp(seconds)


class ListsItself(FolderStore):
    caught_by = ("test_list_of_an_empty_store_is_empty",)

    def list(self):
        yield StoredBlob("", self.url(""), 0, datetime.now(UTC))
        yield from super().list()


class HandsOutTheWrongFile(FolderStore):
    caught_by = ("test_local_path_is_the_blob",)

    def local_path(self, url):
        return self.part(super().local_path(url).name)


class AdoptsByMoving(FolderStore):
    caught_by = ("test_adopted_file_is_a_blob",)

    def adopt(self, key, path):
        path.rename(self.path(key))
        return self.url(key)


class AdoptsOverBlobs(FolderStore):
    caught_by = ("test_adopt_never_replaces_a_blob",)

    def adopt(self, key, path):
        self.discard(key)
        return super().adopt(key, path)


class SignsForEver(PresigningStore):
    caught_by = ("test_presigned_url_works_for_a_while",)

    def presign(self, url, seconds):
        return super().presign(url, 1e9)


# -- places ----------------------------------------------------------------------------------------
class MarksWhenAsked(FolderStore):
    """Whoever looks after a mount is there has a marker on the disk below."""

    caught_by = ("test_places_without_a_marker_say_so",)

    def markers(self):
        self.mark("", b"here")
        return super().markers()


class CutsMarkers(FolderStore):
    caught_by = ("test_a_marker_is_read_as_it_was_written",)

    def mark(self, where, content):
        return super().mark(where, content[:512])


class ReplacesMarkers(FolderStore):
    caught_by = ("test_a_marker_is_never_replaced",)

    def mark(self, where, content):
        self.marker().unlink(missing_ok=True)
        return super().mark(where, content)


class LooksThenMarks(FolderStore):
    caught_by = ("test_of_many_that_mark_at_once_one_does",)

    def mark(self, where, content):
        if self.marker().exists():
            return self.marker().read_bytes()
        time.sleep(0.05)
        self.marker().write_bytes(content)
        return content


class ListsItsMarker(FolderStore):
    caught_by = ("test_a_marker_is_no_blob",)

    def list(self):
        yield from super().list()
        if self.marker().exists():
            yield StoredBlob(MARKER, self.url(MARKER), 1, datetime.now(UTC))


class DeletesItsMarker(FolderStore):
    caught_by = ("test_a_marker_is_no_blob",)

    def located(self, url):
        return self.marker() if url == self.url(MARKER) else super().located(url)


class DiscardsWithItsMarker(FolderStore):
    caught_by = ("test_a_marker_is_no_blob",)

    def discard(self, key):
        super().discard(key)
        self.marker().unlink(missing_ok=True)


# -- many at once, trouble -------------------------------------------------------------------------
class SharesABuffer(FolderStore):
    caught_by = ("test_threads_do_not_disturb_each_other",)
    buffer = b""

    def write(self, out, piece):
        self.buffer = bytes(piece)
        time.sleep(0.001)
        out.write(self.buffer)


class RaisesOSError(FolderStore):
    caught_by = ("test_backend_that_is_away_raises_store_errors", "test_backend_that_goes_away_during_put")

    @contextmanager
    def translated(self):
        yield


SABOTEURS = [cls for cls in list(globals().values()) if isinstance(cls, type) and "caught_by" in vars(cls)]
for _driver in [FolderStore, ReadOnlyStore, PresigningStore, *SABOTEURS]:
    _kit = PresigningKit if issubclass(_driver, PresigningStore) else FolderKit
    globals()[f"Test{_driver.__name__}"] = type(
        f"Test{_driver.__name__}", (_kit,), {"driver": _driver, "__test__": True}
    )

if __name__ == "__main__":  # tells test_store_kit what to expect
    print(json.dumps({driver.__name__: driver.caught_by for driver in SABOTEURS}))
