# SPDX-License-Identifier: GPL-2.0-or-later
"""Where a module was found, and its init function or its own code failed: who is to blame.

Programs of a few lines, as in the other test_lab_*.py.  What the trace holds is told without a
look at this machine, too.
"""
import platform
import re
import signal

import pytest

from interpreters import extension
from lab_cases import blameless, both, commands, ended, fatal, listed, told
from verdict import ANY

WAYS = "init-failed/ways.c"


def blamed(lab, argv, module, cause, path=ANY, says=(), **kw):
    """fatal(), the file at fault, and the same answer from the trace alone."""
    run = ended(lab, argv, kw.pop("returncode", 1), says=kw.pop("bare_says", None))
    return answered(lab, run, module, cause, path, says, **kw)


def answered(lab, run, module, cause, path=ANY, says=(), error=None):
    for more in ((), ("--no-host",)):
        status, report = lab.analyze(run.trace, *more)
        assert report["findings"], "nothing found: " + run.text
        finding = report["findings"][0]
        got = finding["module"], finding["cause"], finding["outcome"]
        assert got == (module, cause, "fatal"), listed(report)
        assert status == 1
        if path is not ANY:
            assert finding["path"] == (path and str(path))
        for text in says:
            assert text in told(finding), told(finding)
        if error:
            assert finding["error"]["type"] == error
        if not more:
            here = finding
    assert here["ruled_out"] or cause == "unknown"
    return here


# -- the init function ----------------------------------------------------------------------
@both
def test_compiled_as_cplusplus(lab, cpython):
    """Without extern "C" the compiler gives the function another name."""
    path = extension(cpython, WAYS, "plug_17", lab.site, HOW="RAISE", SYMBOL="_Z14PyInit_plug_17v")
    run = ended(lab, [cpython.path, lab.write("main.py", "import plug_17\n")], 1)
    status, report = lab.analyze(run.trace)
    finding = report["findings"][0]
    assert (finding["module"], finding["cause"], finding["outcome"], finding["path"]) == \
        ("plug_17", "missing-init-function", "fatal", str(path)), listed(report)
    assert status == 1
    assert 'extern "C"' in finding["fixes"][0]["effect"]
    assert any("_Z14PyInit_plug_17v" in e["fact"] for e in finding["evidence"])


@both
def test_panic_hides_an_import(lab, cpython):
    """PyO3 panics where Python's API fails, and the panic has a text of its own."""
    extension(cpython, WAYS, "rusty_17", lab.site, HOW="PANIC", NEEDS="absent_17")
    finding = blamed(lab, [cpython.path, lab.write("main.py", "import rusty_17\n")], "absent_17",
                     "not-installed", None, ["rusty_17"], bare_says="PanicException",
                     error="ModuleNotFoundError")
    assert finding["surfaced"]["type"].endswith("PanicException")


@both
def test_error_in_an_imports_stead(lab, cpython):
    """It may have failed for another reason: the import is told beside it."""
    path = extension(cpython, WAYS, "engine_17", lab.site, HOW="REPLACE", NEEDS="absent_17")
    blamed(lab, [cpython.path, lab.write("main.py", "import engine_17\n")], "engine_17",
           "init-failed", path, ["its import of absent_17 had failed"])


@both
def test_library_that_the_init_function_opens(lab, cpython):
    """It calls dlopen by itself, and raises an error of its own: of that library, or of another thing."""
    gone, main = "libvip17.so.42", lab.write("main.py", "import plug_17\n")

    def built(how, says="nothing"):
        return extension(cpython, WAYS, "plug_17", lab.site, HOW=how, NEEDS=gone, SAYS=says)

    for says in ("the vip engine is missing", "a shared object could not be opened"):
        path = built("OPEN", says)
        finding = blamed(lab, [cpython.path, main], "plug_17", "missing-shared-library", path,
                         [gone, "by %s" % path], error="OSError", bare_says=says)
        assert finding["library"]["name"] == gone
        assert finding["library"]["needed_by"] == str(path)
        assert finding["surfaced"] == {"type": "ImportError", "message": says}
    path = built("OPEN", "no licence for plug17")
    finding = blamed(lab, [cpython.path, main], "plug_17", "init-failed", path,
                     ['dlopen("%s"), called by %s' % (gone, path)], bare_says="no licence")
    assert not any(r["cause"] == "missing-shared-library" for r in finding["ruled_out"])
    path = built("TRY")
    run = blameless(lab, [cpython.path, main])
    load, = [f for f in lab.analyze(run.trace, "--all")[1]["findings"] if f["library"]]
    assert (load["module"], load["cause"], load["outcome"], load["path"]) == \
        (None, "missing-shared-library", "handled", str(path))
    assert load["library"]["needed_by"] == str(path) and str(path) in load["summary"]


