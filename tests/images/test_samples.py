"""The samples are what they claim to be, for the tools that others use on them."""

import json
import subprocess

import pytest
from images import samples

QEMU = {"vhd": "vpc", "iso": "raw", "aki": "raw"}


@pytest.mark.parametrize("name", sorted(samples.SAMPLES))
def test_every_sample_can_be_made(name: str) -> None:
    assert samples.path(name).stat().st_size > 0


@pytest.mark.parametrize("name", [name for name in samples.SAFE if name not in ("luks", "kernel")])
def test_good_images_have_the_declared_format_and_size(name: str) -> None:
    sample = samples.SAMPLES[name]
    done = subprocess.run(["qemu-img", "info", "--output=json", samples.path(name)], check=True, capture_output=True)
    info = json.loads(done.stdout)
    assert info["format"] == QEMU.get(sample.disk_format, sample.disk_format)
    assert info["virtual-size"] == sample.virtual_size
