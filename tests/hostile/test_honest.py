"""Honest images of every kind that qemu-img makes are taken as what they are, with the size that it tells;
docs/formats.md says the same."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "api"))
sys.path.insert(0, str(Path(__file__).parent))

import disks
import lab
from api import Person
from image_ways import STEPS, built, by_staging, settled, show
from images import samples

from glancecore.assembly.lifecycle import Service
from glancecore.domain.image import Status
from glancecore.kernel.transfer import disk_formats, inspection

SECRET = ("--object", "secret,id=s,data=secret")
#: What it is declared as, qemu's name, its options.
MADE: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "qcow2": ("qcow2", "qcow2", ()),
    "qcow2 v2": ("qcow2", "qcow2", ("compat=0.10",)),
    "qcow2 v3": ("qcow2", "qcow2", ("compat=1.1",)),
    "qcow2 extended L2": ("qcow2", "qcow2", ("extended_l2=on",)),
    "qcow2 zstd": ("qcow2", "qcow2", ("compression_type=zstd",)),
    "qcow2 lazy refcounts": ("qcow2", "qcow2", ("lazy_refcounts=on",)),
    "qcow2 small clusters": ("qcow2", "qcow2", ("cluster_size=512",)),
    "qcow2 large clusters": ("qcow2", "qcow2", ("cluster_size=2M",)),
    "qcow2 metadata": ("qcow2", "qcow2", ("preallocation=metadata",)),
    "qcow2 full": ("qcow2", "qcow2", ("preallocation=full",)),
    "vmdk": ("vmdk", "vmdk", ()),
    "vmdk monolithicSparse": ("vmdk", "vmdk", ("subformat=monolithicSparse",)),
    "vmdk streamOptimized": ("vmdk", "vmdk", ("subformat=streamOptimized",)),
    "vmdk scsi": ("vmdk", "vmdk", ("adapter_type=lsilogic", "hwversion=11")),
    "vhd dynamic": ("vhd", "vpc", ("subformat=dynamic",)),
    "vhd dynamic exact": ("vhd", "vpc", ("subformat=dynamic", "force_size=on")),
    "vhd fixed": ("vhd", "vpc", ("subformat=fixed",)),
    "vhd fixed exact": ("vhd", "vpc", ("subformat=fixed", "force_size=on")),
    "vhdx dynamic": ("vhdx", "vhdx", ("subformat=dynamic",)),
    "vhdx fixed": ("vhdx", "vhdx", ("subformat=fixed",)),
    "vhdx blocks": ("vhdx", "vhdx", ("block_size=1M", "log_size=2M")),
    "vdi dynamic": ("vdi", "vdi", ()),
    "vdi static": ("vdi", "vdi", ("static=on",)),
    "parallels": ("ploop", "parallels", ()),
    "raw": ("raw", "raw", ()),
}
REFUSED: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "qed": ("raw", "qed", ()),
    "qcow": ("qcow2", "qcow", ()),
    "vmdk monolithicFlat": ("vmdk", "vmdk", ("subformat=monolithicFlat",)),
    "vmdk twoGbMaxExtentSparse": ("vmdk", "vmdk", ("subformat=twoGbMaxExtentSparse",)),
    "vmdk twoGbMaxExtentFlat": ("vmdk", "vmdk", ("subformat=twoGbMaxExtentFlat",)),
    "parallels as raw": ("raw", "parallels", ()),
    "vhd fixed as raw": ("raw", "vpc", ("subformat=fixed",)),
}


def converted(folder: Path, kind: str, options: tuple[str, ...], *more: str, size: int = 3 << 20) -> Path:
    raw, made = folder / "source", folder / "made"
    raw.write_bytes((b"\x01" * 512 + bytes(range(256)) * 2) * (size // 1024))
    samples.qemu_img(
        "convert", "-f", "raw", "-O", kind, *more, *(("-o", ",".join(options)) if options else ()), raw, made
    )
    return made


def told(path: Path, kind: str) -> int:
    """The virtual size by qemu-img."""
    out = subprocess.run(
        ["qemu-img", "info", "--output=json", "-f", kind, path], capture_output=True, check=True
    ).stdout
    return int(json.loads(out)["virtual-size"])


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    lab.need("qemu-utils")
    with built() as made:
        yield made


@pytest.fixture
def owner(service: Service) -> Person:
    return Person(service.app, f"p-{uuid.uuid4().hex[:6]}")


def taken(person: Person, disk_format: str, data: bytes) -> int:
    """The virtual size."""
    image_id = person.create(disk_format=disk_format)["id"]
    answer = person.upload(image_id, data)
    assert answer.status_code == 204, answer.text
    return int(show(person, image_id)["virtual_size"])


def refused(person: Person, disk_format: str, data: bytes) -> str:
    answer = person.upload(person.create(disk_format=disk_format)["id"], data)
    assert answer.status_code == 415, answer.text
    return str((answer.json or {})["message"])


@pytest.mark.parametrize("name", MADE)
def test_what_qemu_makes_is_taken(owner: Person, tmp_path: Path, name: str) -> None:
    disk_format, kind, options = MADE[name]
    path = converted(tmp_path, kind, options)
    assert taken(owner, disk_format, path.read_bytes()) == (
        path.stat().st_size if disk_format in ("raw", "ploop") else told(path, kind)
    )


@pytest.mark.parametrize("size", [1 << 20, (1 << 20) + 512, 7 << 20])
@pytest.mark.parametrize(
    ("disk_format", "kind", "options"),
    [
        ("qcow2", "qcow2", ("extended_l2=on",)),
        ("vhd", "vpc", ("subformat=fixed",)),
        ("vhd", "vpc", ("subformat=dynamic",)),
        ("vmdk", "vmdk", ("subformat=streamOptimized",)),
        ("vhdx", "vhdx", ()),
        ("vdi", "vdi", ()),
    ],
)
def test_of_any_size(
    owner: Person, tmp_path: Path, disk_format: str, kind: str, options: tuple[str, ...], size: int
) -> None:
    path = converted(tmp_path, kind, options, size=size)
    assert taken(owner, disk_format, path.read_bytes()) == told(path, kind)


def test_compressed_and_encrypted_qcow2(owner: Person, tmp_path: Path) -> None:
    assert taken(owner, "qcow2", converted(tmp_path, "qcow2", (), "-c").read_bytes()) == 3 << 20
    samples.qemu_img(
        "create",
        *SECRET,
        "-f",
        "qcow2",
        "-o",
        "encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10",
        tmp_path / "e",
        "3M",
    )
    assert taken(owner, "qcow2", (tmp_path / "e").read_bytes()) == 3 << 20


def test_qcow2_with_a_snapshot(owner: Person, tmp_path: Path) -> None:
    path = converted(tmp_path, "qcow2", ())
    samples.qemu_img("snapshot", "-c", "one", path)
    assert taken(owner, "qcow2", path.read_bytes()) == 3 << 20


@pytest.mark.parametrize("name", REFUSED)
def test_what_qemu_makes_and_is_refused(owner: Person, tmp_path: Path, name: str) -> None:
    disk_format, kind, options = REFUSED[name]
    assert refused(owner, disk_format, converted(tmp_path, kind, options).read_bytes())


@pytest.mark.parametrize(
    "text",
    ["磁盘.vmdk".encode("gbk"), "磁盘.vmdk".encode(), "Platte-größer.vmdk".encode("latin-1")],
    ids=["gbk", "utf-8", "latin-1"],
)
def test_vmdk_descriptors_of_any_language(owner: Person, tmp_path: Path, text: bytes) -> None:
    data = converted(tmp_path, "vmdk", ()).read_bytes()
    extent = re.search(rb'SPARSE "([^"]*)"', data)
    assert extent is not None
    longer = data[: extent.start(1)] + text + data[extent.end(1) :]
    end = longer.index(b"\0", 600)  # the padding of the descriptor gives and takes
    change = len(longer) - len(data)
    found = longer[:end] + (longer[end + change :] if change > 0 else bytes(-change) + longer[end:])
    assert len(found) == len(data)
    assert taken(owner, "vmdk", found) == 3 << 20


def test_a_fixed_vhd_of_a_disk_with_partitions(owner: Person) -> None:
    data = samples.data("gpt")
    assert taken(owner, "vhd", disks.fixed_vhd(data)) == len(data)


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (bytes(1 << 20) + disks.footer(2 << 20), "raw"),
        (bytes(1 << 20) + disks.footer(1 << 20, checksum=5), "raw"),
        (disks.footer(0), "vhd"),
        (bytes(1 << 20), "raw"),
        (disks.fixed_vhd(disks.honest("qcow2")), "qcow2"),
        (disks.fixed_vhd(disks.honest("vdi")), "vdi"),
    ],
)
def test_what_is_no_fixed_vhd(owner: Person, data: bytes, word: str) -> None:
    """Larger than the file, a wrong checksum, nothing but a footer, no footer, a disk in a disk."""
    assert word in refused(owner, "vhd", data)


def test_raw_bytes_with_a_footer_are_a_vhd(owner: Person) -> None:
    """Taken as raw, the disk would have 512 bytes too much, and whoever guesses would read another size."""
    assert "vhd" in refused(owner, "raw", disks.fixed_vhd(bytes(1 << 20)))
    assert taken(owner, "raw", disks.fixed_vhd(bytes(1 << 20))[:-1]) == (1 << 20) + 511


def test_a_fixed_vhd_is_converted() -> None:
    data = (b"\x01" * 512 + bytes(512)) * 1024
    with built(STEPS) as service:
        person = Person(service.app, "demo")
        image = person.create(disk_format="vhd")
        by_staging(person, image["id"], disks.fixed_vhd(data), "")
        found = settled(person, image["id"])
        assert (found["status"], found["disk_format"], found["size"]) == (Status.ACTIVE, "raw", len(data))
        assert person.call("GET", f"/v2/images/{image['id']}/file").data == data


def test_isos(owner: Person, tmp_path: Path) -> None:
    """A plain one, and one that boots from a disk as well: it begins with a boot sector."""
    lab.need("xorriso")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "file").write_bytes(b"x" * 100_000)
    subprocess.run(
        ["xorriso", "-as", "mkisofs", "-quiet", "-o", tmp_path / "plain.iso", tmp_path / "in"],
        check=True,
        capture_output=True,
    )
    plain = (tmp_path / "plain.iso").read_bytes()
    assert taken(owner, "iso", plain) == len(plain)
    hybrid = disks.edited(plain, (446, b"\x80\0\2\0\x17\xff\xff\xff\0\0\0\0\0\4\0\0"), (510, b"\x55\xaa"))
    for disk_format in ("iso", "raw"):
        assert taken(owner, disk_format, hybrid) == len(hybrid)
    assert "iso" in refused(owner, "qcow2", plain)


def test_luks(owner: Person) -> None:
    data = samples.data("luks")
    assert taken(owner, "raw", data) == len(data)
    assert taken(owner, "raw", disks.edited(data, (510, b"\x55\xaa"))) == len(data), (
        "its salt may look like a boot sector"
    )


# -- the table -------------------------------------------------------------------------------------
def table() -> dict[str, list[str]]:
    """Declared disk_format -> the cells of its row in docs/formats.md."""
    text = (lab.REPO / "docs" / "formats.md").read_text()
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("| `")
    ]
    return {name: row[1:] for row in rows for name in re.findall(r"`(\w+)`", row[0])}


def test_the_table_names_what_each_format_may_be() -> None:
    found = table()
    assert set(found) == {"ami", "ari", "aki", "vhd", "vhdx", "vmdk", "raw", "qcow2", "vdi", "iso", "ploop"}
    for name, (may_be, _refused) in found.items():
        assert set(re.findall(r"`(\w+)`", may_be)) == set(inspection.MAY_BE.get(name, frozenset())), name
        assert ("must" in may_be) == (name in inspection.MUST_BE), name


def test_the_document_names_every_check() -> None:
    text = (lab.REPO / "docs" / "formats.md").read_text()
    names = {
        check
        for x in disk_formats.inspectors(disk_formats.VMDK_TYPES)
        for check in x._safety_checks
        if check not in ("null", "passphrase", "inner_safety")
    }
    assert names <= set(re.findall(r"`(\w+)`", text)), names