@both
def test_two_extensions_that_import_each_other(lab, cpython):
    """sys.modules has neither of them: each import begins anew, until Python's stack is full."""
    path = extension(cpython, WAYS, "plug_17", lab.site, HOW="ATTR", NEEDS="plug_19")
    extension(cpython, WAYS, "plug_19", lab.site, HOW="ATTR", NEEDS="plug_17")
    run = ended(lab, [cpython.path, lab.write("main.py", "import plug_17\n")], 1,
                says="RecursionError")
    for more in ((), ("--no-host",)):
        status, report = lab.analyze(run.trace, *more)
        finding, = report["findings"]
        assert (finding["cause"], finding["outcome"], status) == ("circular-import", "fatal", 1)
        assert finding["module"] in ("plug_17", "plug_19"), listed(report)
        assert finding["path"] == str(path).replace("plug_17", finding["module"])
        assert re.search("the cycle: (plug_17 -> plug_19 -> plug_17|plug_19 -> plug_17 -> plug_19)$",
                         told(finding), re.M), told(finding)
        assert not any("install" in (f["command"] or "") for f in finding["fixes"])


@both
@pytest.mark.parametrize("shape", ["top", "chained", "module"])
def test_extension_that_the_program_loads_itself(lab, cpython, shape):
    """spec_from_file_location(): no import statement asks for it."""
    path = extension(cpython, WAYS, "own_17", lab.dir, HOW="RAISE")
    load = "import importlib.util as u\nspec = u.spec_from_file_location('own_17', %r)\n" \
           "def load():\n    u.module_from_spec(spec)\n" % str(path)
    if shape == "chained":
        load += "try:\n    load()\nexcept ValueError as err:\n" \
                "    raise RuntimeError('no plugin') from err\n"
    else:
        load += "load()\n"
    if shape == "module":
        lab.module("loader_17", load)
        load = "import loader_17\n"
    blamed(lab, [cpython.path, lab.write("main.py", load)], "own_17", "init-failed", path,
           ["the table is damaged"], error="ValueError")


@both
def test_wrong_name_for_the_init_function(lab, cpython):
    path = extension(cpython, WAYS, "own_17", lab.dir, HOW="RAISE")
    code = "import importlib.util as u\nspec = u.spec_from_file_location('other_17', %r)\n" \
           "u.module_from_spec(spec)\n" % str(path)
    blamed(lab, [cpython.path, lab.write("main.py", code)], "other_17", "missing-init-function",
           path, ["PyInit_other_17"])


@both
@pytest.mark.parametrize("how, name, asks", [("NAME", "secrets", "randbits"),
                                             ("ATTR", "queue", "SimpleQueue")])
def test_file_that_hides_a_standard_module(lab, cpython, how, name, asks):
    """Cython's code does not say of which module it asked a name."""
    extension(cpython, WAYS, "plug_17", lab.site, HOW=how, NEEDS=name, ASKS=asks)
    hiding = lab.write(name + ".py", "x = 1\n")
    main = lab.write("main.py", "import plug_17\n")
    finding = blamed(lab, [cpython.path, main], name, "shadowed", hiding,
                     ["took the name of the standard library's module " + name, "PyInit of "])
    assert finding["fixes"][0]["command"].startswith("mv ")
    assert not any("install" in (f["command"] or "") for f in finding["fixes"])
    lab.execute(["/bin/mv", hiding, str(hiding) + ".old"], lab.env())
    blameless(lab, [cpython.path, main])


@both
def test_name_that_no_standard_module_has(lab, cpython):
    """The program has a module of a standard name, and it is not at fault: the real one has no such name either."""
    path = extension(cpython, WAYS, "plug_17", lab.site, HOW="NAME", NEEDS="base_17", ASKS="rand_17")
    lab.module("base_17", "import secrets\n")
    lab.write("secrets.py", "x = 1\n")
    run = ended(lab, [cpython.path, lab.write("main.py", "import secrets, plug_17\n")], 1)
    answered(lab, run, "plug_17", "init-failed", path, ["cannot import name rand_17"])


