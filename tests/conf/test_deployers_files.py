"""Configuration files in the form in which deployers write Glance's start the service, which then serves and keeps
strangers out.

The database is SQLite in place of theirs, and the folders are a test's own; Keystone, memcached and the message bus are
at addresses where nothing answers."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from oslo_config import cfg

from glancecore import conf as configuration
from glancecore.assembly.build import build
from glancecore.assembly.kernel import load_database
from glancecore.conf import beside, review
from glancecore.features.cache.options import cache_driver
from glancecore.sdk.config_files import files_of

FILES = Path(__file__).with_name("deployers")
DEPLOYERS = sorted(x.name for x in FILES.iterdir())


@pytest.fixture(params=DEPLOYERS)
def conf(request: pytest.FixtureRequest, tmp_path: Path) -> cfg.ConfigOpts:
    folder = Path(shutil.copytree(FILES / request.param, tmp_path / "etc"))
    (tmp_path / "state").mkdir()
    for file in folder.iterdir():
        text = (
            file.read_text()
            .replace("policy_file = @FOLDER@", f"policy_file = {folder}")
            .replace("policy_file=@FOLDER@", f"policy_file={folder}")
        )
        file.write_text(
            text.replace("@FOLDER@", str(tmp_path / "state")).replace(
                "@DATABASE@", f"sqlite:///{tmp_path}/glance.sqlite"
            )
        )
    return configuration.new(files=[str(folder / "glance-api.conf")])


@pytest.fixture
def app(conf: cfg.ConfigOpts) -> Iterator[Flask]:
    database = load_database(conf)
    database.sync()
    service = build(conf, database)
    yield service.app
    service.close()


def test_it_starts_serves_and_keeps_strangers_out(conf: cfg.ConfigOpts, app: Flask) -> None:
    client = app.test_client()
    assert client.get("/healthcheck").status_code == 200
    assert client.get("/versions").status_code == 200
    assert client.get("/v2/images").status_code == 401
    assert conf.auth_strategy == "keystone"


def test_nothing_in_it_is_unknown(conf: cfg.ConfigOpts) -> None:
    assert [x.text for x in review.review(conf, {}) if x.fate is None] == []


def test_what_it_says_is_so(conf: cfg.ConfigOpts, request: pytest.FixtureRequest) -> None:
    deployer = request.node.callspec.params["conf"]
    assert (cache_driver(conf) is not None) is (deployer != "puppet"), "puppet's flavor has no cache in it"
    assert ("messaging" in conf.notifiers) is (deployer in {"openstack-ansible", "devstack"})
    steps = {"kolla-ansible": ["image_decompression", "inject_image_metadata"], "puppet": ["no_op"]}
    assert conf.image_import_opts.image_import_plugins == steps.get(deployer, [])
    assert "glance-direct" in conf.enabled_import_methods
    lost = list(beside.lost(files_of(conf), conf.paste_deploy.config_file))
    assert ["glance-cache.conf is not read" in x for x in lost] == ([True] if deployer == "kolla-ansible" else [])
