"""What the documents say exists, and what exists is in the documents."""

import configparser
import importlib.util
import re
from pathlib import Path

import pytest
from prometheus_client.metrics import MetricWrapperBase

from glancecore import conf
from glancecore.assembly.core import list_rules
from glancecore.conf import opts
from glancecore.conf.store import PER_STORE
from glancecore.features.images.property_protection import PropertyProtection
from glancecore.kernel import metrics
from glancecore.policies.authorizer import Authorizer

REPO = Path(__file__).parents[2]
README = REPO / "README.md"
DOCUMENTS = sorted(
    [
        README,
        *(REPO / f"{x}.md" for x in ("CHANGELOG", "CONTRIBUTING", "CODE_OF_CONDUCT", "SECURITY")),
        *REPO.glob("docs/**/*.md"),
    ]
)
_LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)[^)]*\)")
_SECTION = re.compile(r"^\[([^\]]+)\]$", re.MULTILINE)


def read(name: str) -> str:
    return (REPO / name).read_text(encoding="utf-8")


def sample_sections() -> dict[str, str]:
    """Section of the sample configuration -> its text."""
    parts = _SECTION.split(read("etc/glance-api.conf.sample"))
    return dict(zip(parts[1::2], parts[2::2], strict=True))


@pytest.mark.parametrize(("group", "name"), [(group, x.dest) for group, options in opts.list_opts() for x in options])
def test_every_option_is_in_the_sample(group: str, name: str) -> None:
    assert re.search(rf"^#{name} =", sample_sections()[group], re.MULTILINE)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda x: str(x.relative_to(REPO)))
def test_links_lead_somewhere(document: Path) -> None:
    links = [
        x for x in _LINK.findall(document.read_text(encoding="utf-8")) if "://" not in x and not x.startswith("mailto:")
    ]
    assert [x for x in links if not (document.parent / x).exists()] == []


@pytest.mark.parametrize("folder", ["glancecore", "drivers", "docs", "tests"])
def test_no_text_refers_to_a_document_that_is_not_here(folder: str) -> None:
    said = re.compile(r"\b(contract|design sections?) [0-9]+(\.[0-9]+)*\b|\bstyle guide\b", re.IGNORECASE)
    files = [*REPO.glob(f"{folder}/**/*.py"), *REPO.glob(f"{folder}/**/*.md")]
    found = [
        f"{x.relative_to(REPO)}: {match[0]}"
        for x in files
        if x != Path(__file__) and ".venv" not in x.parts
        for match in said.finditer(x.read_text(encoding="utf-8"))
    ]
    assert len(files) > 10
    assert found == []


def test_every_document_is_linked_from_the_readme() -> None:
    linked = {(REPO / x).resolve() for x in _LINK.findall(read("README.md"))}
    assert [x.name for x in DOCUMENTS if x != README and x.resolve() not in linked] == []


def test_the_page_about_plugins_is_what_the_table_says() -> None:
    """As docs/generate.py --check, without a service."""
    loaded = importlib.util.spec_from_file_location("plugin_page", REPO / "docs/plugin_page.py")
    assert loaded is not None
    page = importlib.util.module_from_spec(loaded)
    assert loaded.loader is not None
    loaded.loader.exec_module(page)
    assert page.text() == read("docs/plugins.md")


def test_readme_begins_with_run_and_test() -> None:
    lines = [x.strip() for x in read("README.md").splitlines() if x.strip()]
    assert lines[0].startswith("# ")
    assert [re.split(r"\s{2,}|#", x)[0].strip() for x in lines[1:3]] == ["make run", "make test"]


@pytest.mark.parametrize("name", sorted(x.parent.name for x in REPO.glob("drivers/[!_]*/pyproject.toml")))
def test_every_driver_is_in_the_readmes_table(name: str) -> None:
    assert f"\n| [{name}](drivers/{name}/README.md) |" in read("README.md")


def metric_names() -> list[str]:
    found = [y for x in vars(metrics).values() if isinstance(x, MetricWrapperBase) for y in x.describe()]
    return sorted(x.name + ("_total" if x.type == "counter" else "") for x in found)


@pytest.mark.parametrize("name", metric_names())
def test_every_metric_is_documented(name: str) -> None:
    assert f"`{name}`" in read("docs/operating.md")


def test_every_documented_metric_exists() -> None:
    assert sorted(set(re.findall(r"^\| `(glance_\w+)` \|", read("docs/operating.md"), re.MULTILINE))) == metric_names()


def commands() -> list[str]:
    setup = configparser.ConfigParser()
    setup.read(REPO / "setup.cfg")
    lines = setup["options.entry_points"]["console_scripts"].split("\n")
    return sorted(x.split("=")[0].strip() for x in lines if x.strip())


@pytest.mark.parametrize("name", commands())
def test_every_command_is_documented(name: str) -> None:
    assert re.search(rf"^\| `{name}\b", read("docs/operating.md"), re.MULTILINE)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda x: str(x.relative_to(REPO)))
def test_options_of_the_examples_exist(document: Path) -> None:
    """Every option in an ini example of a section that the sample has is in the sample."""
    sections = sample_sections()
    stores = {
        **dict.fromkeys(x.dest for x in PER_STORE),
        **dict.fromkeys(re.findall(r"^#(\w+) =", sections["file"], re.MULTILINE)),
    }
    wrong = []
    for text in re.findall(r"^```ini\n(.*?)^```$", document.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
        example = configparser.RawConfigParser(strict=False, default_section="")
        example.read_string(text)
        for section in example.sections():
            if section in sections:
                wrong += [f"[{section}] {x}" for x in example[section] if f"#{x} =" not in sections[section]]
            elif any(x.startswith("filesystem_store_") for x in example[section]):
                wrong += [f"[{section}] {x}" for x in example[section] if x not in stores]
    assert wrong == []


def test_the_property_protection_example_loads(tmp_path: Path) -> None:
    blocks = re.findall(r"^```ini\n(.*?)^```$", read("docs/operating.md"), re.MULTILINE | re.DOTALL)
    [example] = [x for x in blocks if "billing" in x]
    path = tmp_path / "property-protections.conf"
    path.write_text(example)
    assert PropertyProtection.from_file(str(path), "roles", Authorizer(conf.new(files=[]), list_rules())).active


_SIZES = {"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}


def told_defaults() -> list[tuple[str, str, str]]:
    """Driver, option and default of each row in the drivers' tables; not those whose default is told in words."""
    found = []
    for page in sorted(REPO.glob("drivers/[!_]*/README.md")):
        for table in re.findall(
            r"^\| option \| default \|.*\n\|[-|]+\n((?:\|.*\n)+)", page.read_text(encoding="utf-8"), re.MULTILINE
        ):
            for names, default in re.findall(r"^\| ([^|]*) \| ([^|]*) \|", table, re.MULTILINE):
                told = re.sub(r" \(.*\)$", "", default).strip("`")
                if (named := re.fullmatch(r"`(?:\[\w+\] )?(\w+)`", names)) and re.fullmatch(
                    r"\d+( [KMG]iB)?|true|false|/\S+", told
                ):
                    found.append((page.parent.name, named[1], told))
    return found


@pytest.mark.parametrize(("driver", "option", "told"), told_defaults())
def test_defaults_in_the_tables_of_drivers(driver: str, option: str, told: str) -> None:
    number, _, unit = told.partition(" ")
    value = str(int(number) * _SIZES[unit]) if unit else number
    assert value in re.findall(rf"^#{option} = (.*)$", read("etc/glance-api.conf.sample"), re.MULTILINE)
