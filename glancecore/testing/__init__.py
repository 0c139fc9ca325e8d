"""Shipped kits that certify plugins (extra ``glancecore[testing]``), and in-memory ports for tests of services."""

import pytest

# so that a failed ``assert`` of a kit shows its values
pytest.register_assert_rewrite(
    *(
        f"glancecore.testing.{x}"
        for x in (
            "store",
            "_store_base",
            "_store_depth",
            "_store_harness",
            "_store_machine",
            "task_repository",
            "record_repository",
            "import_step",
            "import_method",
            "extension",
            "_extension_bench",
            "service",
            "_plugin",
            "auth",
            "notifier",
            "quota",
            "certificates",
            "periodic",
        )
    )
)
