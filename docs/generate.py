# ruff: noqa: INP001, S603 - a program, and it runs what the environment has installed
"""Writes what is generated from the code: sample configuration, sample policies, the OpenAPI document, the kinds of
plugins, what the hostile suite tries, what messages mean, manual pages and completion.

generate.py [--check]     --check: change nothing, fail when a file is not what the code says
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import urllib.request
from importlib.metadata import entry_points
from pathlib import Path

REPO = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPO / "tests"))
import lab  # noqa: E402 (starts the service that the document is asked from)
import manuals  # noqa: E402


def sample_config(out: Path) -> None:
    names = sorted(each.name for each in entry_points(group="oslo.config.opts") if each.value.startswith("glancecore"))
    options = [
        argument
        for name in [*names, "oslo.log", "oslo.policy", "oslo.middleware.cors", "oslo.middleware.http_proxy_to_wsgi"]
        for argument in ("--namespace", name)
    ]
    _tool("oslo-config-generator", *options, "--output-file", str(out))
    # oslo.config notes it where a library has asked to be told of changes, as if all other options needed a restart
    text = out.read_text().replace("# Note: This option can be changed without restarting.\n", "")
    out.write_text(f"{_reloading()}\n{text}")


def _reloading() -> str:
    from glancecore.server.settings import AT_START_ONLY

    *others, last = AT_START_ONLY
    return (
        "# Options can be changed without a restart: after a change send SIGHUP to glance-api, glance-registry,"
        f" glance-worker or glance-periodic.\n# Read at the start only: {', '.join(others)} and {last} of glance-api"
        " and glance-registry, the environment, the command line.\n"
    )


def sample_policy(out: Path) -> None:
    _tool("oslopolicy-sample-generator", "--namespace", "glancecore", "--output-file", str(out))


def openapi(out: Path) -> None:
    with (
        lab.service() as service,
        urllib.request.urlopen(f"{service.url}/openapi.json", timeout=30) as answer,  # noqa: S310
    ):
        out.write_text(json.dumps(json.load(answer), indent=1) + "\n")


def console_openapi(out: Path) -> None:
    """Of the extensions that the console shows: its types are made of this, and of the core's."""
    core = json.loads((REPO / "docs/openapi.json").read_text())["paths"]
    extensions = {
        "DEFAULT": {
            "enabled_extensions": "families, lifecycle, trash, tus, console",
            "delayed_delete": True,
            "scrub_time": 3600,
        }
    }
    with (
        lab.service(extensions) as service,
        urllib.request.urlopen(f"{service.url}/openapi.json", timeout=30) as answer,  # noqa: S310
    ):
        document = json.load(answer)
    # its own pages are no part of the API
    document["paths"] = {
        path: what
        for path, what in document["paths"].items()
        if path not in core
        and not (path + "/").startswith(("/console/assets/", "/console/{"))
        and path.rstrip("/") != "/console"
    }
    out.write_text(json.dumps(document, indent=1) + "\n")


def hostile(out: Path) -> None:
    subprocess.run(
        [sys.executable, REPO / "tests/hostile/report.py", out], check=True, cwd=REPO, stdin=subprocess.DEVNULL
    )


def troubleshooting(out: Path) -> None:
    subprocess.run(
        [sys.executable, REPO / "tests/docs/messages.py", out], check=True, cwd=REPO, stdin=subprocess.DEVNULL
    )


def glance_options(out: Path) -> None:
    from glancecore.conf.glance_options import table

    about = (
        "`glance-plugins check --glance-config FILE…` says it of your own files. `<store>` is the section of any store."
    )
    out.write_text("\n".join(["# What becomes of Glance's options", "", about, "", *table()]) + "\n")


def plugins(out: Path) -> None:
    import plugin_page

    out.write_text(plugin_page.text())


FILES = {
    "docs/plugins.md": plugins,
    "docs/glance-options.md": glance_options,
    "etc/glance-api.conf.sample": sample_config,
    "etc/policy.yaml.sample": sample_policy,
    "docs/openapi.json": openapi,
    "drivers/ext_console/ui/openapi.json": console_openapi,
    "docs/hostile.md": hostile,
    "docs/troubleshooting.md": troubleshooting,
    **manuals.files(),
}


def _tool(name: str, *arguments: str) -> None:
    subprocess.run(
        [lab.BIN / name, *arguments], check=True, cwd=REPO, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )


def main() -> int:
    check, stale = "--check" in sys.argv[1:], []
    with tempfile.TemporaryDirectory() as folder:
        for name, make in FILES.items():
            made, kept = Path(folder, name), REPO / name
            made.parent.mkdir(parents=True, exist_ok=True)
            make(made)
            if check and (not kept.exists() or kept.read_text() != made.read_text()):
                stale.append(name)
            elif not check:
                kept.parent.mkdir(parents=True, exist_ok=True)
                kept.write_text(made.read_text())
    for name in stale:
        print(f"{name} is not what the code says: run `make docs`")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