@both
def test_init_function_of_a_name_that_is_not_cs(lab, cpython):
    """PEP 489: a '-' is written '_', and what is not ASCII in punycode."""
    names = {"na\u00efve_17": "PyInitU_nave_17_pza", "my-ext_17": "PyInit_my_ext_17"}
    built = extension(cpython, WAYS, "other_17", lab.dir, HOW="RAISE")
    for name, wanted in names.items():
        path = lab.site / (name + cpython.suffix)
        path.write_bytes(built.read_bytes())
        code = "import importlib\nimportlib.import_module(%s)\n" % ascii(name)
        finding = blamed(lab, [cpython.path, lab.write("main.py", code)], name,
                         "missing-init-function", path, ["has no function " + wanted],
                         bare_says=wanted)
        assert "PyInit_other_17" in told(finding)


@both
def test_second_attempt_finds_its_own_types(lab, cpython):
    """pybind11 keeps what the first attempt registered, though that one failed."""
    extension(cpython, WAYS, "bound_17", lab.site, HOW="REGISTER", NEEDS="absent_17")
    code = "try:\n    import bound_17\nexcept ImportError:\n    pass\nimport bound_17\n"
    blamed(lab, [cpython.path, lab.write("main.py", code)], "absent_17", "not-installed", None,
           ["bound_17"], bare_says="is already registered", error="ModuleNotFoundError")


@both
def test_package_without_its_native_part(lab, cpython):
    """CPython says "most likely due to a circular import"."""
    lab.module("pkg_17/__init__", "from . import core\nVALUE = 17\n")
    core = lab.module("pkg_17/core", "try:\n    from . import _native\nexcept ImportError as err:\n"
                      "    raise ImportError('do not import pkg_17 from its source directory') from err\n")
    finding = blamed(lab, [cpython.path, lab.write("main.py", "import pkg_17\n")], "pkg_17._native",
                     "not-installed", None, error="ModuleNotFoundError")
    assert finding["importers"][-1]["file"] == str(core)
    core.write_text("from . import VALUE\n")
    run = ended(lab, [cpython.path, lab.write("circle.py", "import pkg_17\n")], 1)
    answered(lab, run, "pkg_17", "circular-import", str(lab.site / "pkg_17/__init__.py"))


@both
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_init_that_failed_in_a_worker(lab, cpython, method):
    """The exception is sent to the parent, which ends by it; the worker does not mind, and tries again."""
    path = extension(cpython, WAYS, "gpu_17", lab.site, HOW="RAISE")
    script = lab.write("main.py", "import multiprocessing\n\ndef work(_):\n    import gpu_17\n\n"
                       "if __name__ == '__main__':\n"
                       "    with multiprocessing.get_context(%r).Pool(2) as pool:\n"
                       "        pool.map(work, [17, 19, 23], chunksize=1)\n" % method)
    run = lab.recorded([cpython.path, script])
    assert run.returncode == 1, run.text
    answered(lab, run, "gpu_17", "init-failed", path, error="ValueError")
    assert len(lab.analyze(run.trace)[1]["findings"]) == 1, "it was told of the workers, too"


# Who raised it, and what is said of that. The code of mod_17 runs in the first two alone.
WHO = {
    "itself": ("raise ValueError('too bad')", "The code of mod_17 raised ValueError: too bad"),
    "its-callee": ("import json; json.loads('{')", "The import of mod_17 was ended by json.decoder.JSONDecodeError, "
                   "which raw_decode() of json.decoder raised"),
    "compiler": ("def f(:", "mod_17.py could not be compiled: SyntaxError"),
    "null-byte": ("x = 17\0", "mod_17.py could not be compiled: "),
    "finder": ("class F:\n    def find_spec(self, name, path=None, target=None):\n        if name == 'mod_17':\n"
               "            raise TimeoutError('no answer')\nimport sys\nsys.meta_path.insert(0, F())\n",
               "The import of mod_17 was ended by TimeoutError, which find_spec() of __main__ raised: no answer"),
    "version": (b"\x55\x0d\r\n", "mod_17.pyc was compiled by Python 3.8, and is of no use to this CPython"),
    "no-version": (b"junk", "mod_17.pyc is no compiled Python file: it begins with b'junk'"),
}
CAUSES = {"version": "version-mismatch", "no-version": "corrupt-file"}


