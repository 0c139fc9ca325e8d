"""A year of rotating an image: each month a version is published and promoted, and a policy deprecates, hides,
deactivates and deletes what is old; what was deleted goes for good a month later. Two nodes whose clock is moved share
the work, and one of them dies at a named step of nearly everything that it does."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import lab
import pytest
import requests
from client import BROKEN_OFF, HEADERS_AUTH, Client
from moved_clock import MovedClock
from periodic import Jobs
from waiting import until

from glancecore.sdk.checkpoints import VARIABLE

CONFIG = lab.merged(
    HEADERS_AUTH,
    {
        "DEFAULT": {
            "enabled_extensions": "families, lifecycle, trash",
            "delayed_delete": True,
            "scrub_time": 20 * 86_400,
        },
        "lease": {"ttl": 2, "reap_interval": 0.2},
        "periodic": {"embedded": False, "leader_ttl": 6},
    },
)
POLICY = {
    "name": "debian",
    "selector": {"families": ["debian/13"]},
    "keep": {"newest": 2, "tags": ["gold"]},
    "steps": [
        {"action": "deprecate", "age_days": 80},
        {"action": "hide", "age_days": 110},
        {"action": "deactivate", "age_days": 140},
        {"action": "delete", "age_days": 170},
    ],
}
SAVED = ("families.before_save", "families.saved")
#: What is done in a month, and the step at which the node dies that does it. Month 1's image stays, so nothing is
#: deleted in month 7.
KILLS: dict[str, dict[int, str]] = {
    "create": dict(enumerate(("create.before_commit", "create.after_commit"))),
    "upload": dict(
        enumerate(
            (
                "upload.before_intent",
                "upload.after_intent",
                "upload.first_piece",
                "upload.all_pieces",
                "upload.after_put",
                "upload.before_finish",
                "upload.after_finish",
            ),
            2,
        )
    ),
    "version": dict(enumerate(SAVED)),
    "promote": dict(enumerate(SAVED, 3)),
    "rollback": dict(enumerate(SAVED, 5)),
    "plan": {4: "lifecycle.planned"},
    "apply": {
        3: "lifecycle.claimed",
        4: "lifecycle.step_done",
        5: "lifecycle.step_noted",
        6: "trash.noted",
        7: "lifecycle.step_noted*2",
        8: "delete.before_intent",
        9: "delete.after_row",
    },
    "restore": {9: "trash.restored"},
    "purge": {7: "delete.after_intent", 9: "delete.after_bytes", 11: "delete.before_row"},
}
#: Of those, where a step of the plan is begun only; and where one is done and not noted: who is asked next can't tell
#: who has changed the image.
BEGUN = ("trash.noted", "delete.before_intent")
MIDST = (*BEGUN, "lifecycle.step_done", "delete.after_row")
MONTHS, GOLD, RESTORED = 13, 1, 9


DATABASES = ("sqlite", "mariadb", "postgresql")
Kills = dict[tuple[str, int], str]


def kills_of(database: str) -> Kills:
    """Its share: each step on one of the databases. What one of them keeps of a commit that broke off is for its kit to
    show."""
    every = [((operation, month), step) for operation, steps in KILLS.items() for month, step in steps.items()]
    return dict(every[DATABASES.index(database) :: len(DATABASES)])


@dataclass
class Nodes:
    """Two, of one database and one folder; who dies is started again when he is asked next."""

    services: Sequence[lab.Service]
    clock: MovedClock
    kills: Kills
    died: list[tuple[str, str]] = field(default_factory=list)

    def client(self, number: int) -> Client:
        if self.services[number].process is None:
            self.services[number].start()
        return Client(self.services[number].url)

    def forward(self, *, days: int = 0, minutes: int = 0) -> None:
        self.clock.forward(self.services, days=days, minutes=minutes)

    def surely(self, operation: str, month: int, call: Callable[[Client], requests.Response]) -> Any:
        """What the second node answers after the first has died in the middle, or the first where none dies."""
        step = self.kills.get((operation, month))
        if step is None:
            return accepted(call(self.client(month % 2)))
        dying = self.services[month % 2]
        dying.stop()
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(VARIABLE, step)
            client = self.client(month % 2)
        with contextlib.suppress(*BROKEN_OFF):
            answer = call(client)
            raise AssertionError(
                f"{step} was not passed by {operation} of month {month}: {answer.status_code} {answer.text}"
            )
        dying.until_killed()
        dying.stop(signal.SIGKILL)
        self.died.append((operation, step))
        self.forward(minutes=11)
        return accepted(call(self.client((month + 1) % 2)))

    def purge(self, month: int) -> None:
        """What was deleted some time ago goes."""
        jobs = Jobs(self.services[0])
        if step := self.kills.get(("purge", month)):
            done = jobs.command("glance-periodic", "run", "reaper", env={VARIABLE: step})
            assert done.returncode == -signal.SIGKILL, (
                f"{step} was not passed in month {month}: {done.stdout}{done.stderr}"
            )
            self.died.append(("purge", step))
            self.forward(minutes=11)
        assert jobs.free("glance-periodic", "run", "reaper").returncode == 0


def accepted(answer: requests.Response) -> Any:
    assert answer.status_code < 300, f"{answer.request.method} {answer.request.url}: {answer.status_code} {answer.text}"
    return answer.json() if answer.content else None


@pytest.fixture(params=DATABASES)
def nodes(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Nodes]:
    with contextlib.ExitStack() as stack:
        database = stack.enter_context(lab.new_database(request.param))
        first = stack.enter_context(lab.service(CONFIG, database=database, folder=tmp_path, start=False))
        other = tmp_path / "other"
        other.mkdir()
        second = lab.Service(other, lab.free_port(), {})
        second.config = lab.merged(first.config, {"DEFAULT": {"bind_port": second.port}})
        second.config_file.write_text(lab.config_text(second.config))
        stack.callback(second.stop)
        clock = MovedClock(tmp_path)
        for name, value in clock.env.items():
            monkeypatch.setenv(name, value)
        yield Nodes((first, second), clock, kills_of(request.param))


@dataclass
class Year:
    nodes: Nodes
    family: str
    policy: str
    #: By month.
    images: dict[int, str] = field(default_factory=dict)

    def data(self, month: int) -> bytes:
        return hashlib.sha256(str(month).encode()).digest() * 40_000

    # -- a month -----------------------------------------------------------------------------------
    def publish(self, month: int) -> None:
        image = self.images[month] = f"00000000-0000-4000-8000-{month:012}"
        surely = self.nodes.surely
        tags = ["gold"] if month == GOLD else []
        surely("create", month, lambda on: made(on, image, tags))
        surely("upload", month, lambda on: uploaded(on, image, self.data(month)))
        surely(
            "version",
            month,
            lambda on: on.call(
                "PUT", f"/families/{self.family}/versions/{month:02}", {"image_id": image}, headers=JSON
            ),
        )
        surely("promote", month, lambda on: self._moved(on, f"{month:02}"))
        if month in (5, 6):
            surely("rollback", month, lambda on: self._rolled_back(on, month))
            self._stands(month - 1)
            accepted(self._moved(self.nodes.client(0), f"{month:02}"))
        self._stands(month)

    def rotate(self, month: int) -> list[tuple[str, str]]:
        """What the policy has done."""
        surely = self.nodes.surely
        surely("plan", month, lambda on: on.call("POST", f"/lifecycle/policies/{self.policy}/plans"))
        plan = accepted(self.nodes.client(0).call("POST", f"/lifecycle/policies/{self.policy}/plans"))
        if not plan["entries"]:
            return []
        done = surely("apply", month, lambda on: on.call("POST", f"/lifecycle/plans/{plan['id']}/actions/apply"))
        undone = {(x["image_id"], x["action"]) for x in done["result"] if not x["done"]}
        step = self.nodes.kills.get(("apply", month))
        assert len(undone) <= (step in MIDST), done
        later = accepted(self.nodes.client(1).call("POST", f"/lifecycle/policies/{self.policy}/plans"))
        left = {(x["image_id"], x["action"]) for x in later["entries"]}
        assert left == (undone if step in BEGUN else set()), (
            "what was only begun is for the next plan; what was done is not done again"
        )
        if left:
            assert all(
                x["done"]
                for x in accepted(self.nodes.client(1).call("POST", f"/lifecycle/plans/{later['id']}/actions/apply"))[
                    "result"
                ]
            )
        return [(x["image_id"], x["action"]) for x in done["result"]]

    def _moved(self, on: Client, label: str) -> requests.Response:
        return on.call(
            "PUT", f"/families/{self.family}/channels/stable", {"label": label, "reason": "tests passed"}, headers=JSON
        )

    def _rolled_back(self, on: Client, month: int) -> requests.Response:
        """Unless it is already: automation looks before it tries again."""
        channel = on.call("GET", f"/families/{self.family}/channels/stable")
        if channel.json()["label"] == f"{month - 1:02}":
            return channel
        return on.call(
            "POST",
            f"/families/{self.family}/channels/stable/actions/rollback",
            {"expected_revision": channel.json()["revision"]},
            headers=JSON,
        )

    def _stands(self, month: int) -> None:
        for number in (0, 1):
            assert (
                accepted(self.nodes.client(number).call("GET", "/v2/images/debian/13@stable"))["id"]
                == self.images[month]
            )

    # -- afterwards --------------------------------------------------------------------------------
    def whole(self, months: Sequence[int]) -> None:
        """Of those months, and of no others, the data is there."""
        service, client = self.nodes.services[0], Client(self.nodes.client(0).url, roles="admin,member,reader")
        stored = {
            x.name.partition(".")[0]
            for x in (service.folder / "images").rglob("*")
            if x.is_file() and not x.name.startswith(".")
        }
        assert stored == {self.images[x] for x in months}
        for month in months:
            client.call("POST", f"/v2/images/{self.images[month]}/actions/reactivate")
            answer = client.download(self.images[month])
            assert answer.status_code == 404 or answer.content == self.data(month)

    def history(self) -> list[tuple[str, str]]:
        found: list[tuple[str, str]] = []
        answer = accepted(
            self.nodes.client(0).call("GET", f"/families/{self.family}/channels/stable/history?limit=100")
        )
        numbers = [x["revision"] for x in answer["moves"]]
        assert numbers == sorted(numbers, reverse=True)
        found += [(x["action"], x["to"]) for x in reversed(answer["moves"])]
        return found


JSON = {"Content-Type": "application/json"}


def made(on: Client, image: str, tags: list[str]) -> requests.Response:
    answer = on.call(
        "POST",
        "/v2/images",
        {"id": image, "name": "debian 13", "tags": tags, "disk_format": "raw", "container_format": "bare"},
    )
    return on.call("GET", f"/v2/images/{image}") if answer.status_code == 409 else answer


def uploaded(on: Client, image: str, data: bytes) -> requests.Response:
    """As an upload is repeated: what has arrived is not sent once more, and what was broken off is waited for."""
    until(lambda: on.show(image)["status"] in ("queued", "active"))
    return on.call("GET", f"/v2/images/{image}") if on.show(image)["status"] == "active" else on.upload(image, data)


def test_a_year(nodes: Nodes) -> None:
    client = nodes.client(0)
    family = accepted(client.call("POST", "/families", {"name": "debian/13"}, headers=JSON))["id"]
    policy = accepted(client.call("POST", "/lifecycle/policies", POLICY, headers=JSON))["id"]
    year, done = Year(nodes, family, policy), list[tuple[int, str, str]]()
    for month in range(MONTHS):
        nodes.purge(month)
        year.publish(month)
        done += [(month, *x) for x in year.rotate(month)]
        if month == RESTORED:
            back = year.images[month - 6]
            nodes.surely("restore", month, lambda on, back=back: restored(on, back))  # type: ignore[misc]
        nodes.forward(days=30)
    assert sorted(nodes.died) == sorted((operation, step) for (operation, _), step in nodes.kills.items())
    steps = ("deprecate", "hide", "deactivate", "delete")
    expected = [
        (month + age, year.images[month], step)
        for month, (age, step) in itertools.product(range(MONTHS), zip((3, 4, 5, 6), steps, strict=True))
        if month != GOLD and month + age < MONTHS
    ]
    again = [(RESTORED + 1, year.images[RESTORED - 6], "delete")]
    assert sorted(done) == sorted(expected + again)
    moves = [[("promote", f"{x:02}")] for x in range(MONTHS)]
    for month in (5, 6):
        moves[month] += [("rollback", f"{month - 1:02}"), ("promote", f"{month:02}")]
    assert year.history() == list(itertools.chain(*moves))
    in_trash = MONTHS - 1 - 6
    year.whole([GOLD, *range(in_trash, MONTHS)])
    nodes.purge(MONTHS)
    year.whole([GOLD, *range(in_trash + 1, MONTHS)])


def restored(on: Client, image: str) -> requests.Response:
    answer = on.call("POST", f"/trash/{image}/actions/restore")
    return on.call("GET", f"/v2/images/{image}") if answer.status_code == 404 else answer
