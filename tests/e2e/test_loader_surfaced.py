# SPDX-License-Identifier: GPL-2.0-or-later
"""What the user sees is another error: a text of the package's own, `cannot import name`,
SystemError, a framework's.  The finding is the root, and `surfaced` is what was seen."""
import pytest

import shapes
from elf_edit import EM_AARCH64, Elf
from loader_cases import built_library, explain, extension

DEP = "libdep17.so.1"
GONE = ("ImportError", r"^libdep17\.so\.1: cannot open shared object file")


def roots(lab, python, where, name="_native"):
    """A native part whose library is missing."""
    return extension(python, name, where, built_library(DEP))


# The package's __init__, and what the program then does.
TALES = {
    "please install": ("try:\n    from . import _native\nexcept ImportError:\n"
                       "    raise ImportError('no C part: please install libdep-dev') from None\n",
                       "import pkg_17", "ImportError", "please install libdep-dev"),
    "many lines": ("try:\n    from . import _native\nexcept ImportError as err:\n"
                   "    msg = '''\n\nIMPORTANT: PLEASE READ THIS FOR ADVICE\n\n"
                   "  * Original error: %s\n'''\n"
                   "    raise ImportError(msg % err) from err\n",
                   "import pkg_17", "ImportError", "IMPORTANT: PLEASE READ THIS FOR ADVICE"),
    "cannot import name": ("try:\n    from ._native import fast\nexcept ImportError:\n    pass\n",
                           "from pkg_17 import fast", "ImportError", "cannot import name 'fast'"),
    "RuntimeError": ("class BackendError(RuntimeError):\n    pass\n\n\ntry:\n    from . import _native\n"
                     "except ImportError as err:\n    raise BackendError('no usable backend: %s' % err)\n",
                     "import pkg_17", "pkg_17.BackendError", "no usable backend"),
    "several tried": ("for name in ('_other', '_native'):\n    try:\n"
                      "        backend = __import__('pkg_17.' + name)\n        break\n"
                      "    except ImportError:\n        pass\nelse:\n"
                      "    raise ImportError('none of the backends could be imported')\n",
                      "import pkg_17", "ImportError", "none of the backends could be imported"),
    "flag": ("try:\n    from . import _native\n    have = True\nexcept ImportError:\n"
             "    have = False\n\n\ndef go():\n    if not have:\n"
             "        raise RuntimeError('nothing to go with')\n",
             "import pkg_17; pkg_17.go()", "RuntimeError", "nothing to go with"),
    "helper": ("import importlib\n\n\ndef attempt(name):\n    try:\n"
               "        return importlib.import_module('pkg_17.' + name)\n"
               "    except ImportError:\n        return None\n\n\n"
               "way = attempt('_other') or attempt('_native')\nif way is None:\n"
               "    raise ImportError('no way to do it')\n",
               "import pkg_17", "ImportError", "no way to do it"),
    "first that works": ("import importlib\n\n\ndef choose():\n    for name in ('_other', '_native'):\n"
                         "        try:\n            return importlib.import_module('pkg_17.' + name)\n"
                         "        except ImportError:\n            pass\n"
                         "    raise ImportError('none is left')\n\n\nway = choose()\n",
                         "import pkg_17", "ImportError", "none is left"),
    "set under a flag": ("try:\n    from . import _native\n    have = True\nexcept ImportError:\n"
                         "    have = False\nif have:\n    def fast():\n        pass\n",
                         "from pkg_17 import fast", "ImportError", "cannot import name 'fast'"),
}


@pytest.mark.parametrize("tale", list(TALES))
def test_package_tells_it_otherwise(lab, debian, tale):
    init, then, kind, message = TALES[tale]
    path = roots(lab, debian, lab.site / "pkg_17")
    lab.module("pkg_17/__init__", init)
    script = lab.write("main.py", then + "\n")
    finding = explain(lab, debian, shapes.Program([script], (None, None)), importer=False,
                      cause="missing-shared-library", module="pkg_17._native", library=DEP,
                      needed_by=path, error=GONE, bare_says=message.split("'")[0])
    assert finding["surfaced"]["type"] == kind
    assert message in finding["surfaced"]["message"]
    files = [i["file"] for i in finding["importers"]]
    assert str(lab.site / "pkg_17/__init__.py") in files and str(script) in files, files


# A part that was done without, and then an error that has nothing to do with it.
QUIET = "try:\n    from . import _native\nexcept ImportError:\n    _native = None\n"
OTHERWISE = {
    "its own condition": (QUIET + "import os\n\nif not os.environ.get('TOKEN_17'):\n"
                          "    raise ImportError('no token was given')\n", "import pkg_17",
                          "pkg_17", "no token was given"),
    "names the package": (QUIET, "import pkg_17.api", "pkg_17.api",
                          "pkg_17.api needs a licence file"),
    "another name": (QUIET, "from pkg_17 import Session", "pkg_17", "cannot import name 'Session'"),
}


@pytest.mark.parametrize("tale", list(OTHERWISE))
def test_error_that_is_unrelated(lab, debian, tale):
    init, then, module, message = OTHERWISE[tale]
    roots(lab, debian, lab.site / "pkg_17")
    lab.module("pkg_17/__init__", init)
    lab.module("pkg_17/api", "raise ImportError('pkg_17.api needs a licence file')\n")
    argv = [debian.path, lab.write("main.py", then + "\n")]
    bare = lab.bare(argv)
    assert message in bare.last_error()[1]
    _, report = lab.analyze(lab.traced(argv, bare=bare).trace)
    fatal, handled = report["findings"]
    assert (fatal["outcome"], fatal["module"]) == ("fatal", module)
    assert fatal["cause"] in ("unknown", "missing-attribute")
    assert message in fatal["error"]["message"]
    assert (handled["outcome"], handled["module"]) == ("handled", "pkg_17._native")
    assert handled["cause"] == "missing-shared-library"


