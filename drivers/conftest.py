# ruff: noqa: INP001 - a folder of distributions is no package
# copied, renamed, installed and tested by tests/architecture/test_writing_a_store.py
collect_ignore = ["_template"]
