"""Tasks."""

from __future__ import annotations

from glancecore.sdk import rules
from glancecore.sdk.rules import rule

RULES = [
    rule(
        "tasks_api_access",
        rules.ADMIN,
        "Use the tasks API at all.",
        ("GET", "/v2/tasks"),
        ("GET", "/v2/tasks/{task_id}"),
        ("POST", "/v2/tasks"),
    ),
    rule("get_task", "rule:tasks_api_access", "Show a task.", ("GET", "/v2/tasks/{task_id}")),
    rule("get_tasks", "rule:tasks_api_access", "List tasks.", ("GET", "/v2/tasks")),
    rule("add_task", "rule:tasks_api_access", "Add a task.", ("POST", "/v2/tasks")),
]
