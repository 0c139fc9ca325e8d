"""The commands in docs/writing-an-import-step.md, run as they are written, lead to a green step."""

import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

CORE = Path(__file__).parents[2]
GUIDE = CORE / "docs" / "writing-an-import-step.md"
NETWORK = '.venv/bin/pip install -e "$CORE[testing]" "setuptools>=77"'


def test_guide_leads_to_a_green_step(tmp_path):
    script = "\n".join(re.findall(r"^```sh\n(.*?)^```$", GUIDE.read_text(), re.MULTILINE | re.DOTALL))
    # the core and what the kit needs come from this environment instead of the network
    assert NETWORK in script
    here = f"import site; site.addsitedir({sysconfig.get_path('purelib')!r}); import sys; sys.path[:0] = [{sysconfig.get_path('purelib')!r}, {str(CORE)!r}]"
    script = script.replace(NETWORK, f'echo "{here}" | tee .venv/lib/python3.{sys.version_info.minor}/site-packages/core.pth')
    done = subprocess.run(["bash", "-euo", "pipefail", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False,
                          env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "CORE": str(CORE),
                               "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INDEX": "1"})
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"\b1\d passed\b", done.stdout), done.stdout
    assert not re.search("failed|skipped|error", done.stdout)
