"""The five-minute tour of the README, typed as it stands there."""

from __future__ import annotations

import re
from pathlib import Path

import lab
from shell import ISO, Shell

README = (lab.REPO / "README.md").read_text()


def _commands() -> list[str]:
    tour = README.partition("## Five minutes")[2].partition("## Drivers")[0]
    blocks = re.findall(r"```console\n(.*?)```", tour, flags=re.DOTALL)
    lines = [line[2:] for block in blocks for line in block.splitlines() if line.startswith("$ ")]
    return [x for x in lines if not x.startswith(("sudo ", "python3 -m venv", "clients/bin/pip", "export PATH"))]


def test_the_tour(clients: Path, tmp_path: Path) -> None:
    commands = _commands()
    assert len(commands) >= 8
    shown = re.search(r"\| id +\| ([0-9a-f-]{36})", README)
    assert shown, "the README shows the id of its image"
    with lab.service() as service:
        # the id is another one each time: learnt before the tour turns to the glance command, whose token openstack
        # won't have
        at = next(n for n, x in enumerate(commands) if "OS_IMAGE_URL" in x)
        commands.insert(at, "ID=$(openstack image show ipxe -f value -c id)")
        text = "\n".join(["set -eo pipefail", f"cd {tmp_path}", f"PATH={clients}:$PATH", *commands])
        text = text.replace("http://127.0.0.1:9292", service.url)
        text = text.replace(shown[1], "$ID")
        said = Shell(Path("/bin"), {}).run("bash", "-c", text)
    hashes = re.findall(r"[0-9a-f]{128}", said)
    assert len(hashes) == 2
    assert hashes[0] == hashes[1]
    assert "team-blue" in said
    assert (tmp_path / "copy.iso").read_bytes() == ISO.read_bytes()
