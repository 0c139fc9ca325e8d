"""glance-manage takes the words that deployers' bootstraps and upgrades call Glance's with."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import lab
import pytest

from glancecore import conf as configuration
from glancecore.assembly.kernel import load_database
from glancecore.cmd import manage
from glancecore.domain.errors import Invalid, SchemaUnknown

Manage = Callable[..., tuple[int, str]]


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Manage]:
    """Exit code and what is printed; on an empty SQLite database."""
    file = tmp_path / "glance-api.conf"
    file.write_text(lab.config_text({"database": {"connection": f"sqlite:///{tmp_path}/glance.sqlite"}}))
    conf = configuration.new(files=[str(file)])
    database = load_database(conf)

    def call(*words: str | Path) -> tuple[int, str]:
        args = manage.parser().parse_args([str(x) for x in words])
        args.conf = conf
        return int(args.run(args, database)), capsys.readouterr().out

    yield call
    database.close()


@pytest.mark.parametrize(
    "words",
    [
        "db_sync",
        "db sync",
        "db_sync heads",
        "db sync --version heads",
        "db upgrade",
        "db upgrade heads",
        "db upgrade --version head",
        "db_upgrade",
        "db expand",
        "db_expand",
    ],
)
def test_each_word_makes_the_schema(run: Manage, words: str) -> None:
    assert run("db", "check")[0] == 3
    code, said = run(*words.split())
    assert code == 0
    assert said.startswith("schema None -> ")
    assert run("db_check")[0] == 0
    assert run("db", "version") == run("db_version")
    assert run("db_version")[1].strip() != "None"


@pytest.mark.parametrize("prefix", ["db ", "db_"])
def test_an_upgrade_in_three_steps(run: Manage, prefix: str) -> None:
    for step in ("migrate", "contract"):
        with pytest.raises(Invalid, match="db expand"):
            run(*f"{prefix}{step}".split())
    for step in ("expand", "migrate", "contract"):
        assert run(*f"{prefix}{step}".split())[0] == 0


@pytest.mark.parametrize("words", ["db expand", "db_expand"])
def test_an_older_schema_is_not_expanded_beside_nodes_that_run(run: Manage, words: str) -> None:
    run("db", "sync", "0008")
    with pytest.raises(Invalid, match=r"stop all nodes.*glance-manage db sync"):
        run(*words.split())
    assert run("db", "version")[1].strip() == "0008"
    with pytest.raises(Invalid, match="glance-manage db sync"):
        run("db", "migrate")
    assert run("db", "sync")[0] == 0
    assert run(*words.split())[0] == 0


@pytest.mark.parametrize("words", ["db check", "db_check", "db expand", "db migrate", "db contract", "db sync"])
def test_a_schema_of_a_newer_release_is_not_to_be_synced(run: Manage, tmp_path: Path, words: str) -> None:
    run("db", "sync")
    with contextlib.closing(sqlite3.connect(tmp_path / "glance.sqlite")) as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
        database.commit()
    with pytest.raises(
        SchemaUnknown, match=r"9999, which this version does not know.*upgrade glancecore-db-sql"
    ) as caught:
        run(*words.split())
    assert "db sync" not in str(caught.value)


def test_metadata_definitions(run: Manage, tmp_path: Path) -> None:
    run("db_sync")
    code, said = run("db_load_metadefs")
    assert code == 0
    loaded = len(said.splitlines())
    assert loaded > 5
    assert run("db_export_metadefs", tmp_path / "out")[0] == 0
    assert len(list((tmp_path / "out").glob("*.json"))) == loaded
    assert len(run("db_unload_metadefs")[1].splitlines()) == loaded
    assert len(run("db_load_metadefs", tmp_path / "out")[1].splitlines()) == loaded
    for more in ([], ["True"], ["True", "True"], ["True", "", "True"]):
        code, said = run("db_load_metadefs", tmp_path / "out", *more)
        assert code == 0
        assert len(said.splitlines()) == loaded


@pytest.mark.parametrize(
    ("words", "allowed"),
    [
        (f"{command} {option}={value}", allowed)
        for command in ("db purge", "db purge_images_table", "outbox purge --all")
        for option, allowed, values in (
            ("--age_in_days", "from 0 to 36,500", ("-5", "1000000", "nan", "x")),
            ("--max_rows", "1 or more, or -1", ("-7", "0", "x")),
        )
        for value in values
        if command.startswith("db") or option == "--age_in_days"
    ]
    + [("outbox list --limit=0", "1 or more"), ("outbox list --limit=-1", "1 or more")],
)
def test_ages_and_numbers_that_are_none_are_refused(
    words: str, allowed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        manage.parser().parse_args(words.split())
    assert ended.value.code == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert allowed in said
    assert words.split("=")[0].split()[-1] in said


def test_old_words_purge(run: Manage) -> None:
    run("db_sync")
    for word in ("purge", "purge_images_table"):
        assert run("db", word, "--age_in_days", "1", "--max_rows", "-1")[0] == 0
