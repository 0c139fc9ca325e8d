"""The kit's rules, and what is given to whom."""

from __future__ import annotations

from pathlib import Path

import pytest
from glancecore_step_inject_metadata.driver import InjectMetadata

from glancecore.domain import errors
from glancecore.testing.examples import make_image
from glancecore.testing.import_step import Bench, ImportStepConformance, make_step


class TestInjectMetadata(ImportStepConformance):
    reads = False

    @pytest.fixture
    def step(self) -> InjectMetadata:
        return make_step(InjectMetadata, inject={"os_distro": "debian", "hw_disk_bus": "virtio"})


@pytest.mark.parametrize(("roles", "given"), [(("member",), True), (("admin", "member"), False), ((), True)])
def test_not_to_images_of_ignored_roles(tmp_path: Path, roles: tuple[str, ...], given: bool) -> None:
    work = Bench(tmp_path, b"", make_image(properties={"os_distro": "other"}), roles=roles)
    make_step(InjectMetadata, inject={"os_distro": "debian"}).run(work)
    assert work.image.properties == {"os_distro": "debian" if given else "other"}


@pytest.mark.parametrize("name", ["status", "os_glance_x", "locations", "x" * 256])
def test_a_name_that_is_no_property_stops_the_start(name: str) -> None:
    with pytest.raises(errors.ConfigError, match="inject"):
        make_step(InjectMetadata, inject={name: "x"})
