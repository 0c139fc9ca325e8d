"""An operator's mistakes stop the start, with option, cause and fix."""

from __future__ import annotations

from pathlib import Path

import pytest

from glancecore.domain.errors import ConfigError

from .conftest import notifier


def files(folder: Path) -> None:
    (folder / "trail").mkdir()
    for name, content, mode in (("short", b"x" * 31, 0o600), ("open", b"x" * 32, 0o644), ("key", b"x" * 32, 0o600)):
        (folder / name).write_bytes(content)
        (folder / name).chmod(mode)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"folder": ""}, r"\[notify_audit\] folder: not set; name a folder"),
        (
            {"folder": "trail"},
            r"\[notify_audit\] folder = trail: no folder that can be written to, or no absolute path; make it",
        ),
        ({"folder": "HERE/nowhere"}, r"\[notify_audit\] folder = .*nowhere: no folder that"),
        ({"folder": "HERE/key"}, r"\[notify_audit\] folder = .*key: no folder that"),
        ({"key_file": "HERE/nowhere"}, r"\[notify_audit\] key_file = .*nowhere: it can't be read \(No such file"),
        (
            {"key_file": "HERE/short"},
            r"\[notify_audit\] key_file = .*short: it has 31 bytes; make one with: openssl rand -out .*short 32",
        ),
        ({"key_file": "HERE/open"}, r"\[notify_audit\] key_file = .*open: others may read it; run: chmod 600"),
        ({"events": "image.creat"}, r"\[notify_audit\] events: there is no 'image.creat'; did you mean image.create\?"),
        ({"events": "imagine"}, r"\[notify_audit\] events: there is no 'imagine'; did you mean image\?"),
    ],
)
def test_a_mistake_names_its_option(tmp_path: Path, options: dict[str, str], said: str) -> None:
    files(tmp_path)
    told = {"folder": "HERE/trail", **options}
    with pytest.raises(ConfigError, match=said):
        notifier(tmp_path, **{x: y.replace("HERE", str(tmp_path)) for x, y in told.items()}).destinations()


def test_what_is_wanted_is_kept(tmp_path: Path) -> None:
    files(tmp_path)
    [some] = notifier(
        tmp_path, folder=tmp_path / "trail", key_file=tmp_path / "key", events="image.member, image.delete, census.take"
    ).destinations()
    assert [
        x
        for x in ("image.create", "image.member.create", "image.delete", "image.deleted", "task.run", "census.take")
        if some.wants(x)
    ] == ["image.member.create", "image.delete", "census.take"]
    [every] = notifier(tmp_path, folder=tmp_path / "trail").destinations()
    assert every.wants("anything")
