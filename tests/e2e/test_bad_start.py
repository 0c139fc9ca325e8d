"""The operator's mistakes stop the start: one clear line that names option and fix, exit code not 0."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import lab
import plugin_saboteurs as saboteurs
import pytest
import signing
from client import Client
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat

Config = dict[str, dict[str, object]]
KEYS = {name: ec.generate_private_key(ec.SECP256R1()) for name in ("own", "other")}


def _unwritable(folder: Path) -> Config:
    (folder / "plain").write_text("a file")
    return {"file": {"filesystem_store_datadir": folder / "plain" / "images"}}


def _protection(text: str) -> Callable[[Path], Config]:
    def make(folder: Path) -> Config:
        (folder / "protect.conf").write_text(text)
        return {"DEFAULT": {"property_protection_file": folder / "protect.conf"}}

    return make


def _tls(**wrong: str) -> Callable[[Path], Config]:
    """A certificate with its key, but for one file: its text, or the name of another file."""

    def make(folder: Path) -> Config:
        for name in ("own", "other"):
            signed = signing.certificate(KEYS[name], -1 if "expired" in wrong and name == "own" else 30)
            (folder / f"{name}.pem").write_bytes(signed)
            (folder / f"{name}.key").write_bytes(
                KEYS[name].private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            )
        (folder / "locked.key").write_bytes(
            KEYS["own"].private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"sesame"))
        )
        (folder / "junk").write_text("junk")
        files = {
            "cert_file": "own.pem",
            "key_file": "own.key",
            **{option: name for option, name in wrong.items() if option != "expired"},
        }
        return {"DEFAULT": {option: folder / name for option, name in files.items()}}

    return make


def _policy(folder: Path) -> Config:
    (folder / "policy.yaml").write_text('"get_image": "rule:nowhere"\n')
    return {"oslo_policy": {"policy_file": folder / "policy.yaml"}}


#: name -> (what is wrong, words that the line must have)
MISTAKES: dict[str, tuple[Config | Callable[[Path], Config], tuple[str, ...]]] = {
    "value of an option": ({"DEFAULT": {"workers": "many"}}, ("glance-api.conf: [DEFAULT] workers", "many")),
    "misspelt option, strictly": (
        {"DEFAULT": {"worker": "3", "strict_options": "true"}},
        ("strict_options", "[DEFAULT] worker", "workers?"),
    ),
    "misspelt section of a store": (
        {
            "DEFAULT": {"enabled_backends": "file:file, fast:file"},
            "fats": {"filesystem_store_datadir": "{folder}/fast"},
        },
        ("the store fast has no section", "[fats]"),
    ),
    "unknown store driver": ({"DEFAULT": {"enabled_backends": "file:fiel"}}, ("enabled_backends", "fiel", "'file'")),
    "unknown auth": ({"DEFAULT": {"auth_strategy": "keystne"}}, ("auth_strategy", "keystne", "keystone")),
    "unknown database": ({"database": {"driver": "sqll"}}, ("[database] driver", "sqll", "'sql'")),
    "unknown notifier": ({"DEFAULT": {"notifiers": "lug"}}, ("notifiers", "lug", "'log'")),
    "unknown quota": ({"DEFAULT": {"quota_driver": "konfig"}}, ("quota_driver", "'config'")),
    "no default store": (
        {"DEFAULT": {"enabled_backends": "a:file, b:file"}, "glance_store": {"default_backend": "c"}},
        ("default_backend", "a, b"),
    ),
    "two stores in one place": (
        {
            "DEFAULT": {"enabled_backends": "file:file, twin:file"},
            "glance_store": {"default_backend": "file"},
            "twin": {"filesystem_store_datadirs": "{folder}/images:2"},
        },
        ("enabled_backends", "file", "twin", "same place"),
    ),
    "direct download from files": ({"file": {"direct_download": "asked"}}, ("[file] direct_download", "file")),
    "reserved store name": (
        {"DEFAULT": {"enabled_backends": "database:file"}, "glance_store": {"default_backend": "database"}},
        ("enabled_backends", "database", "section"),
    ),
    "unreachable database": (
        {"database": {"connection": "mysql+pymysql://glance:sesame@127.0.0.1:1/glance"}},
        ("[database] connection", "glance:***@127.0.0.1:1/glance", "correct its host and port"),
    ),
    "no such database driver": ({"database": {"connection": "nosuchdb://x/y"}}, ("[database] connection",)),
    "schema not made": ({"database": {"connection": "sqlite:///{folder}/empty.sqlite"}}, ("glance-manage db sync",)),
    "store folder can't be made": (_unwritable, ("filesystem_store_datadir",)),
    "unknown hash": ({"DEFAULT": {"hashing_algorithm": "sha9000"}}, ("hashing_algorithm", "sha512")),
    "quota without a unit": ({"DEFAULT": {"user_storage_quota": "10 bananas"}}, ("user_storage_quota", "GB")),
    "open to the network": ({"DEFAULT": {"bind_host": "0.0.0.0"}}, ("auth_strategy", "bind_host", "allow_open_access")),
    "certificate is not there": (_tls(cert_file="none.pem"), ("cert_file", "none.pem", "No such file")),
    "key is not there": (_tls(key_file="none.key"), ("key_file", "none.key", "No such file")),
    "authority is not there": (_tls(ca_file="none.pem"), ("ca_file", "none.pem", "No such file")),
    "certificate is none": (_tls(cert_file="junk"), ("cert_file", "junk", "PEM")),
    "key is none": (_tls(key_file="junk"), ("key_file", "junk", "PEM")),
    "authority is none": (_tls(ca_file="junk"), ("ca_file", "junk", "PEM")),
    "key of another certificate": (_tls(key_file="other.key"), ("key_file", "other.key", "own.pem")),
    "key with a password": (_tls(key_file="locked.key"), ("key_file", "locked.key", "password")),
    "certificate has ended": (_tls(expired="yes"), ("cert_file", "own.pem", "good until")),
    "half of TLS": ({"DEFAULT": {"cert_file": "/nowhere.pem"}}, ("cert_file", "key_file")),
    "protection file missing": (
        {"DEFAULT": {"property_protection_file": "/nowhere"}},
        ("property_protection_file", "/nowhere"),
    ),
    "protection rule incomplete": (
        _protection("[x_.*]\ncreate = admin\n"),
        ("property_protection_file", "x_.*", "read"),
    ),
    "protection pattern": (
        _protection("[x(]\ncreate=@\nread=@\nupdate=@\ndelete=@\n"),
        ("property_protection_file", "x("),
    ),
    "policy names an unknown rule": (_policy, ("policy_file", "get_image")),
    "password file missing": (
        {"DEFAULT": {"auth_strategy": "basic"}, "auth_basic": {"http_basic_auth_user_file": "/nowhere"}},
        ("http_basic_auth_user_file", "/nowhere", "htpasswd"),
    ),
    "Keystone not configured": ({"DEFAULT": {"auth_strategy": "keystone"}}, ("[keystone_authtoken]", "auth_type")),
    "no message bus": (
        {"DEFAULT": {"notifiers": "messaging"}},
        ("[oslo_messaging_notifications] driver", "messagingv2"),
    ),
    "message bus of an unknown kind": (
        {
            "DEFAULT": {"notifiers": "messaging", "transport_url": "rabbot://glance:sesame@127.0.0.1/"},
            "oslo_messaging_notifications": {"driver": "messagingv2"},
        },
        ("transport_url", "rabbot", "rabbit"),
    ),
    "limits without Keystone": ({"DEFAULT": {"quota_driver": "unified"}}, ("[oslo_limit] auth_type", "password")),
    "tokens without a key": (
        {
            "DEFAULT": {"enabled_import_methods": "[glance-download]"},
            "keystone_authtoken": {"auth_url": "http://127.0.0.1:1/v3"},
        },
        ("[imports] token_keys", "glance-download", "openssl rand"),
    ),
    "no key for tokens": ({"imports": {"token_keys": "sesame"}}, ("[imports] token_keys", "openssl rand")),
    "unknown cache": ({"DEFAULT": {"image_cache_driver": "fiel"}}, ("image_cache_driver", "fiel", "'file'")),
    "cache folder not whole": ({"DEFAULT": {"image_cache_dir": "cache"}}, ("image_cache_dir", "whole path")),
    "cache folder can't be made": (
        {"DEFAULT": {"image_cache_dir": "{folder}/no/cache"}},
        ("image_cache_dir", "make the folder"),
    ),
    "cache without room": (
        {"DEFAULT": {"image_cache_dir": "{folder}/cache", "image_cache_max_size": "0"}},
        ("image_cache_max_size",),
    ),
    "unknown job": (
        {"periodic": {"enabled_jobs": "[reaper, audito]"}},
        ("[periodic] enabled_jobs", "audito", "'auditor'"),
    ),
    "coordinator of an unknown kind": (
        {"periodic": {"coordination_url": "rodis://glance:sesame@127.0.0.1"}},
        ("[periodic] coordination_url", "rodis", "redis"),
    ),
    "coordinator without its client": (
        {"periodic": {"coordination_url": "memcached://127.0.0.1"}},
        ("[periodic] coordination_url", "pip install"),
    ),
    "rule of copies": (
        {"periodic_replicator": {"rules": "tag=golden -> 3 stores"}},
        ("[periodic_replicator] rules", "there are 1"),
    ),
    "proxy addresses": (
        {"DEFAULT": {"auth_strategy": "headers"}, "auth_headers": {"trusted_addresses": "proxy.example"}},
        ("trusted_addresses", "proxy.example"),
    ),
}


def _start(service: lab.Service) -> subprocess.CompletedProcess[str]:
    return lab.command("glance-api", "--config-file", service.config_file, timeout=60)


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_stops_the_start_with_one_clear_line(name: str, tmp_path: Path) -> None:
    wrong, words = MISTAKES[name]
    wrong = wrong(tmp_path) if callable(wrong) else wrong
    with lab.service(folder=tmp_path, start=False) as service:
        config = lab.merged(service.config, wrong)
        service.config_file.write_text(lab.config_text(config).replace("{folder}", str(tmp_path)))
        done = _start(service)
    assert done.returncode not in (0, None)
    lines = [x for x in done.stderr.splitlines() if x.startswith("error: ")]
    assert len(lines) == 1, done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    for word in words:
        assert word in lines[0]
    assert "sesame" not in done.stderr, "no password in a message"


def test_an_unwritable_store_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir(mode=0o555)
    with lab.service(folder=tmp_path, start=False) as service:
        command: list[str | Path] = [lab.BIN / "glance-api", "--config-file", service.config_file]
        if os.geteuid() == 0:  # root writes everywhere: drop that right
            command = [
                "setpriv",
                "--bounding-set",
                "-dac_override,-dac_read_search",
                "--inh-caps",
                "-dac_override,-dac_read_search",
                *command,
            ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "filesystem_store_datadir" in done.stderr


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with lab.service(folder=tmp_path, start=False, port=taken.getsockname()[1]) as service:
            done = _start(service)
    assert done.returncode == 1
    assert "bind_port" in done.stderr
    assert "Address already in use" in done.stderr


@pytest.fixture
def broken_plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A distribution whose plugins can't be imported, installed beside the others."""
    site = tmp_path / "site"
    (site / "broken_plugins-1.dist-info").mkdir(parents=True)
    (site / "broken_plugins.py").write_text("import a_library_that_is_not_there\n")
    (site / "broken_plugins-1.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: broken-plugins\nVersion: 1\n"
    )
    groups = ("stores", "databases", "auth")
    (site / "broken_plugins-1.dist-info" / "entry_points.txt").write_text(
        "".join(f"[glancecore.{group}]\nbroken = broken_plugins:Nothing\n" for group in groups)
    )
    monkeypatch.setenv("PYTHONPATH", str(site))


