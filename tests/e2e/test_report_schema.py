# SPDX-License-Identifier: GPL-2.0-or-later
"""The checker itself: it takes a report as the contract shows it, and no other."""
import copy

import pytest

import report_schema
from harness import Run

REPORT = {
    "schema": "imptrace.report/1", "complete": True, "notes": [],
    "processes": [{
        "pid": 17, "ppid": 1, "exe": "/usr/bin/python3.13", "argv": ["python3", "fetch.py"],
        "exit": {"code": 1, "signal": None}, "imports": 149, "loads": 12,
        "python": {"implementation": "cpython", "version": "3.13.0", "cache_tag": "cpython-313",
                   "extension_suffixes": [".so"], "executable": "/usr/bin/python3.13",
                   "prefix": "/usr", "base_prefix": "/usr", "path": ["/usr/lib/python3.13"]},
    }],
    "findings": [{
        "module": "_cffi_backend", "cause": "abi-tag-mismatch", "outcome": "fatal", "pid": 17,
        "summary": "It is there under another tag.", "path": "/x/_cffi_backend.so",
        "error": {"type": "ModuleNotFoundError", "message": "No module named '_cffi_backend'"},
        "surfaced": {"type": "ImportError", "message": "PyO3 modules ..."},
        "importers": [{"file": "fetch.py", "line": 3, "function": "<module>",
                       "module": "__main__"}],
        "native_stack": [{"object": "/x/_rust.so", "symbol": "PyInit__rust", "offset": 123}],
        "searched": [{"entry": "/x", "finder": "FileFinder", "result": "near-miss",
                      "candidates": ["_cffi_backend.so"]}],
        "library": {"name": "libffi.so.7", "needed_by": "/x/_cffi_backend.so", "source": "derived",
                    "searched": [{"path": "/l", "origin": "default", "result": "absent"}]},
        "evidence": [{"fact": "a fact", "source": "observed"}],
        "ruled_out": [{"cause": "missing-shared-library", "because": "it was not opened"}],
        "fixes": [{"command": None, "effect": "an effect", "confidence": "certain"}],
    }],
}


def places(value, path=()):
    """The path of every key and every item in the report."""
    if isinstance(value, dict):
        for key in value:
            yield path + (key,)
            yield from places(value[key], path + (key,))
    elif isinstance(value, list):
        for i, item in enumerate(value):
            yield from places(item, path + (i,))


def changed(path, change):
    report = copy.deepcopy(REPORT)
    where = report
    for step in path[:-1]:
        where = where[step]
    change(where, path[-1])
    return report


def remove(where, key):
    del where[key]


def spoil(where, key):
    """A value that suits no rule."""
    where[key] = {"no": "such"} if not isinstance(where[key], dict) else "no such"


def test_the_contracts_example_passes():
    report_schema.check(REPORT)


@pytest.mark.parametrize("path", list(places(REPORT)), ids=lambda p: ".".join(map(str, p)))
@pytest.mark.parametrize("change", [remove, spoil], ids=lambda c: c.__name__)
def test_each_key_is_looked_at(path, change):
    with pytest.raises(report_schema.SchemaError):
        report_schema.check(changed(path, change))


@pytest.mark.parametrize("path,value", [
    (("findings", 0, "cause"), "bad-luck"), (("findings", 0, "outcome"), "so-so"),
    (("findings", 0, "evidence", 0, "source"), "guessed"), (("findings", 0, "evidence"), []),
    (("findings", 0, "library", "searched", 0, "origin"), "luck"), (("complete",), False),
    (("findings", 0, "pid"), 18), (("schema",), "imptrace.report/2"),
    (("findings", 0, "fixes", 0, "confidence"), "sure"), (("processes", 0, "imports"), True),
    (("findings", 0, "ruled_out", 0, "cause"), "abi-tag-mismatch")])
def test_values_that_are_refused(path, value):
    def put(where, key):
        where[key] = value
    with pytest.raises(report_schema.SchemaError):
        report_schema.check(changed(path, put))


def test_handled_before_fatal_is_refused():
    report = copy.deepcopy(REPORT)
    report["findings"].insert(0, dict(report["findings"][0], outcome="handled"))
    with pytest.raises(report_schema.SchemaError):
        report_schema.check(report)


def test_last_error():
    text = (b"Traceback (most recent call last):\n  File \"x\", line 1\nKeyError: 1\n\nDuring ...\n"
            b"Traceback (most recent call last):\n  File \"y\", line 2\n"
            b"pkg.Error: a: b\nsecond line\n")
    assert Run([], 1, b"", text).last_error() == ("pkg.Error", "a: b\nsecond line")
    assert Run([], 1, b"", b"ValueError: 1\n").last_error() is None
