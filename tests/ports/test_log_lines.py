"""Lines of a log tell whose work they are about, in whatever thread they are written."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from oslo_config import cfg
from oslo_context import context
from oslo_log import formatters, log

from glancecore.conf.logs import OneLine
from glancecore.kernel.lookups import Lookups
from glancecore.sdk import log_lines


@pytest.fixture
def line() -> Callable[[], str]:
    conf = cfg.ConfigOpts()
    log.register_options(conf)
    conf([], default_config_files=[], default_config_dirs=[])
    formatter = OneLine(formatters.ContextFormatter(config=conf))
    return lambda: formatter.format(logging.LogRecord("a.b", logging.INFO, "f.py", 1, "hello", (), None))


ABOUT = "[image i, task t] hello"


def test_inside_and_outside(line: Callable[[], str]) -> None:
    assert not line().endswith(ABOUT)
    with log_lines.work("i", "t", "req-mine", "u", "p"):
        assert " req-mine u p " in line()
        assert line().endswith(f"] {ABOUT}")
        with log_lines.work("i2", "t2", None, None, None):
            assert "[image i2, task t2]" in line()
        assert line().endswith(ABOUT)
    assert "req-mine" not in line()
    assert not line().endswith(ABOUT)
    assert log_lines.portable() is None


def test_a_request_that_goes_on_is_told_again(line: Callable[[], str]) -> None:
    before = context.RequestContext(request_id="req-others", overwrite=True)
    try:
        with log_lines.work("i", "t", "req-mine", None, None):
            pass
        assert context.get_current() is before
    finally:
        del context._request_store.context


def test_threads_take_it_along(line: Callable[[], str]) -> None:
    said: list[str] = []
    with log_lines.work("i", "t", "req-mine", "u", "p"):
        one = threading.Thread(target=log_lines.carried(lambda: said.append(line())))
        with ThreadPoolExecutor(1, initializer=log_lines.carry()) as pool:
            pool.submit(lambda: said.append(line())).result()
        Lookups(30, 4).run(lambda _: said.append(line()), "p", outside=True)
    one.start()
    one.join()
    assert len(said) == 3
    assert all(" req-mine " in x and x.endswith(ABOUT) for x in said)


def test_another_process_is_told_the_same(line: Callable[[], str]) -> None:
    with log_lines.work("i", "t", "req-mine", "u", "p"):
        told = log_lines.portable()
        inside = line()
    assert told is not None
    with log_lines.work(**told):
        assert line().partition(" INFO ")[2] == inside.partition(" INFO ")[2] != ""


def test_programs_that_read_json_find_the_ids() -> None:
    with log_lines.work("i", "t", "req-mine", "u", "p"):
        found = context.get_current()
        assert found is not None
        values = found.get_logging_values()
    assert (values["image_id"], values["task_id"], values["request_id"]) == ("i", "t", "req-mine")


def test_a_context_that_a_library_makes_does_not_stay() -> None:
    assert context.get_current() is None
    with log_lines.kept():
        made = context.RequestContext(request_id="req-9", overwrite=False)
        assert context.get_current() is made
    assert context.get_current() is None
