# SPDX-License-Identifier: GPL-2.0-or-later
"""A strict checker for `imptrace.report/1`: every key present, of its type, enums closed.

Keys may be added later (the report only grows), so unknown keys pass; a misspelt key shows as
an absent one.
"""

CAUSES = """
not-installed installed-elsewhere abi-tag-mismatch broken-installation mixed-installation
stdlib-extension-not-built frozen-bundle-incomplete version-mismatch shadowed blocked
stale-finder-cache not-importable-from-archive case-mismatch dangling-symlink permission-denied
noexec-mount missing-shared-library undefined-symbol symbol-version-missing wrong-library
libpython-not-global wrong-elf-machine wrong-libc corrupt-file static-tls-exhausted
executable-stack page-size-mismatch memory-limit illegal-instruction missing-init-function
init-failed reinitialization-refused circular-import missing-attribute unknown
""".split()

ORIGINS = ("rpath", "ld_library_path", "runpath", "cache", "default", "direct")
LIBRARY_RESULTS = ("absent", "opened", "wrong-elf", "denied", "skipped")


class SchemaError(AssertionError):
    pass


def fail(where, why):
    raise SchemaError("%s: %s" % (where, why))


# A rule is called with (where, value) and raises, or is a dict (object) or [rule] (array).
def text(where, value):
    if not isinstance(value, str):
        fail(where, "want a string, got %r" % (value,))


def sentence(where, value):
    text(where, value)
    if not value.strip():
        fail(where, "is empty")


def integer(where, value):
    if not isinstance(value, int) or isinstance(value, bool):
        fail(where, "want an integer, got %r" % (value,))


def count(where, value):
    integer(where, value)
    if value < 0:
        fail(where, "is negative: %r" % value)


def boolean(where, value):
    if not isinstance(value, bool):
        fail(where, "want a boolean, got %r" % (value,))


def one_of(*names):
    def rule(where, value):
        if value not in names:
            fail(where, "%r is none of %s" % (value, ", ".join(names)))
    return rule


class Null:
    """A rule whose value may be null."""

    def __init__(self, rule):
        self.rule = rule


ERROR = {"type": sentence, "message": text}

FINDING = {
    "module": Null(sentence),	# null: a dlopen failed that no import had asked for
    "cause": one_of(*CAUSES),
    "outcome": one_of("fatal", "handled"),
    "pid": count,
    "summary": sentence,
    "path": Null(sentence),
    "error": Null(ERROR),
    "surfaced": Null(ERROR),
    "importers": [{"file": Null(text), "line": Null(integer), "function": Null(text),
                   "module": Null(text)}],
    "native_stack": [{"object": Null(text), "symbol": Null(text), "offset": Null(count)}],
    "searched": [{"entry": text, "finder": Null(text), "result": sentence,
                  "candidates": [text]}],
    "library": Null({
        "name": sentence,
        "needed_by": Null(text),
        "source": one_of("observed", "derived"),
        "searched": [{"path": text, "origin": one_of(*ORIGINS),
                      "result": one_of(*LIBRARY_RESULTS)}],
    }),
    "evidence": [{"fact": sentence, "source": one_of("observed", "derived")}],
    "ruled_out": [{"cause": one_of(*CAUSES), "because": sentence}],
    "fixes": [{"command": Null(sentence), "effect": sentence,
               "confidence": one_of("certain", "likely", "possible")}],
}

REPORT = {
    "schema": one_of("imptrace.report/1"),
    "complete": boolean,
    "notes": [text],
    "processes": [{
        "pid": count,
        "ppid": Null(count),
        "exe": Null(text),
        "argv": [text],
        "exit": {"code": Null(integer), "signal": Null(integer)},
        "python": Null({
            "implementation": Null(text), "version": Null(text), "cache_tag": Null(text),
            "extension_suffixes": [text], "executable": Null(text), "prefix": Null(text),
            "base_prefix": Null(text), "path": [text],
        }),
        "imports": count,
        "loads": count,
    }],
    "findings": [FINDING],
}


def walk(where, rule, value):
    if isinstance(rule, Null):
        if value is not None:
            walk(where, rule.rule, value)
    elif isinstance(rule, dict):
        if not isinstance(value, dict):
            fail(where, "want an object, got %r" % (value,))
        for key, sub in rule.items():
            if key not in value:
                fail(where, "key %r is absent" % key)
            walk("%s.%s" % (where, key), sub, value[key])
    elif isinstance(rule, list):
        if not isinstance(value, list):
            fail(where, "want an array, got %r" % (value,))
        for i, item in enumerate(value):
            walk("%s[%d]" % (where, i), rule[0], item)
    else:
        rule(where, value)


def check(report):
    """Raise SchemaError unless @report keeps the contract."""
    walk("report", REPORT, report)
    outcomes = [f["outcome"] for f in report["findings"]]
    if outcomes != sorted(outcomes, key=("fatal", "handled").index):
        fail("report.findings", "handled before fatal: %r" % outcomes)
    if not report["complete"] and not report["notes"]:
        fail("report.notes", "the trace is incomplete, and no note says how")
    pids = {p["pid"] for p in report["processes"]}
    for i, finding in enumerate(report["findings"]):
        where = "report.findings[%d]" % i
        if finding["pid"] not in pids:
            fail(where, "pid %d is no process of the report" % finding["pid"])
        if not finding["evidence"]:
            fail(where, "nothing proves it")
        if finding["cause"] in [r["cause"] for r in finding["ruled_out"]]:
            fail(where, "its own cause is ruled out")
        if finding["surfaced"] is not None and finding["surfaced"] == finding["error"]:
            fail(where, "surfaced repeats the error")
