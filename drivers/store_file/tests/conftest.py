import os
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest


def run(*command):
    subprocess.run([str(word) for word in command], check=True, capture_output=True)


@pytest.fixture
def mount(tmp_path):
    """mount(type, options) -> a folder with a fresh file system; these tests need root, as `make test` has."""
    assert os.geteuid() == 0, "run the file store's own tests as root: they mount file systems"
    mounted = []

    def mount(kind, options, source="none"):
        folder = tmp_path / f"mounted-{len(mounted)}"
        folder.mkdir()
        run("mount", "-t", kind, "-o", options, source, folder)
        mounted.append(folder)
        return folder

    yield mount
    for folder in mounted:
        subprocess.run(["umount", "-l", folder], check=False, capture_output=True)


@pytest.fixture
def open_folder():
    """A folder that every user can reach; pytest's own are closed to others."""
    with tempfile.TemporaryDirectory(prefix="store-file-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@contextmanager
def nobody():
    """As a user without privileges."""
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)
