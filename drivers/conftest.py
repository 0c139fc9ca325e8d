# ruff: noqa: INP001 - a folder of distributions is no package
# copied, renamed, installed and tested by tests/docs/test_walks.py
collect_ignore = ["_template"]
