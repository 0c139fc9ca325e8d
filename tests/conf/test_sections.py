"""A store's id is the name of its section: one that somebody else reads is refused, with what to do, and nothing is
made of the store."""

from __future__ import annotations

from pathlib import Path

import pytest
from oslo_config import cfg

from glancecore import conf as configuration
from glancecore.assembly.build import build
from glancecore.assembly.loader import plugin_sections
from glancecore.assembly.stores import load_stores
from glancecore.conf import library_options, opts
from glancecore.domain.errors import ConfigError
from glancecore.testing.fakes import MemoryDatabase


def _conf(folder: Path, stores: str, more: str = "") -> cfg.ConfigOpts:
    first = stores.partition(":")[0]
    (folder / "glance-api.conf").write_text(
        f"[DEFAULT]\nenabled_backends = {stores}\nenabled_import_methods = []\n[glance_store]\ndefault_backend ="
        f" {first}\n[{first}]\nfilesystem_store_datadir = {folder}/images\n{more}"
    )
    return configuration.new(files=[str(folder / "glance-api.conf")])


#: Nothing here is a list of names: what is registered, published or installed says them.
TAKEN = sorted({*(x for x, _ in opts.list_opts()), *library_options.SECTIONS, *plugin_sections()})


@pytest.mark.parametrize("store", [*TAKEN, "import_filtering_opts", "Imports", "os_glance_x"])
def test_a_section_that_somebody_else_reads_is_no_store(tmp_path: Path, store: str) -> None:
    with pytest.raises(
        ConfigError, match=rf"^\[DEFAULT\] enabled_backends: the store id '{store}' .*choose another id for this store"
    ):
        load_stores(_conf(tmp_path, f"{store}:file"))
    assert not (tmp_path / "images").exists()


def test_the_sections_of_the_core_are_among_them() -> None:
    assert {"imports", "server", "cache_file", "periodic_reaper", "keystone_authtoken", "method_web_download"} <= set(
        TAKEN
    )


def test_ids_that_differ_in_case_only_read_one_section(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"'fast' and 'Fast' would read the same section"):
        load_stores(_conf(tmp_path, "fast:file, Fast:file"))


@pytest.mark.parametrize("store", ["file", "swift", "periodical", "cache", "os_glance"])
def test_other_ids_are_taken(tmp_path: Path, store: str) -> None:
    load_stores(_conf(tmp_path, f"{store}:file")).close()


def test_what_a_plugin_declares_when_it_is_loaded_is_its_own(tmp_path: Path) -> None:
    conf = _conf(tmp_path, "hook:file")
    database = MemoryDatabase()
    build(conf, database, look=True).close()
    conf.register_opts([cfg.StrOpt("url")], group="Hook")
    with pytest.raises(
        ConfigError,
        match=r"store id 'hook' is the name of a section in which url is another plugin's option; choose another id",
    ):
        build(conf, database, look=True)