@both
@pytest.mark.parametrize("who", WHO)
def test_who_raised_it(lab, cpython, who):
    """That code of the module ran is said only where the traceback shows it."""
    code, says = WHO[who]
    if isinstance(code, bytes):
        (lab.site / "mod_17.pyc").write_bytes(code + bytes(60))
    elif who != "finder":
        lab.write(lab.site / "mod_17.py", code)
    run = lab.recorded([cpython.path, lab.write("main.py", (code if who == "finder" else "") + "import mod_17\n")])
    assert run.returncode == 1, run.text
    for more in ((), ("--no-host",)):
        status, report = lab.analyze(run.trace, *more)
        finding, = report["findings"]
        assert (finding["module"], finding["outcome"], status) == ("mod_17", "fatal", 1), listed(report)
        assert finding["cause"] == CAUSES.get(who, "unknown")
        assert says in finding["summary"], finding["summary"]
        assert who == "itself" or "The code of mod_17" not in told(finding)
        assert who != "version" or not commands(finding), finding["fixes"]


# -- versions -------------------------------------------------------------------------------
@both
def test_numpy_of_another_generation(lab, cpython):
    """import_array() asks for numpy 2's layout first: that this is missing is no failure."""
    for name in ("numpy/__init__", "numpy/core/__init__", "numpy/core/_multiarray_umath"):
        lab.module(name, "")
    lab.write(lab.site / "numpy-1.24.2.dist-info/METADATA", "Name: numpy\nVersion: 1.24.2\n")
    path = extension(cpython, WAYS, "user_17", lab.site, HOW="NUMPY")
    finding = blamed(lab, [cpython.path, lab.write("main.py", "import user_17\n")], "user_17",
                     "version-mismatch", path, ["0x12", str(lab.site / "numpy/__init__.py")],
                     error="ImportError")
    assert "1.24.2" in told(finding)


DEMANDS = {
    "numba": "Numba needs NumPy 1.24 or less. Got NumPy 1.26.",
    "pandas": "Pandas requires version '1.3.2' or newer of 'bottleneck' (version '1.2.0' "
              "currently installed).",
    "transformers": "tokenizers>=0.14,<0.15 is required for a normal functioning of this module, "
                    "but found tokenizers==0.19.1.",
    "urllib3": "urllib3 v2.0 only supports OpenSSL 1.1.1+, currently the 'ssl' module is compiled "
               "with 'OpenSSL 1.0.2k'",
    "sqlite": "Your system has an unsupported version of sqlite3. It needs sqlite3 >= 3.35.0.",
    "python": "This package needs Python >= 3.99",
    "cython": "base_17 does not export expected C function run_17",
}
OTHERS = ["no device answered at 10.1.2.3", "config.toml: the key 'version' is required",
          "1.5 seconds needed, 2.5 seconds passed"]


@both
def test_package_that_refuses_a_version(lab, cpython):
    """Its own words are all that there is; each says it differently.  Other errors have numbers, too."""
    names = {}
    for i, text in enumerate([*DEMANDS.values(), *OTHERS]):
        names["core_%d" % i] = "version-mismatch" if i < len(DEMANDS) else "unknown"
        lab.module("pkg_17/core_%d" % i, "raise RuntimeError(%r)\n" % text)
    lab.module("pkg_17/__init__", "")
    code = "import importlib\nfor i in range(%d):\n    try:\n" \
           "        importlib.import_module('pkg_17.core_%%d' %% i)\n" \
           "    except RuntimeError:\n        pass\n" % len(names)
    run = ended(lab, [cpython.path, lab.write("main.py", code)], 0)
    for more in ((), ("--no-host",)):
        status, report = lab.analyze(run.trace, "--all", *more)
        got = {f["module"].rpartition(".")[2]: f["cause"] for f in report["findings"]
               if (f["module"] or "").startswith("pkg_17.")}
        assert got == names
        assert status == 0
    fatal(lab, [cpython.path, lab.write("one.py", "import pkg_17.core_0\n")], "pkg_17.core_0",
          "version-mismatch", error=("RuntimeError", "Numba needs NumPy"))


