"""Disk images that lie: short, cut, with parents, with parts in other files, of two formats at once, larger than any
disk.

``hostile(host_file)`` makes them, each naming ``host_file`` where its format lets it; ``read_by_qemu`` says what
qemu-img makes of one."""

from __future__ import annotations

import functools
import io
import json
import struct
import subprocess
import tarfile
import tempfile
from pathlib import Path

from images import samples

#: What qemu calls the formats that images are declared to be. Those that it does not know are raw to it.
QEMU = {
    "raw": "raw",
    "qcow2": "qcow2",
    "vmdk": "vmdk",
    "vhd": "vpc",
    "vhdx": "vhdx",
    "vdi": "vdi",
    "ploop": "parallels",
}
SIZE = 1 << 20
#: Where files are cut: around every field and block that a reader of headers looks at.
CUTS = (
    1,
    3,
    4,
    5,
    8,
    12,
    20,
    31,
    32,
    63,
    64,
    68,
    72,
    80,
    100,
    104,
    112,
    200,
    256,
    300,
    400,
    446,
    510,
    511,
    512,
    513,
    540,
    592,
    600,
    700,
    1023,
    1024,
    1025,
    1535,
    1536,
    2048,
    4096,
    10752,
    34816,
    65536,
    196608,
    262144,
    1 << 20,
    (1 << 20) + 80,
    (2 << 20) + 32,
)


def qcow(
    version: int = 3,
    *,
    backing: bytes = b"",
    size: int = SIZE,
    features: int = 0,
    extensions: bytes = b"",
    at: int | None = None,
    cluster_bits: int = 16,
) -> bytes:
    """A header, whatever is named behind it, and nothing else."""
    header = 72 if version == 2 else 104
    named = header + len(extensions) if at is None else at
    found = struct.pack(
        ">4sIQIIQIIQQIIQ",
        b"QFI\xfb",
        version,
        named if backing else 0,
        len(backing),
        cluster_bits,
        size,
        0,
        1,
        0x30000,
        0x10000,
        1,
        0,
        0,
    )
    if version > 2:
        found += struct.pack(">QQQII", features, 0, 0, 4, header)
    return (found + extensions).ljust(named, b"\0") + backing


def qcow_1(backing: bytes) -> bytes:
    """The format before qcow2."""
    return (
        struct.pack(">4sIQIIQBBHIQ", b"QFI\xfb", 1, 48, len(backing), 0, SIZE, 12, 9, 0, 0, 512).ljust(48, b"\0")
        + backing
    )


def qed(backing: bytes) -> bytes:
    return struct.pack("<4sIIIQQQQQII", b"QED\0", 65536, 1, 1, 1, 0, 0, 65536, SIZE, 72, len(backing)) + backing


def descriptor(
    extent: bytes, kind: bytes = b"monolithicFlat", more: bytes = b"", first: bytes = b"# Disk DescriptorFile\n"
) -> bytes:
    return (
        first
        + b'version=1\nCID=12345678\nparentCID=ffffffff\ncreateType="%s"\n%s\n%s\n\nddb.adapterType = "ide"\n'
        % (kind, more, extent)
    )


def sparse(
    text: bytes,
    *,
    capacity: int = SIZE // 512,
    at: int = 1,
    sectors: int = 20,
    magic: bytes = b"KDMV",
    end: int = 1 << 17,
) -> bytes:
    """A sparse VMDK with this text behind its header, which says that its descriptor begins at sector ``at``."""
    header = struct.pack(
        "<4sIIQQQQIQQQB4sH", magic, 1, 3, capacity, 128, at, sectors, 512, 21, 26, 128, 0, b"\n \r\n", 0
    ).ljust(512, b"\0")
    return (header + text).ljust(end, b"\0")


