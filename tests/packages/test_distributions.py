"""Wheels and source distributions are whole, and a packager can trust them."""

from __future__ import annotations

import dataclasses
import hashlib
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import distributions
import lab
import pytest
from packaging.requirements import Requirement
from packaging.version import Version
from setuptools.config.setupcfg import read_configuration

CORE = read_configuration(lab.REPO / "setup.cfg")


def test_every_distribution_is_whole(built) -> None:
    assert len(built.files) == 2 * len(built.distributions)
    assert list(distributions.faults(built.files, built.distributions)) == []


def test_twine_would_take_them(built) -> None:
    distributions.rendered(built.files)


def test_a_readme_that_does_not_render_is_found(tmp_path: Path) -> None:
    wheel = tmp_path / "acme-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(
            "acme-1.0.dist-info/METADATA",
            "Metadata-Version: 2.1\nName: acme\nVersion: 1.0\nDescription-Content-Type: text/x-rst\n\n.. nothing::\n",
        )
        archive.writestr("acme-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\n")
    with pytest.raises(SystemExit, match="FAILED"):
        distributions.rendered([wheel])


def one(built) -> tuple[distributions.Distribution, Path]:
    each = next(x for x in built.distributions if x.short == "store_file")
    return each, built.folder / "glancecore_store_file-1.0.0-py3-none-any.whl"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda name, data: None if name.endswith("licenses/LICENSE") else data,
            "no LICENSE; copy it to drivers/store_file/",
        ),
        (lambda name, data: b"MIT" if name.endswith("licenses/LICENSE") else data, "its LICENSE is not the project's"),
        (lambda name, data: None if name.endswith("py.typed") else data, "no glancecore_store_file/py.typed"),
        (
            lambda name, data: None if name.endswith("options.py") else data,
            "no glancecore_store_file/options.py, which the tree has",
        ),
        (lambda name, data: data.replace(b"Apache-2.0", b"MIT"), "License-Expression is MIT, not Apache-2.0"),
        (lambda name, data: data.replace(b"Requires-Python: >=3.11\n", b""), "Requires-Python is None, not >=3.11"),
        (
            lambda name, data: data.partition(b"\n\n")[0] + b"\n\n" if name.endswith("METADATA") else data,
            "its README is no description",
        ),
        (
            lambda name, data: data.replace(b"Requires-Dist: glancecore<2,>=1.0\n", b""),
            "it does not say which glancecore it needs: glancecore>=1.0,<2",
        ),
    ],
)
def test_what_is_missing_is_found(
    built, tmp_path: Path, change: Callable[[str, bytes], bytes | None], said: str
) -> None:
    each, wheel = one(built)
    shutil.copy(wheel.with_name("glancecore_store_file-1.0.0.tar.gz"), tmp_path)
    with zipfile.ZipFile(wheel) as whole, zipfile.ZipFile(tmp_path / wheel.name, "w") as broken:
        for name in whole.namelist():
            if (data := change(name, whole.read(name))) is not None:
                broken.writestr(name, data)
    found = list(distributions.faults(tmp_path.iterdir(), [each]))
    assert f"glancecore_store_file-1.0.0.whl: {said}" in found


def test_a_stray_file_is_found(built, tmp_path: Path) -> None:
    each, wheel = one(built)
    for name in (wheel.name, "glancecore_store_file-1.0.0.tar.gz"):
        shutil.copy(built.folder / name, tmp_path)
    with zipfile.ZipFile(tmp_path / wheel.name, "a") as archive:
        archive.writestr("tests/test_x.py", "")
    assert list(distributions.faults(tmp_path.iterdir(), [each])) == [
        "glancecore_store_file-1.0.0.whl: tests/test_x.py, which is not of the package"
    ]


def test_a_console_without_pages_is_found(built, tmp_path: Path) -> None:
    each = next(x for x in built.distributions if x.short == "ext_console")
    name = f"{each.name.replace('-', '_')}-{each.version}"
    shutil.copy(built.folder / f"{name}.tar.gz", tmp_path)
    index = "glancecore_ext_console/static/index.html"
    with (
        zipfile.ZipFile(built.folder / f"{name}-py3-none-any.whl") as whole,
        zipfile.ZipFile(tmp_path / f"{name}-py3-none-any.whl", "w") as broken,
    ):
        for x in whole.namelist():
            if x != index:
                broken.writestr(x, whole.read(x))
    assert f"{name}.whl: no {index}: run make console" in list(distributions.faults(tmp_path.iterdir(), [each]))


def test_a_missing_manual_page_is_found(built) -> None:
    core = dataclasses.replace(built.distributions[0], data=(lab.REPO / "deploy/man/glance-none.8",))
    assert list(distributions.faults(built.files, [core])) == [
        "glancecore-1.0.0.whl: no deploy/man/glance-none.8, which is installed beside the programs"
    ]
    assert len(built.distributions[0].data) > 40


def test_the_same_sources_make_the_same_bytes(built, tmp_path: Path) -> None:
    each, wheel = one(built)
    distributions.build([each], tmp_path)
    assert hashlib.sha256((tmp_path / wheel.name).read_bytes()).digest() == hashlib.sha256(wheel.read_bytes()).digest()


def test_what_can_not_be_built_is_told(built, tmp_path: Path) -> None:
    each, _ = one(built)
    copy = tmp_path / "drivers" / "store_file"
    shutil.copytree(each.folder, copy, ignore=shutil.ignore_patterns("*.egg-info", "__pycache__"))
    (copy / "pyproject.toml").write_text("[build-system]\nrequires = []\n[project]\nname = 1\n")
    broken = dataclasses.replace(each, folder=copy, package=copy / "src" / each.package.name)
    with pytest.raises(SystemExit, match=r"glancecore-store-file can't be built:(?s:.)*invalid pyproject\.toml"):
        distributions.build([broken], tmp_path / "out")


def test_distributions_of_one_release_have_one_version(built) -> None:
    assert {x.version for x in built.distributions} == {CORE["metadata"]["version"]}
    assert {x.plugin_api for x in built.distributions if x.folder.parent.name != "clients"} == {
        built.distributions[0].plugin_api
    }


def test_the_standard_extra_names_what_is_there(built) -> None:
    there = {x.name: Version(x.version) for x in built.distributions}
    needs = [Requirement(x) for x in CORE["options"]["extras_require"]["standard"]]
    assert len(needs) > 8
    assert [
        str(x) for x in needs if x.name not in there or there[x.name] not in x.specifier or Version("2") in x.specifier
    ] == []


def test_pythons_are_those_that_are_tested() -> None:
    named = {
        x.rpartition(" :: ")[2]
        for x in CORE["metadata"]["classifiers"]
        if x.startswith("Programming Language :: Python :: 3.")
    }
    import pythons

    assert named == {"3.11", *pythons.VERSIONS}
