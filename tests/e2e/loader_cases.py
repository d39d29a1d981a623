# SPDX-License-Identifier: GPL-2.0-or-later
"""Builds libraries and extensions whose loading fails, the shapes that load them, and what a
finding below dlopen must hold.

What is built is kept for the session: libraries are linked by soname and $ORIGIN, so that a copy
works wherever it is put.
"""
import dataclasses
import pathlib
import re

import harness
import interpreters
import shapes
from distributions import install
from verdict import ANY, diagnose, facts

DEP = "missing-shared-library/dep.c"
EXT = "missing-shared-library/ext.c"


def by_name(shape):
    return shape.__name__


def place(built, where, name):
    """Copy what was built to its place; returns the path."""
    path = pathlib.Path(where) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pathlib.Path(built).read_bytes())
    path.chmod(0o755)
    return path


def defined(defines):
    return ["-D%s=%s" % item for item in sorted(defines.items())]


def built_library(soname, *needs, source=DEP, flags=(), gives="dep_17", **defines):
    """Compile a library; @needs are others, as this returned them."""
    return interpreters.compile_c(
        source, "-shared", "-fPIC", "-Wl,-soname," + soname, "-Wl,--no-as-needed", *flags,
        *defined(dict(defines, GIVES=gives)), *map(str, needs))


def library(where, soname, *needs, **how):
    """The same, put to its place under its soname."""
    return place(built_library(soname, *needs, **how), where, soname)


def extension(python, name, where, *needs, source=EXT, flags=(), suffix=None, **defines):
    """Build an extension that is linked against @needs."""
    if not python.has_headers:
        harness.pytest.skip("no headers for " + python.id)
    if source == EXT:
        defines.setdefault("CALLS", "dep_17")
    last = name.rpartition(".")[2]
    built = interpreters.compile_c(
        source, "-shared", "-fPIC", "-I" + python.include, "-Wl,--no-as-needed", *flags,
        *defined(dict(defines, MODULE=last)), *map(str, needs))
    return place(built, where, last + (python.suffix if suffix is None else suffix))


def runpath(text):
    return "-Wl,--enable-new-dtags,-rpath," + text


def rpath(text):
    return "-Wl,--disable-new-dtags,-rpath," + text


# -- shapes -------------------------------------------------------------------------------
def from_c(python):
    """Asked for by another extension's init function, through PyImport_ImportModule."""
    def shape(lab, stmt):
        interpreters.extension(python, "init-failed/failing.c", "asker_17", lab.site,
                               NEEDS=shapes.module_of(stmt))
        return shapes.script(lab, "import asker_17")
    shape.__name__ = "from_c"
    return shape


@dataclasses.dataclass
class Host(shapes.Program):
    """A program in C that embeds CPython: what it runs, in place of the interpreter."""

    def argv(self, python):
        return self.args


def embedded(python):
    def shape(lab, stmt):
        host = interpreters.host_program(python, "embedding/host.c")
        return Host([host, "run", "import sys\n" + stmt], ("<string>", 2))
    shape.__name__ = "embedded"
    return shape


def cdll(name, mode=""):
    """ctypes opens it: no import fails."""
    def shape(lab, stmt):
        path = lab.write("opens.py", "import ctypes\n\n\ndef main():\n"
                         "    ctypes.CDLL(%r%s)\n\nmain()\n" % (str(name), mode))
        return shapes.Program([path], (str(path), 5))
    shape.__name__ = "cdll"
    return shape


def prefixed(shape, lab, stmt, *command):
    """The same program, started by another command (env, sh, prlimit)."""
    program = shape(lab, stmt)

    @dataclasses.dataclass
    class Started(shapes.Program):
        def argv(self, python):
            return [*command, *shapes.Program.argv(self, python)]
    return Started(**dataclasses.asdict(program))


# -- what the finding holds ---------------------------------------------------------------
def check_tried(finding, tried):
    """@tried: (path, origin, result) in search order; others may stand between them."""
    got = [(t["path"], t["origin"], t["result"]) for t in finding["library"]["searched"]]
    at = 0
    for path, origin, result in tried:
        wanted = [(str(path), origin, r) for r in (
            (result,) if isinstance(result, str) else result)]
        while at < len(got) and got[at] not in wanted:
            at += 1
        assert at < len(got), "%r is not, in this order, in %r" % (wanted, got)


def check_expectation(lab, python, program, tried):
    """The test itself is wrong where the loader, asked by LD_DEBUG, did otherwise."""
    env = dict(program.env or lab.env(), LD_DEBUG="libs",
               LD_DEBUG_OUTPUT=str(lab.root / "ld-debug"))
    lab.bare(program.argv(python), env, cwd=program.cwd)
    said = set()
    for path in lab.root.glob("ld-debug.*"):
        said.update(re.findall(r"trying file=(.*)", path.read_text(errors="surrogateescape")))
        path.unlink()
    for path, origin, result in tried:
        if origin != "direct":
            assert (str(path) in said) == (result != "skipped"), (path, result, sorted(said))


def explain(lab, python, program, *, cause, module, library=None, needed_by=ANY, tried=(), **how):
    """diagnose(), and what a finding below dlopen holds beside."""
    check_expectation(lab, python, program, tried)
    importer = how.pop("importer", program.importer)
    if module is None and importer:
        how["importer"] = False
    else:
        how["importer"] = importer
    finding = diagnose(lab, python, program, cause=cause, module=module, **how)
    if module is None and importer:
        asked = [(i["file"], i["line"]) for i in finding["importers"]]
        assert importer in asked, "asked by %r, want %r" % (asked, importer)
    if library is not None:
        got = finding["library"]
        assert got, "no library: " + finding["summary"]
        assert got["name"] in ((library,) if isinstance(library, str) else library), got
        if needed_by is not ANY:
            assert got["needed_by"] == (needed_by and str(needed_by)), got
        check_tried(finding, tried)
    return finding


def own_error(finding, text):
    assert text in finding["error"]["message"], finding["error"]


def installed(lab, name, files, **how):
    """A made-up distribution in the lab's site directory."""
    return install(lab.site, name, "1.7", files, **how)


def died(lab, python, program, *, signal, cause, module, path, says=(), env=None):
    """The process dies of a signal within the load: `imptrace run` is what sees that."""
    argv = [str(a) for a in program.argv(python)]
    env = env or lab.env()
    bare = lab.bare(argv, env)
    assert bare.returncode == -signal, "%r: %s" % (bare.returncode, bare.text)
    trace = lab.new_trace()
    run = lab.command("run", "-o", trace, "--", *argv, env=env)
    assert run.returncode == 128 + signal, "%r: %s" % (run.returncode, run.text)
    assert (run.stdout, run.stderr) == (bare.stdout, bare.stderr)
    for more in ((), ("--no-host",)):
        status, report = lab.analyze(trace, *more)
        finding = harness.finding_of(report, module)
        told = finding["summary"] + "\n" + facts(finding)
        assert finding["cause"] == cause, "%s %s: %s" % (more, finding["cause"], told)
        assert (finding["outcome"], status) == ("fatal", 1)
        assert finding["path"] in [str(p) for p in (
            path if isinstance(path, tuple) else (path,))], finding["path"]
        assert any(p["exit"]["signal"] == signal for p in report["processes"])
        for pattern in says if not more else ():
            assert re.search(pattern, told), "%r not in:\n%s" % (pattern, told)
        assert finding["fixes"] or finding["cause"] == "unknown"
    return finding