@pytest.mark.usefixtures("broken_plugins")
def test_a_broken_store_is_listed_and_the_others_serve(tmp_path: Path) -> None:
    config: Config = {
        "DEFAULT": {"enabled_backends": "good:file, bad:broken"},
        "glance_store": {"default_backend": "good"},
        "good": {"filesystem_store_datadir": tmp_path / "images"},
    }
    with lab.service(config, folder=tmp_path) as service:
        client = Client(service.url)
        assert [x["id"] for x in client.call("GET", "/v2/info/stores").json()["stores"]] == ["good", "bad"]
        image = client.create()
        assert client.upload(image["id"], b"x", **{"x-image-meta-store": "bad"}).status_code == 503
        assert client.upload(image["id"], b"x").status_code == 204
        for action in ("check", "list"):
            told = lab.command("glance-plugins", "--config-file", service.config_file, action)
            assert "a_library_that_is_not_there" in told.stdout
            assert told.returncode == (1 if action == "check" else 0)


def test_stores_with_every_fault_leave_the_others_serving(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each as a second store of one real server."""
    faults = saboteurs.faults_of("store")
    saboteurs.write(tmp_path / "site", "store", faults)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path / 'site'}:{os.environ.get('PYTHONPATH', '')}".rstrip(":"))
    ids = {f"bad{number}": fault for number, fault in enumerate(faults)}
    backends = ", ".join(["good:file", *(f"{store}:{saboteurs.word(fault)}" for store, fault in ids.items())])
    config: Config = {
        "DEFAULT": {"enabled_backends": backends, "plugin_start_timeout": 1},
        "glance_store": {"default_backend": "good"},
        "good": {"filesystem_store_datadir": tmp_path / "images"},
        "periodic": {"enabled_jobs": "reaper"},
    }
    with lab.service(config, folder=tmp_path) as service:
        client = Client(service.url)
        assert client.upload(client.create()["id"], b"x").status_code == 204
        rows = {x["id"]: x for x in client.call("GET", "/v2/info/stores/detail").json()["stores"]}
        for store, fault in ids.items():
            assert rows[store]["available"] == "false"
            assert [x for x in faults[fault].words if x not in rows[store]["unavailable-because"]] == [], fault
        assert "Traceback" not in service.log.read_text()


@pytest.mark.usefixtures("broken_plugins")
@pytest.mark.parametrize(
    ("config", "option"),
    [
        (
            {"DEFAULT": {"enabled_backends": "bad:broken"}, "glance_store": {"default_backend": "bad"}},
            "default_backend",
        ),
        ({"database": {"driver": "broken"}}, "[database] driver"),
        ({"DEFAULT": {"auth_strategy": "broken"}}, "auth_strategy"),
    ],
)
def test_a_broken_plugin_that_everything_needs_stops_the_start(tmp_path: Path, config: Config, option: str) -> None:
    with lab.service(folder=tmp_path, start=False) as service:
        service.config_file.write_text(lab.config_text(lab.merged(service.config, config)))
        done = _start(service)
    assert done.returncode == 1
    assert option in done.stderr
    assert "a_library_that_is_not_there" in done.stderr


def test_misspelt_options_are_pointed_out(tmp_path: Path) -> None:
    with lab.service({"DEFAULT": {"worker": 3}}, folder=tmp_path) as service:
        assert "[DEFAULT] worker is not an option" in service.log.read_text()
        assert "did you mean workers?" in service.log.read_text()


def test_what_becomes_of_a_glance_deployments_options(tmp_path: Path) -> None:
    file = tmp_path / "glance-api.conf"
    file.write_text(
        "[DEFAULT]\nworkers = 2\nscrub_pool_size = 2\n[image_import_opts]\nmax_parallel_stores = 2\n[profiler]\nenabled"
        " = true\n"
    )

    def check() -> tuple[int, list[str]]:
        done = lab.command("glance-plugins", "check", "--glance-config", file)
        return done.returncode, [" ".join(x.split()) for x in done.stdout.splitlines()]

    code, lines = check()
    assert code == 0
    assert lines[1:] == [
        f"[DEFAULT] workers same {file}",
        f"[DEFAULT] scrub_pool_size not needed one image is removed after the other {file}",
        f"[image_import_opts] max_parallel_stores renamed [imports] max_parallel_stores {file}",
        f"[profiler] enabled not supported traces are the extension tracing's, by OpenTelemetry {file}",
    ]
    file.write_text(file.read_text() + "enabeld = true\n")
    code, lines = check()
    assert code == 1
    assert lines[-1] == f"[profiler] enabeld unknown did you mean enabled? {file}"


def test_check_finds_typing_errors(tmp_path: Path) -> None:
    with lab.service({"DEFAULT": {"worker": 3}}, folder=tmp_path, start=False) as service:
        told = lab.command("glance-plugins", "--config-file", service.config_file, "check")
    assert told.returncode == 1
    assert "[DEFAULT] worker is not an option" in told.stdout
    assert "did you mean workers?" in told.stdout
