"""The kit's rules for each format, and the limits."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import resource
import subprocess
import sys
import time
import tracemalloc
import zipfile
from pathlib import Path

import pytest
from backports import zstd
from glancecore_step_decompress.driver import Decompress
from glancecore_step_decompress.formats import opened, recognise

from glancecore.domain import errors
from glancecore.testing.examples import make_image
from glancecore.testing.import_step import Bench, ImportStepConformance, make_step

DATA = os.urandom(3_000_000) + bytes(500_000)


def packed(kind: str, data: bytes) -> bytes:
    if kind == "zip":
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("folder/", b"")
            archive.writestr("folder/disk.img", data)
        return out.getvalue()
    if kind == "lzma":
        return lzma.compress(data, lzma.FORMAT_ALONE)
    return {"gzip": gzip.compress, "xz": lzma.compress, "zstd": zstd.compress, "bzip2": bz2.compress}[kind](data)


class Kit(ImportStepConformance):
    @pytest.fixture
    def step(self) -> Decompress:
        return make_step(Decompress)


class TestGzip(Kit):
    good = packed("gzip", DATA)


class TestXz(Kit):
    good = packed("xz", DATA)


class TestZstd(Kit):
    good = packed("zstd", DATA)


class TestBzip2(Kit):
    good = packed("bzip2", DATA)


class TestLzma(Kit):
    good = packed("lzma", DATA)


class TestZip(Kit):
    good = packed("zip", DATA)


KINDS = ("gzip", "xz", "zstd", "bzip2", "lzma", "zip")


def run(tmp_path: Path, data: bytes, container: str = "bare", **options: object) -> Bench:
    work = Bench(tmp_path, data, make_image(disk_format="raw", container_format=container))
    make_step(Decompress, **options).run(work)
    return work


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [0, 1, 1 << 20, len(DATA)])
def test_it_comes_out_as_it_went_in(tmp_path: Path, kind: str, size: int) -> None:
    assert run(tmp_path, packed(kind, DATA[:size])).data == DATA[:size]


@pytest.mark.parametrize("kind", ["gzip", "xz", "zstd", "bzip2", "lzma"])
def test_members_one_after_the_other_are_one_stream(tmp_path: Path, kind: str) -> None:
    data = packed(kind, DATA[:1000]) + packed(kind, b"") + packed(kind, DATA[1000:])
    assert run(tmp_path, data).data == DATA
    assert run(tmp_path / "padded", data + bytes(512)).data == DATA


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_not_to_be_unpacked_stays(tmp_path: Path, kind: str) -> None:
    data = packed(kind, DATA)
    assert run(tmp_path / "a", data, "compressed").data == data
    assert run(tmp_path / "b", data, formats=[x for x in KINDS if x != kind]).data == data


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("cut", [1, 5, 100, 50_000])
def test_cut_data_is_refused(tmp_path: Path, kind: str, cut: int) -> None:
    with pytest.raises(errors.DecompressionRefused):
        run(tmp_path, packed(kind, DATA)[:-cut])


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_data_is_refused(tmp_path: Path, kind: str) -> None:
    data = bytearray(packed(kind, DATA))
    data[len(data) // 2] ^= 0xFF
    try:
        work = run(tmp_path, bytes(data))
    except errors.DecompressionRefused:
        return
    assert kind in ("zstd", "lzma"), "only what has no checksum may let it pass"
    assert work.data != DATA


@pytest.mark.parametrize("kind", KINDS)
def test_a_bomb_is_refused_by_ratio_and_by_size(tmp_path: Path, kind: str) -> None:
    bomb = packed(kind, bytes(100 << 20))
    with pytest.raises(errors.DecompressionRefused, match="ratio"):
        run(tmp_path / "a", bomb, max_ratio=20)
    with pytest.raises(errors.DecompressionRefused, match=str(1 << 20)):
        run(tmp_path / "b", bomb, max_bytes=1 << 20)
    with pytest.raises(errors.DecompressionRefused, match=str(2 << 20)):
        run(tmp_path / "c", bomb, image_size_cap=2 << 20)


@pytest.mark.parametrize("kind", KINDS)
def test_memory_stays_small(tmp_path: Path, kind: str) -> None:
    """A bomb of 1 GiB is read to its end in a process of its own; a smaller one where packing takes minutes."""
    path, whole = tmp_path / "bomb", 1 << (27 if kind in ("bzip2", "lzma") else 30)
    path.write_bytes(packed(kind, bytes(whole)))
    code = (
        "import resource, sys; from pathlib import Path; from glancecore_step_decompress.formats import opened\n"
        "base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "size = sum(map(len, opened(sys.argv[1], Path(sys.argv[2]), 256 << 20, lambda: None)))\n"
        "print(size, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - base)"
    )
    out = subprocess.run(
        [sys.executable, "-c", code, kind, str(path)], capture_output=True, text=True, check=True
    ).stdout
    size, grown = map(int, out.split())
    assert size == whole
    assert grown < 64 << 10, "KiB"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def test_a_zip_with_two_files_or_a_password_is_refused(tmp_path: Path) -> None:
    two = io.BytesIO()
    with zipfile.ZipFile(two, "w") as archive:
        archive.writestr("a", b"a")
        archive.writestr("b", b"b")
    with pytest.raises(errors.DecompressionRefused, match="2 files"):
        run(tmp_path / "a", two.getvalue())
    other = io.BytesIO()
    with zipfile.ZipFile(other, "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("a", b"a")
    with pytest.raises(errors.DecompressionRefused, match="method"):
        run(tmp_path / "b", other.getvalue())


def test_a_window_beyond_max_memory_is_refused(tmp_path: Path) -> None:
    options = {
        zstd.CompressionParameter.window_log: 27,
        zstd.CompressionParameter.enable_long_distance_matching: 1,
        zstd.CompressionParameter.content_size_flag: 0,
    }
    engine = zstd.ZstdCompressor(options=options)
    data = engine.compress(DATA) + engine.flush()
    with pytest.raises(errors.DecompressionRefused):
        run(tmp_path, data, max_memory=16 << 20)


def test_an_unknown_format_stops_the_start() -> None:
    with pytest.raises(errors.ConfigError, match="lha"):
        make_step(Decompress, formats=["gzip", "lha"])


def test_plain_data_is_recognised_as_such(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"plain")
    assert recognise(tmp_path / "x") is None
    (tmp_path / "y").write_bytes(packed("xz", b""))
    assert recognise(tmp_path / "y") == "xz"
    assert list(opened("xz", tmp_path / "y", 1 << 28, lambda: None)) == []


@pytest.mark.parametrize(
    "data",
    [
        b"BZh9 plain text",
        b"BZh",
        b"\x5d\x00\x00\x05\x00" + b"\xff" * 20,
        b"\x5d\x00\x00\x80\x00" + b"\x7f" * 20,
        b"\x5d\x00\x00",
    ],
)
def test_what_only_looks_like_it_stays(tmp_path: Path, data: bytes) -> None:
    assert run(tmp_path, data).data == data


def empties(kind: str, size: int) -> bytes:
    """About ``size`` packed bytes of which nothing comes out."""
    if kind == "zip":
        blocks = b"\x00\x00\x00\xff\xff" * (size // 5) + b"\x01\x00\x00\xff\xff"
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as archive:
            archive.writestr("disk", blocks)
        raw = bytearray(out.getvalue())
        for entry, method, sizes in ((0, 8, 22), (raw.index(b"PK\x01\x02"), 10, 24)):
            raw[entry + method : entry + method + 2] = b"\x08\x00"  # deflated, after all
            raw[entry + sizes : entry + sizes + 4] = b"\x01\0\0\0"  # a byte that never comes
            raw[entry + sizes - 8 : entry + sizes - 4] = bytes(4)
        return bytes(raw)
    return packed(kind, b"") * (size // len(packed(kind, b"")))


@pytest.mark.parametrize("kind", KINDS)
def test_a_cancel_ends_what_brings_nothing(tmp_path: Path, kind: str) -> None:
    """Each read of the packed data asks whether it is still wanted; no time is measured."""
    data = empties(kind, 2_000_000)
    work = Bench(tmp_path / "whole", data, make_image(disk_format="raw", container_format="bare"))
    make_step(Decompress).run(work)
    assert work.data == b""
    assert work.calls > len(data) // (256 << 10), "it asks at least once for each piece that is read"
    stopped = Bench(tmp_path / "stopped", data, make_image(disk_format="raw", container_format="bare"), stop_after=3)
    with pytest.raises(errors.ImportCancelled):
        make_step(Decompress).run(stopped)


@pytest.mark.parametrize("kind", ["gzip", "xz", "zstd", "bzip2"])
def test_many_small_members_cost_their_number(tmp_path: Path, kind: str) -> None:
    """Not its square: processor time of eight times as many, in the same process, with a wide margin."""

    def cost(size: int) -> float:
        path = tmp_path / str(size)
        path.write_bytes(empties(kind, size))
        began = time.process_time()
        assert list(opened(kind, path, 256 << 20, lambda: None)) == []
        return time.process_time() - began

    cost(100_000)
    assert cost(1_600_000) < 8 * 4 * max(cost(200_000), 0.001)


def test_the_directory_of_a_zip_is_bounded(tmp_path: Path) -> None:
    """200,000 folders and a file: refused by the size of the directory, before it is read."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("disk", b"data")
    one = out.getvalue()
    directory, end = one.index(b"PK\x01\x02"), one.index(b"PK\x05\x06")
    entry = one[directory:end]
    folder = bytearray(entry[:46] + b"aaa/")
    count = 200_000
    folders = bytes(folder) * count
    found = bytearray(one[end:])
    found[8:12] = b"\xff\xff\xff\xff"
    found[12:16] = (len(entry) + len(folders)).to_bytes(4, "little")
    path = tmp_path / "many"
    path.write_bytes(one[:end] + folders + found)
    tracemalloc.start()
    try:
        with pytest.raises(errors.DecompressionRefused, match="entries"):
            list(opened("zip", path, 16 << 20, lambda: None))
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()
