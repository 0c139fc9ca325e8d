"""The commands in docs/writing-a-store.md, run as they are written, lead to a green store."""

import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

CORE = Path(__file__).parents[2]
GUIDE = CORE / "docs" / "writing-a-store.md"
NETWORK = '.venv/bin/pip install -e "$CORE[testing]" "setuptools>=77"'


def test_guide_leads_to_a_green_store(tmp_path):
    script = "\n".join(re.findall(r"^```sh\n(.*?)^```$", GUIDE.read_text(), re.MULTILINE | re.DOTALL))
    # the core and what the kit needs come from this environment instead of the network
    assert NETWORK in script
    here = f"import site; site.addsitedir({sysconfig.get_path('purelib')!r}); import sys; sys.path[:0] = [{sysconfig.get_path('purelib')!r}, {str(CORE)!r}]"
    script = script.replace(NETWORK, f'echo "{here}" | tee .venv/lib/python3.*/site-packages/core.pth'.replace("3.*", f"3.{sys.version_info.minor}"))
    done = subprocess.run(["bash", "-euo", "pipefail", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False,
                          env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "CORE": str(CORE), "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INDEX": "1"})
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"\b1\d\d passed\b", done.stdout), done.stdout
    assert not re.search("failed|skipped|error", done.stdout)

    made = tmp_path / "glancecore-store-acme"
    left = subprocess.run(["grep", "-rli", "template", "--exclude-dir=.venv", made], capture_output=True, text=True, check=False)
    assert left.stdout == "", "the renaming missed something"
    ask = ("from importlib.metadata import entry_points as e; print(e(group='glancecore.stores')['acme'].load().__name__,"
           "e(group='oslo.config.opts')['glancecore.store.acme'].load()()[0][0])")
    found = subprocess.run([made / ".venv/bin/python", "-c", ask], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["AcmeStore", "acme"]