def footer(size: int, kind: int = 2, *, checksum: int | None = None, data_offset: int = 0xFFFFFFFFFFFFFFFF) -> bytes:
    """Of a VHD: 2 fixed, 3 dynamic, 4 differencing."""

    def pack(value: int) -> bytes:
        return struct.pack(
            ">8sIIQI4sI4sQQHBBII16sB",
            b"conectix",
            2,
            0x10000,
            data_offset,
            0,
            b"win ",
            0x50003,
            b"Wi2k",
            size,
            size,
            max(1, size // 512 // 16 // 63),
            16,
            63,
            kind,
            value,
            b"\x01" * 16,
            0,
        ).ljust(512, b"\0")

    return pack(~sum(pack(0)) & 0xFFFFFFFF if checksum is None else checksum)


def fixed_vhd(data: bytes) -> bytes:
    return data + footer(len(data))


def edited(data: bytes, *edits: tuple[int, bytes]) -> bytes:
    found = bytearray(data)
    for at, new in edits:
        found[at : at + len(new)] = new
    return bytes(found)


def package(name: bytes, data: bytes) -> bytes:
    """A tar archive whose first bytes are the name of its member."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT, encoding="latin-1") as archive:
        entry = tarfile.TarInfo(name.decode("latin-1"))
        entry.size = len(data)
        archive.addfile(entry, io.BytesIO(data))
    return out.getvalue()


#: Virtual Disk Size, File Parameters, Parent Locator, as a VHDX has them.
_PARENT = bytes.fromhex("2d5fd3a80bb34d45abf7d3d84834ab0c")
_PARAMETERS = bytes.fromhex("3767a1ca36fa434db3b633f0aa44e76b")


def vhdx_with_parent(data: bytes, host_file: bytes) -> bytes:
    """The metadata get one more item, and say that the disk has a parent."""
    table = data.index(b"metadata")
    (count,) = struct.unpack_from("<H", data, table + 10)
    parameters = next(
        table + struct.unpack_from("<I", data, table + 48 + 32 * x)[0]
        for x in range(count)
        if data[table + 32 + 32 * x : table + 48 + 32 * x] == _PARAMETERS
    )
    entry = struct.pack("<16sIII4x", _PARENT, 0x18000, 20 + len(host_file), 4)
    return edited(
        data,
        (table + 10, struct.pack("<H", count + 1)),
        (table + 32 + 32 * count, entry),
        (parameters + 4, b"\x02"),
        (table + 0x18000, bytes(20) + host_file),
    )


@functools.cache
def honest(kind: str, *options: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        raw, made = Path(folder, "raw"), Path(folder, "made")
        raw.write_bytes(b"\x01" * SIZE)
        samples.qemu_img("convert", "-f", "raw", "-O", kind, *options, raw, made)
        return made.read_bytes()


def created(kind: str, *options: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder, "made")
        samples.qemu_img("create", "-f", kind, *options, made, str(SIZE))
        return made.read_bytes()


def hostile(host_file: Path) -> dict[str, bytes]:
    """By name. Each is refused whatever it is declared as, or can do nothing."""
    name = str(host_file).encode()
    flat = b'RW 8 FLAT "%s" 0' % name
    near = b'RW 8 FLAT "%s" 0' % host_file.name.encode()
    external = struct.pack(">II", 0x44415441, len(name)) + name.ljust(-(-len(name) // 8) * 8, b"\0")
    text = (
        b'# Disk DescriptorFile\nversion=1\nCID=1\nparentCID=ffffffff\ncreateType="monolithicSparse"\nRW 2048 SPARSE'
        b' "x.vmdk"\n'
    )
    vmdk, qcow2, vdi, vhdx, vpc = (honest(x) for x in ("vmdk", "qcow2", "vdi", "vhdx", "vpc"))
    iso = bytearray(64 << 10)
    iso[32768:32775] = b"\x01CD001\x01"
    boot = (
        bytes(446) + struct.pack("<B3sB3sII", 0x80, b"\0\2\0", 0x83, b"\xff\xff\xff", 1, 2047) + bytes(48) + b"\x55\xaa"
    )
    return {
        "qcow2 short with backing file": qcow(backing=name),
        "qcow2 v2 short with backing file": qcow(2, backing=name),
        "qcow2 with backing file": qcow(backing=name).ljust(1 << 18, b"\0"),
        "qcow2 with backing file far behind": qcow(backing=name, at=1000).ljust(1 << 18, b"\0"),
        "qcow2 with backing file as json": (
            qcow(backing=b'json:{"driver":"raw","file":{"driver":"file","filename":"%s"}}' % name).ljust(1 << 18, b"\0")
        ),
        "qcow2 with data file": edited(qcow2, (72, struct.pack(">Q", 4)), (112, external + bytes(8))),
        "qcow2 short with data file": qcow(features=4, extensions=external + bytes(8)),
        "qcow 1 with backing file": qcow_1(name),
        "qcow 1 long with backing file": qcow_1(name).ljust(1 << 16, b"\0"),
        "qcow2 version 7": qcow(7, backing=name).ljust(1024, b"\0"),
        "qcow2 of 2**64-1 bytes": edited(qcow2, (24, b"\xff" * 8)),
        "qed with backing file": qed(name),
        "qed by qemu with backing file": created("qed", "-u", "-b", str(host_file), "-F", "raw"),
        "vmdk descriptor": descriptor(flat),
        "vmdk descriptor without comment": descriptor(flat, first=b""),
        "vmdk descriptor behind blank lines": descriptor(flat, first=b"  \n\n \r\n# x\n"),
        "vmdk descriptor behind carriage returns": descriptor(flat, first=b"\r\r\r"),
        "vmdk descriptor with CRLF": descriptor(flat).replace(b"\n", b"\r\n"),
        "vmdk descriptor padded": descriptor(flat).ljust(65536, b"\0"),
        "vmdk descriptor without version": descriptor(flat, first=b"# x\n").replace(b"version=1\n", b""),
        "vmdk descriptor behind a long comment": descriptor(flat, first=b"#" + b"x" * 5000 + b"\n"),
        "vmdk descriptor behind a very long comment": descriptor(flat, first=(b"#" + b"x" * 99 + b"\n") * 90),
        "vmdk descriptor in lines that nobody knows": descriptor(flat, first=b"#\n", more=b"junk\nlines"),
        "vmdk descriptor vmfs": descriptor(b'RW 8 VMFS "%s"' % name, b"vmfs"),
        "vmdk descriptor sparse extents": descriptor(b'RW 8 SPARSE "%s"' % name, b"twoGbMaxExtentSparse"),
        "vmdk descriptor that says monolithicSparse": descriptor(b'RW 8 SPARSE "%s"' % name, b"monolithicSparse"),
        "vmdk descriptor custom": descriptor(flat, b"custom"),
        "vmdk sparse of capacity 0": sparse(descriptor(flat), capacity=0),
        "vmdk sparse of capacity 0, far descriptor": sparse(
            text.ljust(1536, b"\0") + descriptor(flat), capacity=0, at=4
        ),
        "vmdk sparse of capacity 0 names a neighbour": sparse(
            text.ljust(1536, b"\0") + descriptor(near), capacity=0, at=4
        ),
        "vmdk sparse of capacity 0 with two types": sparse(
            descriptor(near, b"monolithicSparse", first=b'# createType=xmonolithicFlat"\n# Disk DescriptorFile\n'),
            capacity=0,
        ),
        "vmdk sparse of capacity 0, short": sparse(descriptor(flat), capacity=0, end=600),
        "vmdk sparse claims flat": sparse(descriptor(flat)),
        "vmdk with parent": sparse(text.replace(b"ffffffff", b"12345678") + b'parentFileNameHint="%s"\n' % name),
        "vmdk with parent and no parentCID": sparse(text + b'parentFileNameHint="%s"\n' % name),
        "vmdk with parentCID only": sparse(text.replace(b"ffffffff", b"12345678")),
        "vmdk with parent behind its descriptor": sparse(
            text.ljust(512, b"\n") + b'parentFileNameHint="%s"\n' % name, sectors=1
        ),
        "vmdk with parent in a comment": sparse(text + b'#parentFileNameHint="%s"\n' % name),
        "vmdk by qemu with parent": (
            vmdk.replace(b"ffffffff", b"12345678", 1).replace(
                b'createType="monolithicSparse"\n',
                b'createType="monolithicSparse"\nparentFileNameHint="%s"\n' % name,
                1,
            )
        ),
        "vmdk with a far descriptor": sparse(text.ljust(1536, b"\0") + descriptor(flat), at=4),
        "vmdk of ESX": sparse(descriptor(flat), magic=b"COWD"),
        "vmdk of version 9": edited(vmdk, (4, b"\x09")),
        "vhd with parent": (
            footer(SIZE, 4, data_offset=512)
            + b"cxsparse"
            + bytes(1016)
            + name
            + bytes(512)
            + footer(SIZE, 4, data_offset=512)
        ),
        "vhd whose end says that it has a parent": vpc[:-512] + footer(SIZE, 4, data_offset=512),
        "vhd fixed with parent": bytes(SIZE) + footer(SIZE, 4),
        "vhdx with parent": vhdx_with_parent(vhdx, name),
        "vhdx without metadata": edited(
            vhdx,
            (192 << 10, struct.pack("<4sIII", b"regi", 0, 0, 0)),
            (256 << 10, struct.pack("<4sIII", b"regi", 0, 0, 0)),
        ),
        "vhdx without region table": edited(vhdx, (192 << 10, bytes(4))),
        "vdi with parent": edited(vdi, (0x4C, struct.pack("<I", 4)), (0x1B8, b"\x07" * 16)),
        "vdi linked": edited(vdi, (0x1A8, b"\x07" * 16)),
        "iso that begins as qcow2": qcow(backing=name) + bytes(iso[len(qcow(backing=name)) :]),
        "iso that begins as vmdk descriptor": descriptor(flat).ljust(600, b"\n") + bytes(iso[600:]),
        "qcow2 with a boot sector": edited(qcow(backing=name, at=200).ljust(1 << 18, b"\0"), (440, boot[440:])),
        "qcow2 with the end of a vhd": fixed_vhd(qcow(backing=name).ljust(SIZE, b"\0")),
        "vmdk descriptor with the end of a vhd": fixed_vhd(descriptor(flat).ljust(SIZE, b"\0")),
        "package that begins as qcow2": package(qcow(backing=b"/x")[:90].rstrip(b"\0"), b"data"),
        "package that begins as vmdk descriptor": package(
            b'version=1\nCID=1\nparentCID=ffffffff\ncreateType="vmfs"\nRW 8 VMFS "%s"\n' % host_file.name.encode(),
            b"data",
        ),
        "package with a vmdk descriptor as name": package(
            b'CID=1\nparentCID=ffffffff\ncreateType="vmfs"\nRW 8 VMFS "%s"\n' % host_file.name.encode(), b"data"
        ),
    }


def read_by_qemu(path: Path, disk_format: str | None, host_file: Path) -> str:
    """How qemu-img, told the format or guessing it (None), gets at ``host_file`` by the data at ``path``; empty: it
    does not."""
    words = [] if disk_format is None else ["-f", QEMU.get(disk_format, "raw")]
    told = subprocess.run(
        ["qemu-img", "info", "--output=json", *words, path],
        capture_output=True,
        check=False,
        stdin=subprocess.DEVNULL,
        cwd=path.parent,
    )
    if str(host_file).encode() in told.stdout:
        return told.stdout.decode(errors="replace")
    found = json.loads(told.stdout) if told.returncode == 0 else {}
    details = (found.get("format-specific") or {}).get("data") or {}
    extents = [x.get("filename") for x in details.get("extents", ())]
    if (
        any(found.get(x) for x in ("backing-filename", "full-backing-filename"))
        or details.get("data-file")
        or set(extents) - {None, str(path)}
    ):
        return json.dumps(found)
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder, "made")
        subprocess.run(
            ["qemu-img", "convert", *words, "-O", "raw", path, made],
            capture_output=True,
            check=False,
            stdin=subprocess.DEVNULL,
            cwd=path.parent,
        )
        if made.exists() and made.stat().st_blocks and host_file.read_bytes()[:64] in made.read_bytes():
            return "its bytes came with the conversion"
    return ""