@both
def test_module_that_another_does_not_fit(lab, cpython):
    """It is a part of the same package; the text names it."""
    lab.module("pkg_17/__init__", "")
    lab.module("pkg_17/base_17", "")
    lab.module("pkg_17/core", "import pkg_17.base_17\nraise ImportError("
               "'pkg_17.base_17 does not export expected C function run_17')\n")
    finding, _ = fatal(lab, [cpython.path, lab.write("main.py", "import pkg_17.core\n")],
                       "pkg_17.core", "version-mismatch", error=("ImportError", "does not export"))
    assert "pkg_17.base_17" in finding["summary"]


@both
def test_error_raised_from_another(lab, cpython):
    """An import hook that cannot build a project again (meson-python): the reason is in the cause."""
    lab.module("pkg_17", "try:\n    open('/nonexistent/ninja')\nexcept OSError as e:\n"
               "    raise ImportError('re-building pkg_17 failed') from e\n")
    finding, _ = fatal(lab, [cpython.path, lab.write("main.py", "import pkg_17\n")], "pkg_17",
                       "unknown", error=("ImportError", "re-building"))
    assert "/nonexistent/ninja" in told(finding)


@both
@pytest.mark.parametrize("message, module, cause", [
    ("pkg_17 needs Python 9.17", "pkg_17", "version-mismatch"),
    ("the table is damaged", "pkg_17", "unknown"),
    ("no way to go on without probe_17", "probe_17", "blocked")],
    ids=["version", "other", "named"])
def test_error_after_a_module_was_blocked(lab, cpython, message, module, cause):
    """defusedxml blocks _elementtree for the length of one import, and catches what that gives."""
    path = lab.module("pkg_17", "import sys\nsys.modules['probe_17'] = None\ntry:\n"
                      "    import probe_17\nexcept ImportError:\n    pass\n"
                      "del sys.modules['probe_17']\nraise ImportError(%r)\n" % message)
    run = ended(lab, [cpython.path, lab.write("main.py", "import pkg_17\n")], 1, says=message)
    finding = answered(lab, run, module, cause, path if module == "pkg_17" else None)
    probe = [f for f in lab.analyze(run.trace, "--all")[1]["findings"] if f["module"] == "probe_17"]
    assert [f["cause"] for f in probe] == ["blocked"]
    assert (finding["surfaced"] is None) == (module == "pkg_17")


# -- the end of the process -----------------------------------------------------------------
def test_exit_in_the_init_function(lab, debian):
    """Nothing is printed, nothing is raised: the program is just gone."""
    path = extension(debian, WAYS, "quits_17", lab.site, HOW="EXIT")
    blamed(lab, [debian.path, lab.write("main.py", "import quits_17\n")], "quits_17", "unknown",
           path, ["exit status 3"], returncode=3)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="a trap is SIGILL on x86-64")
@both
def test_illegal_instruction_in_a_child(lab, cpython):
    """Its parent was told the signal."""
    path = extension(cpython, WAYS, "fast_17", lab.site, HOW="ILLEGAL")
    code = "import subprocess, sys\nsys.exit(subprocess.call([sys.executable, '-c', 'import fast_17']) != %d)\n"
    finding = blamed(lab, [cpython.path, lab.write("main.py", code % -signal.SIGILL)], "fast_17",
                     "illegal-instruction", path, ["SIGILL"], returncode=0)
    assert finding["fixes"][0]["command"] is None


# -- runners of tests -----------------------------------------------------------------------
@both
def test_unittest_that_cannot_import_a_test(lab, cpython):
    """It catches the error, and tells it among the results (with times: no two runs print the same)."""
    lab.write("test_17.py", "import absent_17\n")
    run = lab.recorded([cpython.path, "-m", "unittest", "discover"])
    assert run.returncode == 1, run.text
    finding = answered(lab, run, "absent_17", "not-installed", None, ["test_17"],
                       error="ModuleNotFoundError")
    assert finding["importers"][-1]["file"] == str(lab.dir / "test_17.py")


def test_pytest_that_cannot_import_a_test(lab, debian):
    if lab.bare([debian.path, "-c", "import pytest"]).returncode:
        pytest.skip("no pytest for " + debian.id)
    lab.write("test_19.py", "def test_19():\n    pass\n")
    where = lab.write("test_17.py", "import absent_17\n")
    run = lab.recorded([debian.path, "-m", "pytest", "-q", "-p", "no:cacheprovider"])
    assert run.returncode in (1, 2), run.text
    finding = answered(lab, run, "absent_17", "not-installed", None, error="ModuleNotFoundError")
    assert finding["importers"][-1]["file"] == str(where)
