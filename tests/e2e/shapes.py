# SPDX-License-Identifier: GPL-2.0-or-later
"""The ways in which a program may come to an import: each makes a real program that does it.

A shape takes the lab and the statement, and gives a Program: its arguments, and the file and
line that asked.  The modules themselves lie on PYTHONPATH (lab.site), so every shape sees them.
"""
import dataclasses
import zipfile


@dataclasses.dataclass
class Program:
    args: list				# after the interpreter
    importer: tuple			# (file, line) as in the code object
    env: dict = None			# None: the lab's own
    cwd: str = None
    wrapped: tuple = None		# the error that the program raises in its stead
    outcome: str = "fatal"

    def argv(self, python):
        return [python.path if hasattr(python, "path") else python, *self.args]


def module_of(stmt):
    return stmt.split()[1]


def script(lab, stmt):
    path = lab.write("main.py", "# a plain script\nimport sys\n\ndef main():\n"
                     "    " + stmt + "\n\nmain()\n")
    return Program([path], (str(path), 5))


def dash_c(lab, stmt):
    return Program(["-c", "x = 1\n" + stmt], ("<string>", 2))


def dash_m(lab, stmt):
    """python -m app, from a directory that holds the package."""
    lab.write("app/__init__.py")
    path = lab.write("app/__main__.py", "import sys\n\n" + stmt + "\n")
    return Program(["-m", "app"], (str(path), 3))


def import_module(lab, stmt):
    path = lab.write("loader.py", "import importlib\n\ndef load(name):\n"
                     "    return importlib.import_module(name)\n\nload(%r)\n" % module_of(stmt))
    return Program([path], (str(path), 4))


def thread(lab, stmt):
    """In a worker thread; the error is raised again in the main one."""
    path = lab.write("worker.py", "import threading\n\ncaught = []\n\ndef work():\n    try:\n"
                     "        " + stmt + "\n    except Exception as err:\n"
                     "        caught.append(err)\n\n"
                     "worker = threading.Thread(target=work)\nworker.start()\nworker.join()\n"
                     "if caught:\n    raise caught[0]\n")
    return Program([path], (str(path), 7))


def subprocess(lab, stmt):
    """In a child whose exit status the parent passes on."""
    child = lab.write("child.py", "import os\n" + stmt + "\n")
    path = lab.write("parent.py", "import subprocess, sys\n"
                     "sys.exit(subprocess.call([sys.executable, %r]))\n" % str(child))
    return Program([path], (str(child), 2))


def zipapp(lab, stmt):
    path = lab.dir / "app.pyz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("__main__.py", "import os\n\n\n" + stmt + "\n")
    return Program([path], (str(path) + "/__main__.py", 4))


def inside_package(lab, stmt):
    """Asked by a package that the program imports."""
    asker = lab.module("asking_pkg/__init__", "from . import inner\n")
    inner = lab.module("asking_pkg/inner", '"""inner"""\n\n\n' + stmt + "\n")
    assert asker.exists()
    path = lab.write("uses.py", "import asking_pkg\n")
    return Program([path], (str(inner), 4))


def reraised(lab, stmt):
    """Caught, and told to the user in other words."""
    path = lab.write("polite.py", "def main():\n    try:\n        " + stmt + "\n"
                     "    except Exception as err:\n"
                     "        raise RuntimeError('a part is needed') from err\n\nmain()\n")
    return Program([path], (str(path), 3), wrapped=("RuntimeError", "a part is needed"))


def handled(lab, stmt):
    """Caught, and the program goes on without it."""
    path = lab.write("goes_on.py", "try:\n    " + stmt + "\nexcept Exception:\n"
                     "    print('without it')\nprint('done')\n")
    return Program([path], (str(path), 2), outcome="handled")


def retried(lab, stmt):
    """Caught once, and asked for again where nobody catches it."""
    path = lab.write("retries.py", "try:\n    " + stmt + "\nexcept ImportError:\n    pass\n\n"
                     "def later():\n    " + stmt + "\n\nlater()\n")
    return Program([path], (str(path), 7))


ALL = (script, dash_c, dash_m, import_module, thread, subprocess, zipapp, inside_package,
       reraised, handled, retried)
