# SPDX-License-Identifier: GPL-2.0-or-later
"""/proc/self/maps, environ and the exported symbols are all that there is of us in a process."""
import ctypes
import os
import subprocess

import pytest

WORK = """
import os, sys
try:
    import gone_17
except ImportError:
    pass
import colorsys, ctypes
try:
    ctypes.CDLL("libgone_17.so")
except OSError:
    pass
"""

LOOKS = {
    # Names and times that differ from run to run are left out.
    "threads": "print(len(os.listdir('/proc/self/task')), open('/proc/self/stat').read().rpartition(')')[2].split()[17])",
    "descriptors": "print(sorted(os.listdir('/proc/self/fd'), key=int))",
    "signals": "print([l for l in open('/proc/self/status') if l.startswith(('Sig', 'Shd'))][1:])",
    "limits": "print(open('/proc/self/limits').read())",
    "status": "print([l for l in open('/proc/self/status') if l.startswith(('Umask', 'Seccomp', 'NoNewPrivs', 'Cap', "
              "'Groups', 'TracerPid', 'CoreDumping'))])",
    "timers": "print(open('/proc/self/timers').read(), os.path.exists('/proc/self/timers') and "
              "open('/proc/self/timerslack_ns').read())",
    "modules": "print(sorted(sys.modules), sorted(sys.path_importer_cache), len(sys.meta_path), sys.path_hooks.__len__())",
    "hooks": "import gc, weakref; print(gc.callbacks, gc.isenabled(), sys.getprofile(), sys.gettrace(), "
             "getattr(sys, 'getswitchinterval')(), sys.getrecursionlimit())",
    "environment": "print(sorted(k for k in os.environ if k not in ('LD_PRELOAD', 'IMPTRACE_OUTPUT', 'IMPTRACE_RUN')))",
    "heap": "print(os.stat('.').st_nlink, sorted(os.listdir('.')))",
    "children": "print(open('/proc/self/task/%d/children' % os.getpid()).read())",
    "scheduling": "print(os.sched_getaffinity(0), os.getpriority(os.PRIO_PROCESS, 0), os.getpgrp() > 0)",
    "locks": "print([l for l in open('/proc/locks') if ' %d ' % os.getpid() in l])",
}


@pytest.mark.parametrize("what", sorted(LOOKS))
def test_same(lab, any_python, what):
    lab.traced([any_python.path, lab.write("main.py", WORK + "try:\n    %s\nexcept FileNotFoundError:\n    print('none')\n"
                                           % LOOKS[what])])


AT_EXIT = WORK + """
import atexit, threading, time, weakref, ctypes
log = []
libc = ctypes.CDLL(None)
KEEP = ctypes.CFUNCTYPE(None)(lambda: os.write(1, b"libc atexit\\n"))
class Thing:
    def __del__(self, write=os.write):
        write(1, b"del\\n")
thing = Thing()
final = weakref.finalize(thing, os.write, 1, b"finalize\\n")
for i in range(3):
    atexit.register(os.write, 1, b"atexit %d\\n" % i)
threading.Thread(target=lambda: (time.sleep(0.3), os.write(1, b"thread\\n"))).start()
sys.stdout.write("buffered\\n")
"""


def test_order_at_the_end(lab, any_python):
    run = lab.traced([any_python.path, lab.write("main.py", AT_EXIT)])
    assert run.stdout.count(b"\n") == 7


def test_handlers_of_libc_run_before_ours(lab):
    """What a C program registers runs in its order, and what it does there is recorded."""
    source = lab.write("end.c", '#include <stdio.h>\n#include <stdlib.h>\n#include <dlfcn.h>\n'
                       'static void one(void) { puts("one"); dlopen("libgone_one.so", 1); }\n'
                       'static void two(int s, void *a) { printf("two %d\\n", s); dlopen("libgone_two.so", 1); }\n'
                       '__attribute__((destructor)) static void three(void) { puts("three"); '
                       'dlopen("libgone_three.so", 1); }\n'
                       'int main(void) { atexit(one); on_exit(two, 0); return 17; }\n')
    program = lab.dir / "end"
    subprocess.run(["gcc", "-D_GNU_SOURCE", "-o", str(program), str(source), "-ldl"], check=True)
    run = lab.traced([program])
    assert (run.returncode, run.stdout) == (17, b"two 17\none\nthree\n")
    asked = [e["text"] for e in lab.dump(run.trace) if e["kind"] == "dlopen_enter"]
    assert asked == ["libgone_two.so", "libgone_one.so", "libgone_three.so"]


BEHIND = """
#include <elf.h>
#include <stdio.h>
#include <sys/auxv.h>
extern char **environ;
int main(int argc, char **argv, char **envp)
{
	Elf64_auxv_t *at;

	printf("%d\\n", envp == environ);
	while (*envp)
		envp++;
	for (at = (void *)(envp + 1); at->a_type != AT_NULL; at++)
		printf("%lu %d\\n", at->a_type, getauxval(at->a_type) == at->a_un.a_val);
	return 0;
}
"""


@pytest.mark.parametrize("variables", [3, 1009])
def test_auxiliary_vector_follows_the_environment(lab, variables):
    """Programs that know no getauxval() look for it there."""
    program = lab.dir / "behind"
    source = lab.write("behind.c", BEHIND)
    subprocess.run(["gcc", "-o", str(program), str(source)], check=True)
    env = {"VARIABLE_%d" % i: "value" for i in range(variables)}
    run = lab.traced([program], env=env)
    assert b"\n6 1\n" in run.stdout  # AT_PAGESZ


def test_maps_and_symbols(lab, build, debian):
    """One object is ours, and it gives the program no more names than it says."""
    code = WORK + "print(sorted({l.split()[-1] for l in open('/proc/self/maps') if '/' in l}))"
    bare = lab.bare([debian.path, "-c", code])
    run = lab.recorded([debian.path, "-c", code])
    more = set(eval(run.stdout)) - set(eval(bare.stdout))
    assert more == {str(build.preload)}
    exported = set(subprocess.check_output(["nm", "-D", "--defined-only", str(build.preload)], text=True).split()[2::3])
    assert "dlopen" in exported and not {n for n in exported if n.startswith(("imp_", "ZSTD_", "XXH", "FSE_", "HUF_"))}
    # Each of those that libc has, but for the doors to libimptrace-audit.so and to who attaches.
    libc = ctypes.CDLL(None)
    assert {n for n in exported if not n.startswith("imptrace_") and not hasattr(libc, n)} == set()
