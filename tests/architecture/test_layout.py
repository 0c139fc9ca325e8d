"""What import-linter can't say: the size of files and constructors, one class for a name, and what drivers import."""

import ast
from collections import defaultdict
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

REPO = Path(__file__).parents[2]
#: Lines of a file, and arguments of a constructor beside self.
LONGEST, WIDEST = 400, 8
#: What plugins may import of the core; their tests also the kits.
OF_PLUGINS = frozenset({"domain", "ports", "sdk"})
#: Public classes that share a name -> why.
SHARED = {
    "Held": "the kernel's implements the port",
    "Images": "the use case implements the port",
    "Operations": "the kernel's implements the port",
    "Subscriptions": "the kernel's implements the port",
    "Trash": "the use case implements the port",
    "UploadSessions": "the use case implements the port",
    "Writer": "the kernel's implements the port",
}
#: Constructors that take more -> why.
WIDE = {
    "Intake": "each is one thing that is done in the single pass over the bytes, and each sender needs others of them"
}


def core() -> list[Path]:
    """The files of the core, without the kits and the templates, which are distributions of their own."""
    return [
        x
        for x in sorted(REPO.glob("glancecore/**/*.py"))
        if x.relative_to(REPO).parts[1] not in ("testing", "templates")
    ]


def classes() -> Iterator[tuple[Path, ast.ClassDef]]:
    for path in core():
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                yield path, node


def imported(path: Path) -> Iterator[str]:
    """The packages of the core that a file names in imports."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = [x.name for x in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module == "glancecore":
            names = [f"glancecore.{x.name}" for x in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
        yield from (x.split(".")[1] for x in names if x.startswith("glancecore."))


@pytest.mark.parametrize("path", core(), ids=lambda x: str(x.relative_to(REPO)))
def test_no_file_is_long(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST


def test_no_constructor_takes_much() -> None:
    wide = {}
    for path, node in classes():
        for made in (x for x in node.body if isinstance(x, ast.FunctionDef) and x.name == "__init__"):
            count = len(made.args.args) - 1 + len(made.args.kwonlyargs)
            if count > WIDEST:
                wide[node.name] = f"{path.relative_to(REPO)}: {count}"
    assert wide.keys() == WIDE.keys(), wide


def test_a_name_means_one_class() -> None:
    where = defaultdict(list)
    for path, node in classes():
        where[node.name].append(str(path.relative_to(REPO)))
    shared = {name: paths for name, paths in where.items() if len(paths) > 1}
    assert shared.keys() == SHARED.keys(), shared


def graph(package: Path) -> dict[str, set[str]]:
    """Module -> those of its own package that it imports when it is loaded."""
    found: dict[str, set[str]] = {}
    for path in package.rglob("*.py"):
        name = ".".join(path.relative_to(package.parent).with_suffix("").parts).removesuffix(".__init__")
        nodes = [
            x
            for x in ast.parse(path.read_text(encoding="utf-8")).body
            if isinstance(x, ast.ImportFrom) and x.module and x.module.split(".")[0] == package.name
        ]
        found[name] = {
            y
            for x in nodes
            for y in ([f"{x.module}.{z.name}" for z in x.names] if x.module == package.name else [str(x.module)])
        } - {name}
    return found


def circle(package: Path) -> list[str]:
    """Empty: there is none."""
    try:
        TopologicalSorter(graph(package)).prepare()
    except CycleError as exc:
        return list(exc.args[1])
    return []


PLUGINS = sorted(x.parent for x in [*REPO.glob("drivers/*/src"), *REPO.glob("glancecore/templates/*/src")])


@pytest.mark.parametrize("folder", PLUGINS, ids=lambda x: x.name)
def test_plugins_have_no_circles(folder: Path) -> None:
    packages = [x.parent for x in folder.glob("src/*/__init__.py")]
    assert packages
    assert [circle(x) for x in packages] == [[]] * len(packages)


def test_a_circle_is_seen(tmp_path: Path) -> None:
    package = tmp_path / "odd"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "one.py").write_text("from odd.two import x\n")
    (package / "two.py").write_text("from odd import three\n")
    (package / "three.py").write_text("from odd.one import y\n")
    assert set(circle(package)) == {"odd.one", "odd.two", "odd.three"}


@pytest.mark.parametrize("folder", PLUGINS, ids=lambda x: x.name)
def test_plugins_import_what_is_theirs(folder: Path) -> None:
    files = [*folder.glob("src/**/*.py")]
    found = {
        f"{x.relative_to(REPO)}: glancecore.{name}" for x in files for name in imported(x) if name not in OF_PLUGINS
    }
    assert files
    assert found == set()


def test_the_check_of_imports_sees_each_form(tmp_path: Path) -> None:
    file = tmp_path / "odd.py"
    file.write_text(
        "from glancecore import kernel\nimport glancecore.http.app\n\ndef late():\n    from glancecore.conf.store"
        " import PER_STORE\n"
    )
    assert sorted(imported(file)) == ["conf", "http", "kernel"]


def test_no_test_is_imported_by_another() -> None:
    """What two of them need has a file of its own."""
    found = []
    for path in sorted(
        [*REPO.glob("tests/**/*.py"), *REPO.glob("drivers/*/tests/**/*.py"), *REPO.glob("clients/*/tests/**/*.py")]
    ):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = (
                [node.module or ""]
                if isinstance(node, ast.ImportFrom)
                else [x.name for x in node.names]
                if isinstance(node, ast.Import)
                else []
            )
            found += [f"{path.relative_to(REPO)}: {x}" for x in names if x.rpartition(".")[2].startswith("test_")]
    assert not found, "\n".join(found)