# The program dies of it much later, in an error that is no import's.
LATER = {
    "attribute": ("try:\n    from . import _native\nexcept ImportError:\n    _native = None\n",
                  "import pkg_17; pkg_17._native.fast()", "AttributeError",
                  "'NoneType' object has no attribute 'fast'"),
    "not defined": ("try:\n    from ._native import fast\nexcept ImportError:\n    pass\n\n\n"
                    "def go():\n    return fast()\n",
                    "import pkg_17; pkg_17.go()", "NameError", "name 'fast' is not defined"),
    "deferred": ("error = None\ntry:\n    from . import _native\nexcept ImportError as err:\n"
                 "    error = str(err)\n\n\ndef go():\n    raise RuntimeError('cannot go: ' + error)\n",
                 "import pkg_17\npkg_17.go()", "RuntimeError", "cannot go: libdep17.so.1"),
}


@pytest.mark.parametrize("tale", list(LATER))
def test_package_goes_on_for_a_while(lab, debian, tale):
    """A silent degradation that ends the program: listed, whether it is tied to the end or not."""
    init, then, kind, message = LATER[tale]
    path = roots(lab, debian, lab.site / "pkg_17")
    lab.module("pkg_17/__init__", init)
    argv = [debian.path, lab.write("main.py", then + "\n")]
    bare = lab.bare(argv)
    seen = bare.last_error()
    assert seen[0] == kind and message in seen[1]
    run = lab.traced(argv, bare=bare)
    _, report = lab.analyze(run.trace)
    finding, = report["findings"]
    assert (finding["module"], finding["cause"]) == ("pkg_17._native", "missing-shared-library")
    assert (finding["library"]["name"], finding["library"]["needed_by"]) == (DEP, str(path))
    if finding["outcome"] == "fatal":
        assert finding["surfaced"]["type"] == kind


@pytest.mark.parametrize("says", [None, "the backend cannot be loaded"])
def test_init_function_tells_it_otherwise(lab, python, says):
    """From C: the error is dropped (SystemError), or put in other words."""
    path = roots(lab, python, lab.site, "native_17")
    how = {"SAYS": '"%s"' % says} if says else {}
    outer = extension(python, "outer_17", lab.site, source="init-failed/swallowing.c",
                      NEEDS="native_17", **how)
    finding = explain(lab, python, shapes.script(lab, "import outer_17"), module="native_17",
                      cause="missing-shared-library", library=DEP, needed_by=path, error=GONE)
    assert finding["surfaced"]["type"] == ("ImportError" if says else "SystemError")
    assert str(outer) in str(finding["native_stack"]) + str(finding["evidence"])


def test_framework_loads_what_settings_name(lab, debian):
    """A framework imports by name, and answers in its own words and class."""
    path = roots(lab, debian, lab.site / "driver_17")
    lab.module("driver_17/__init__", "from . import _native\n")
    lab.module("frame_17/__init__", "")
    lab.module("frame_17/db",
               "import importlib\n\n\nclass ImproperlyConfigured(Exception):\n    pass\n\n\n"
               "def connect(name):\n    try:\n        return importlib.import_module(name)\n"
               "    except ImportError as err:\n        raise ImproperlyConfigured(\n"
               "            'Error loading %s module: %s' % (name, err)) from err\n")
    script = lab.write("manage.py", "from frame_17 import db\n\ndb.connect('driver_17')\n")
    finding = explain(lab, debian, shapes.Program([script], (None, None)), importer=False,
                      cause="missing-shared-library", module="driver_17._native", library=DEP,
                      needed_by=path, error=GONE)
    assert finding["surfaced"]["type"] == "frame_17.db.ImproperlyConfigured"


def test_two_roots(lab, debian):
    """Two failures that were swallowed: the one that the visible error comes from is the first."""
    roots(lab, debian, lab.site / "quiet_17")
    lab.module("quiet_17/__init__",
               "try:\n    from . import _native\nexcept ImportError:\n    pass\n")
    path = extension(debian, "_native", lab.site / "loud_17", source="abi-tag-mismatch/native.c")
    Elf(path).machine(EM_AARCH64).save()
    lab.module("loud_17/__init__",
               "try:\n    from ._native import go\nexcept ImportError:\n    pass\n")
    script = lab.write("main.py", "import quiet_17\nfrom loud_17 import go\n")
    finding = explain(lab, debian, shapes.Program([script], (None, None)), importer=False,
                      cause="wrong-elf-machine", module="loud_17._native", path=path,
                      error=("ImportError", "cannot open shared object file"))
    quiet, = [f for f in finding["_report"]["findings"] if f["module"] == "quiet_17._native"]
    assert (quiet["cause"], quiet["outcome"]) == ("missing-shared-library", "handled")


def test_star_import(lab, debian):
    """A package that goes on without: only who asks for the name is told."""
    path = roots(lab, debian, lab.site / "pkg_17")
    lab.module("pkg_17/fast", "from ._native import fast\n")
    lab.module("pkg_17/__init__", "try:\n    from .fast import *\n    have = True\n"
               "except ImportError:\n    have = False\n")
    script = lab.write("main.py", "import pkg_17\nprint(pkg_17.have)\n")
    program = shapes.Program([script], (str(lab.site / "pkg_17/fast.py"), 1), outcome="handled")
    explain(lab, debian, program, cause="missing-shared-library", module="pkg_17._native",
            library=DEP,
            needed_by=path)
