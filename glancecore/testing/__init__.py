"""Shipped kits that certify plugins (extra ``glancecore[testing]``), and in-memory ports for tests of services."""

import pytest

# so that a failed ``assert`` of a kit shows its values
pytest.register_assert_rewrite("glancecore.testing.store", "glancecore.testing._store_harness", "glancecore.testing._store_machine",
                              "glancecore.testing.task_repository", "glancecore.testing.import_step", "glancecore.testing.import_method",
                              "glancecore.testing._plugin", "glancecore.testing.auth", "glancecore.testing.notifier", "glancecore.testing.quota",
                              "glancecore.testing.certificates", "glancecore.testing.periodic")
