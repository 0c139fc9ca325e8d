# mypy: ignore-errors
"""A subunit stream on standard input becomes one line a test: STATUS, name, seconds, reason, separated by tabs.

Runs in tempest's environment. ``subunit_lines.py LINES-FILE DETAILS-FILE``: the second gets the whole text of failures.
"""

import re
import sys
from pathlib import Path

import subunit
import testtools

STATUS = {"success": "PASS", "fail": "FAIL", "skip": "SKIP", "xfail": "PASS", "uxsuccess": "FAIL"}
ERROR = re.compile(
    r"[\w.]+(Error|Exception|Mismatch\w*|Found|Forbidden|BadRequest|Conflict|Failure|Unauthorized|Timeout\w*|Fault)\b"
)


def text(test: dict, prefix: str) -> str:
    return "\n".join(content.as_text() for name, content in sorted(test["details"].items()) if name.startswith(prefix))


def reason(test: dict, status: str) -> str:
    if status == "SKIP":
        return text(test, "reason")
    lines = [line.strip() for line in (text(test, "traceback") or text(test, "")).splitlines() if line.strip()]
    errors = [at for at, line in enumerate(lines) if ERROR.match(line)]
    return " | ".join(lines[errors[-1] :][:6] if errors else lines[-2:])


def main(lines_file: str, details_file: str) -> None:
    lines, details = [], []

    def on_test(test: dict) -> None:
        if test["status"] == "exists":
            return
        status = STATUS.get(test["status"], "FAIL")  # in progress: its worker died
        start, stop = test["timestamps"]
        seconds = (stop - start).total_seconds() if start and stop else 0
        name = re.sub(r"\[[^\]]*\]$", "", test["id"])
        why = "" if status == "PASS" else " ".join(reason(test, status).split())[:400]
        lines.append(f"{status}\t{name}\t{seconds:.2f}\t{why}\n")
        if status == "FAIL":
            details.append(f"{'=' * 70}\n{test['id']}\n{text(test, '')}\n")

    result = testtools.StreamToDict(on_test)
    result.startTestRun()
    subunit.ByteStreamToStreamResult(sys.stdin.buffer, non_subunit_name="stdout").run(result)
    result.stopTestRun()
    Path(lines_file).write_text("".join(sorted(lines)))
    Path(details_file).write_text("\n".join(details))


main(*sys.argv[1:])
