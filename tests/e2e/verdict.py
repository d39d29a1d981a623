# SPDX-License-Identifier: GPL-2.0-or-later
"""What every diagnosis must keep, whatever its cause; and which remedies suit which cause."""
import re

import harness

ANY = object()

# The first remedy must speak of this (command or effect) ...
FIRST_REMEDY = {
    "not-installed": r"install",
    "installed-elsewhere": r"path|site|interpreter|environ|venv|install|unset|run|start",
    "abi-tag-mismatch": r"install|build|run|interpreter|python",
    "broken-installation": r"reinstall|install",
    "mixed-installation": r"install|remove|search path",
    "stdlib-extension-not-built": r"install|build|configure|interpreter",
    "version-mismatch": r"install|version",
    "shadowed": r"rename|remove|move|mv |path|delete",
    "blocked": r"hook|sys\.modules|entry|remove|policy|block",
    "stale-finder-cache": r"invalidate_caches",
    "not-importable-from-archive": r"unpack|unzip|extract|outside|directory|install",
    "case-mismatch": r"case|spell|name|import ",
    "dangling-symlink": r"link|target|restore|install|remove",
    "permission-denied": r"chmod|permission|owner|user|chown|setfacl|grant",
    "reinitialization-refused": r"once|process|restart|import|subinterpreter|first",
    "circular-import": r"import|cycle|move",
    "missing-attribute": r"version|install|upgrade|name|spell|attribute|import",
    "init-failed": r"",
    "unknown": r"",
    "frozen-bundle-incomplete": r"freeze|build|bundle|include|hidden",
    "noexec-mount": r"mount|directory|copy|move",
    "missing-shared-library": r"install|path|import|LD_LIBRARY_PATH|copy|link",
    "undefined-symbol": r"install|build|link|version|interpreter|python",
    "symbol-version-missing": r"install|upgrade|build|system|path",
    "wrong-library": r"path|unset|remove|install|env|host|first",
    "libpython-not-global": r"RTLD_GLOBAL|LD_PRELOAD",
    "wrong-elf-machine": r"install|build",
    "wrong-libc": r"install|build|musl|glibc",
    "corrupt-file": r"install|fetch|copy|download|lfs|restore|soname",
    "static-tls-exhausted": r"LD_PRELOAD|GLIBC_TUNABLES|first|earlier",
    "executable-stack": r"stack|build|install",
    "page-size-mismatch": r"build|install|page",
    "memory-limit": r"limit|memory",
    "illegal-instruction": r"install|build|processor|CPU",
    "missing-init-function": r"name|build|install",
}

# ... and no remedy may be one that the evidence contradicts.
INSTALL = r"\bpip3? install\b|\bapt(-get)? install\b|conda install"
FORBIDDEN = {
    "blocked": INSTALL,
    "stale-finder-cache": INSTALL,
    "case-mismatch": INSTALL,
    "circular-import": INSTALL,
    "shadowed": INSTALL,
    "permission-denied": INSTALL,
}


# Handled, these may count as "nothing is broken", and then need --all to be listed.
NOTHING_BROKEN = ("not-installed", "installed-elsewhere", "blocked", "stdlib-extension-not-built")


def remedies(finding):
    return [((f["command"] or "") + "\n" + f["effect"]) for f in finding["fixes"]]


def check_fixes(finding):
    cause = finding["cause"]
    told = "%s: %r" % (cause, finding["fixes"])
    if cause != "unknown":
        assert finding["fixes"], "no remedy: " + told
        wanted = FIRST_REMEDY.get(cause, "")
        # Whatever is wrong with a copy that PYTHONPATH brings: it need not be taken.
        if finding["fixes"][0]["command"] and "PYTHONPATH" in finding["fixes"][0]["command"]:
            wanted = "%s|so that the copy behind it is taken" % wanted if wanted else ""
        assert re.search(wanted, remedies(finding)[0], re.I), told
    forbidden = FORBIDDEN.get(cause)
    for fix in finding["fixes"]:
        if forbidden and fix["command"]:
            assert not re.search(forbidden, fix["command"]), "contradicts the evidence: " + told


def check_pip_is_for(finding, python):
    """A pip command must be for the very interpreter that failed, by its full path.

    Debian's own interpreter may also be told to run `apt install`."""
    for fix in finding["fixes"]:
        command = fix["command"] or ""
        if re.search(r"\bpip3? ", command):
            assert re.search(r"/\S*python[\d.]*\S* -m pip ", command), (
                "which interpreter is %r for?" % command)
        if re.search(r"\bapt(-get)? install\b", command):
            assert python.is_debian or fix["confidence"] != "certain", command


def facts(finding):
    """All of a finding's evidence as one text."""
    return "\n".join(e["fact"] for e in finding["evidence"])


def asked_at(finding, importer):
    """Assert who asked: innermost, save for the frames of importlib.import_module itself."""
    chain = [(i["file"], i["line"]) for i in finding["importers"]]
    while len(chain) > 1 and re.search(r"(^|/)importlib/__init__\.py$", chain[-1][0] or ""):
        chain.pop()
    assert chain, "nobody asked for it: %r" % (finding["importers"],)
    assert chain[-1] == importer, "asked by %r, want %r" % (chain, importer)


