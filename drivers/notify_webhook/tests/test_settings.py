"""An operator's mistakes stop the start, with the option's name and without a secret."""

from __future__ import annotations

import base64
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from glancecore.domain.errors import ConfigError

from .certificates import make as make_certificate
from .conftest import SECRET, notifier

GOOD = {"url": "https://receiver.example.org/events", "secrets": SECRET}


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"url": ""}, r"\[webhook_a\] url: not set"),
        ({"url": "ftp://receiver/"}, r"\[webhook_a\] url: it is no http or https URL"),
        ({"url": "https:///x"}, r"\[webhook_a\] url"),
        ({"url": "https://h:99999/"}, r"\[webhook_a\] url: .*[Pp]ort"),
        ({"url": "https://user:pa55@h/"}, r"\[webhook_a\] url: .*authorization"),
        ({"url": "https://h/a b"}, r"\[webhook_a\] url: .*blanks"),
        ({"events": "image.creat"}, r"\[webhook_a\] events: there is no 'image.creat'; did you mean image.create\?"),
        ({"secrets": "pa55word"}, r"\[webhook_a\] secrets: .*whsec_.*openssl rand"),
        ({"secrets": "whsec_pa55***"}, r"\[webhook_a\] secrets: .*not base64"),
        ({"secrets": f"whsec_{base64.b64encode(b'pa55' * 5).decode()}"}, r"\[webhook_a\] secrets: .*20 bytes"),
        ({"authorization": "Bearer pa55 ä"}, r"\[webhook_a\] authorization"),
        ({"ca_file": "/nowhere/pem"}, r"\[webhook_a\] ca_file = /nowhere/pem: no such file"),
        ({"ca_file": __file__}, r"\[webhook_a\] ca_file"),
        ({"cert_file": __file__}, r"\[webhook_a\] cert_file"),
        ({"key_file": "/k"}, r"\[webhook_a\] key_file: cert_file is not set"),
    ],
)
def test_a_mistake_names_its_option(tmp_path: Path, options: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told) as error:
        notifier(tmp_path, {"notify_webhook": {"endpoints": "a"}, "webhook_a": {**GOOD, **options}}).destinations()
    assert "pa55" not in str(error.value)


@pytest.mark.parametrize(("names", "told"), [("", "name at least one"), ("a, a", "twice"), ("A!", "'A!' is no name")])
def test_names_of_endpoints_are_checked(tmp_path: Path, names: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        notifier(tmp_path, {"notify_webhook": {"endpoints": names}, "webhook_a": GOOD}).destinations()


def test_a_key_of_another_certificate_is_refused(tmp_path: Path) -> None:
    ours, other = make_certificate(tmp_path / "a", "a"), make_certificate(tmp_path / "b", "b")
    options = {**GOOD, "cert_file": ours, "key_file": other.with_name("key.pem")}
    with pytest.raises(ConfigError, match=r"\[webhook_a\] cert_file"):
        notifier(tmp_path, {"notify_webhook": {"endpoints": "a"}, "webhook_a": options}).destinations()


def test_each_endpoint_has_a_section_and_a_name_of_its_own(tmp_path: Path) -> None:
    config = {
        "notify_webhook": {"endpoints": "a, b"},
        "webhook_a": {**GOOD, "timeout": 3},
        "webhook_b": {**GOOD, "events": "task"},
    }
    first, second = notifier(tmp_path, config).destinations()
    assert (first.name, first.timeout, second.name, second.timeout) == ("webhook:a", 3, "webhook:b", 10)
    assert (first.wants("image.create"), second.wants("image.create")) == (True, False)


def test_options_need_oslo_config_only() -> None:
    code = "import sys, glancecore_notify_webhook.options; sys.exit('cloudevents' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
