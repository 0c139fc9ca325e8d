"""The kit for extensions can fail: each saboteur breaks one rule, and the test of that rule tells what is wrong. The
extension that they are made of passes it."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from stevedore.extension import ExtensionManager

from glancecore.assembly import loader
from glancecore.http.app import Gate
from glancecore.testing import extension as kit
from glancecore.testing.extension import ExtensionConformance, Running

pytestmark = pytest.mark.long

VARIABLE = "EXTENSION_SABOTEUR"
ENTRY_POINTS = """
[glancecore.extensions]
sab = extension_saboteurs:chosen
[oslo.config.opts]
glancecore.ext.sab = extension_saboteurs:list_opts
[oslo.policy.policies]
glancecore.ext.sab = extension_saboteurs:list_rules
"""


def _look_again() -> None:
    loader._catalog.cache_clear()
    ExtensionManager.ENTRY_POINT_CACHE.clear()


@pytest.fixture(scope="module", autouse=True)
def _installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The distribution ``sab``, for this process and those that it starts."""
    site = tmp_path_factory.mktemp("site")
    about = site / "sab-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: sab\nVersion: 1.0\nRequires-Dist: glancecore>=1.0,<2\n"
    )
    (about / "entry_points.txt").write_text(ENTRY_POINTS)
    (site / "extension_saboteurs.py").symlink_to(Path(__file__).with_name("extension_saboteurs.py"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(site))
        patch.setenv(VARIABLE, "Good")
        sys.path.insert(0, str(site))
        _look_again()
        yield
        sys.path.remove(str(site))
    _look_again()


class TestGood(ExtensionConformance):
    name = "sab"
    bodies = {"PUT /sab/<image_id>": {"text": "a note"}}

    def work(self, service: Running, image_id: str) -> None:
        answer = service.owner.call("PUT", f"/sab/{image_id}", {"text": "a note"}, Content_Type="application/json")
        assert answer.status_code == 200, answer.text


#: Saboteur -> the rule that catches it, and what it says.
CAUGHT: Mapping[str, tuple[str, str]] = {
    "NotAnExtension": ("test_it_is_an_extension", "Extension"),
    "WithoutTitle": ("test_it_is_an_extension", "title"),
    "NamesOfOthers": ("test_its_names_are_its_own", r"other\.notes does not begin with sab\."),
    "LongOperation": ("test_its_names_are_its_own", "more than 32 characters"),
    "ShowsTheServicesKey": ("test_its_names_are_its_own", "status, which the service itself has"),
    "OptionWithoutHelp": ("test_options_say_what_they_are_for", "other has no help"),
    "OptionInAnotherSection": ("test_options_are_in_the_sample", r"listed in \[sab\]"),
    "OptionThatIsNotListed": ("test_options_are_in_the_sample", r"declared are \['word'\]"),
    "RuleWithoutDescription": ("test_rules_say_what_they_are_for", "sab_more has no description"),
    "RuleForNoRoute": ("test_rules_say_what_they_are_for", "which is no route"),
    "LoadsTheWebFramework": ("test_no_web_framework_where_nothing_is_served", "loads flask"),
    "RouteWithoutSummary": ("test_routes_are_described", "has no summary"),
    "RouteWithoutSuccess": ("test_routes_are_described", "name no success"),
    "RouteWithEmptySchema": ("test_routes_are_described", "schema of 200 is empty"),
    "ParameterWithoutDescription": ("test_routes_are_described", "parameter x has no description"),
    "AnswersOtherwise": ("test_routes_answer_as_they_say", "does not fit its schema"),
    "AnswersAnotherStatus": ("test_routes_answer_as_they_say", "answers 200, which its answers do not name"),
    "AnswersABodyThatIsNotDeclared": ("test_routes_answer_as_they_say", "with a body, and declares none"),
    "Public": ("test_public_routes_are_meant_to_be", r"public routes are \['GET /sab/<image_id>'\]"),
    "OpensTheGate": ("test_without_identity_nothing_is_answered", "without identity"),
    "AllowsAnybody": ("test_without_roles_nothing_is_allowed", "without a role"),
    "AsksForTheImageOnly": ("test_its_rules_can_shut_it", "asks for none of them"),
    "LetsAnybodyIn": ("test_entrances_let_in_who_is_known_only", "entrance /sab/in lets anybody in"),
    "FailsAtStrangers": ("test_entrances_let_in_who_is_known_only", "is answered 500"),
    "HeaderOfTwoLines": ("test_site_headers_can_be_sent", "site_headers of /sab: X-Sab is no header"),
    "BelievesPaths": ("test_hostile_paths", "500"),
    "BelievesQueries": ("test_hostile_queries", "500"),
    "BelievesBodies": ("test_hostile_bodies", "500"),
    "LogsTracebacks": ("test_hostile_paths", "a traceback in the log"),
    "WritesElsewhere": ("test_records_go_to_declared_collections", r"\['sab\.other'\]"),
    "UnlistsUnsaid": ("test_records_go_to_declared_collections", r"\['the service\.unlisted'\]"),
    "NeverUnlists": ("test_the_work_shows_what_is_declared", r"\['the service\.unlisted'\] did not come up"),
    "HoldsForAnother": ("test_leases_are_of_declared_operations", r"\['sab_other'\]"),
    "TellsAnother": ("test_events_have_declared_names", r"\['sab\.other'\]"),
    "NeverTells": ("test_the_work_shows_what_is_declared", r"events: \['sab\.never'\] did not come up"),
    "ShowsTooFew": ("test_present_tells_what_shows_declares", "2 mappings for 4 images"),
    "ShowsMore": ("test_present_tells_what_shows_declares", r"\['sab_more'\], which shows does not declare"),
    "ShowsANumber": ("test_present_tells_what_shows_declares", "does not fit its schema"),
    "ShowsNothing": ("test_present_tells_what_shows_declares", "did not come up"),
    "AsksForEach": ("test_present_asks_once_for_a_page", "2 times for 2 images and 12 times for 12"),
    "NeverLetsGo": ("test_the_work_of_dead_processes_ends", "stays held"),
    "StopsNever": ("test_background_ends", "the stop of its background has not ended"),
    "LeavesAThread": ("test_background_ends", "threads are left when its background has stopped: sab"),
    "ThereCanBeOne": ("test_two_services_share_a_database", "has a record the only one already"),
    "JobThatFails": ("test_jobs_run", "failed: it failed"),
    "JobWithErrors": ("test_jobs_run", "it does not go"),
    "JobThatIsNeverDry": ("test_jobs_run", "dry: it has committed RecordRemoved"),
    "CommandWithoutSummary": ("test_commands_say_what_they_do", "has no summary"),
    "CommandWithoutHelp": ("test_commands_say_what_they_do", "--help"),
    "CommandThatPrintsText": ("test_commands_print_json", "neither JSON nor lines of it"),
    "CommandThatFails": ("test_commands_print_json", "ends with 3"),
    "BeginsAnew": ("test_records_survive_a_restart", "records are others after a restart"),
}


@pytest.mark.parametrize("saboteur", CAUGHT)
def test_the_kit_catches(saboteur: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    test, said = CAUGHT[saboteur]
    monkeypatch.setenv(VARIABLE, saboteur)
    monkeypatch.setattr(kit, "TIMEOUT", 3.0)
    monkeypatch.setattr(Gate, "_identified", Gate._identified)  # one of them replaces it
    tested = TestGood()
    rule = getattr(ExtensionConformance, test)
    given = {
        "bench": lambda: tested.make_bench(tmp_path),
        "tmp_path": lambda: tmp_path,
        "second_database": lambda: None,
    }
    with pytest.raises(Exception) as told:
        rule(tested, **{x: given[x]() for x in inspect.signature(rule).parameters if x != "self"})
    assert re.search(said, str(told.value)), told.value


def test_every_rule_has_a_saboteur() -> None:
    assert {x for x in vars(ExtensionConformance) if x.startswith("test_")} == {test for test, _ in CAUGHT.values()}