def diagnose(lab, python, program, *, cause, module, path=ANY, error=None, no_host=True,
             says=(), prepare=None, bare_says=None, importer=None):
    """Run @program bare and traced, and assert what analyze makes of it; returns the finding.

    @cause, @module, @path: one value or a tuple of the acceptable ones; path ANY: not checked
    @error: (type, message) of the root where the visible error is another one
    @no_host: True: `--no-host` must give the same code; a tuple: one of these codes, where
        the trace cannot hold the evidence
    @says: regular expressions that the evidence must match
    """
    causes = (cause,) if isinstance(cause, str) else cause
    argv = program.argv(python)
    env = program.env or lab.env()
    bare = lab.bare(argv, env, prepare, cwd=program.cwd)
    seen = bare.last_error()
    if program.outcome == "fatal":
        assert bare.returncode not in (0, 125, 126, 127), bare.text
        assert seen, "no traceback: " + bare.text
        if program.wrapped:
            assert seen == program.wrapped
        if bare_says:
            assert re.search(bare_says, bare.text), bare.text
    else:
        assert bare.returncode == 0, bare.text

    run = lab.traced(argv, env, prepare, bare=bare, cwd=program.cwd)
    hidden = program.outcome == "handled" and causes[0] in NOTHING_BROKEN
    status, report = lab.analyze(run.trace, *["--all"][:hidden])
    finding = harness.finding_of(report, module)
    assert finding["cause"] in causes, "%s, want %s: %s\n%s" % (
        finding["cause"], causes, finding["summary"], facts(finding))
    assert finding["outcome"] == program.outcome, facts(finding)
    assert status == (1 if program.outcome == "fatal" else 0)
    if program.outcome == "fatal":
        assert finding is report["findings"][0], "not the first finding: %r" % [
            (f["module"], f["cause"], f["outcome"]) for f in report["findings"]]
    if path is not ANY:
        paths = path if isinstance(path, tuple) else (path,)
        assert finding["path"] in [p if p is None else str(p) for p in paths]
    check_error(finding, program, seen, error)
    if importer is not False:
        asked_at(finding, importer or program.importer)
    told = finding["summary"] + "\n" + facts(finding)
    for pattern in says:
        assert re.search(pattern, told), "%r not in:\n%s" % (pattern, told)
    check_fixes(finding)
    check_pip_is_for(finding, python)
    check_views(lab, run, finding, report, (module, no_host), hidden)
    finding["_run"], finding["_report"] = run, report
    return finding


def check_error(finding, program, seen, error):
    """The root's own error, and what the user saw in its stead."""
    got = finding["error"] and (finding["error"]["type"], finding["error"]["message"])
    surfaced = finding["surfaced"] and (finding["surfaced"]["type"],
                                        finding["surfaced"]["message"])
    if seen and seen[0] == "SyntaxError":	# str() of it adds the place
        got = (got[0], re.sub(r" \([^()]*, line \d+\)$", "", got[1]))
    if error is not None:
        assert got and got[0] == error[0], "root error is %r, want %r" % (got, error)
        assert re.search(error[1], got[1]), "root error is %r, want %r" % (got, error)
        if program.outcome == "fatal":
            assert surfaced == seen, "surfaced %r, the user saw %r" % (surfaced, seen)
    elif program.wrapped:
        assert surfaced == seen, "surfaced %r, the user saw %r" % (surfaced, seen)
        assert got and got != surfaced
    elif program.outcome == "fatal":
        assert got == seen, "error %r, the user saw %r" % (got, seen)
        assert surfaced is None, "surfaced %r is what the error is" % (surfaced,)


def check_views(lab, run, finding, report, wanted, hidden):
    """The same answer from --no-host, -m and --all, and as text."""
    where = run.trace
    module, no_host = wanted
    if no_host:
        _, alone = lab.analyze(where, "--no-host", "--all")
        want = (finding["cause"],) if no_host is True else no_host
        got = harness.finding_of(alone, module)["cause"]
        assert got in want, "--no-host says %s, want one of %s" % (got, want)
    if finding["module"] is not None:	# null: a dlopen of the program's own, and no import
        status, about = lab.analyze(where, "-m", finding["module"])
        assert {f["module"] for f in about["findings"]} >= {finding["module"]}, (
            "-m %s says nothing of it" % finding["module"])
    _, all_of_them = lab.analyze(where, "--all")
    got = [(f["module"], f["cause"], f["outcome"]) for f in all_of_them["findings"]]
    for known in report["findings"]:
        assert (known["module"], known["cause"], known["outcome"]) in got, (
            "--all leaves out %s" % known["module"])
    answer = lab.analyze_text(where, *["--all"][:hidden])
    assert answer.returncode == (1 if any(
        f["outcome"] == "fatal" for f in report["findings"]) else 0)
    name = finding["module"] or finding["library"]["name"]
    assert name in answer.answer, "the text names no %s:\n%s" % (name, answer.answer)
