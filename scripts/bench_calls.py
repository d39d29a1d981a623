# SPDX-License-Identifier: GPL-2.0-or-later
"""bench --only dlsym, dlopen, failed: what one call costs, of programs that do nothing else.

Each program times its own loop and prints the seconds that a call took, by the clock and of the CPU; start-up
belongs to other rows.
"""
import statistics
import subprocess

NAMES = 100
LOOKUPS = 2000000
LOADS = 20000
FAILED = 200

TIMER = """
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static double now(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double start, cpu;

static void begin(void)
{
	start = now(CLOCK_MONOTONIC);
	cpu = now(CLOCK_PROCESS_CPUTIME_ID);
}

static void end(double calls)
{
	printf("%.12f %.12f\\n", (now(CLOCK_MONOTONIC) - start) / calls,
	       (now(CLOCK_PROCESS_CPUTIME_ID) - cpu) / calls);
}
"""

DLSYM = TIMER + """
int main(int argc, char **argv)
{
	void *handle = dlopen(argv[1], RTLD_NOW);
	long rounds = atol(argv[2]) / %d;
	static char names[%d][16];

	if (argc < 3 || !handle)
		return 1;
	for (int i = 0; i < %d; i++)
		snprintf(names[i], sizeof(names[i]), "symbol_%%d", i);
	begin();
	for (long n = 0; n < rounds; n++)
		for (int i = 0; i < %d; i++)
			if (!dlsym(handle, names[i]))
				return 2;
	end((double)rounds * %d);
	return 0;
}
""" % ((NAMES,) * 5)

DLOPEN = TIMER + """
int main(int argc, char **argv)
{
	long count = argc > 2 ? atol(argv[2]) : 0;

	begin();
	for (long n = 0; n < count; n++) {
		void *handle = dlopen(argv[1], RTLD_NOW);

		if (!handle || dlclose(handle))
			return 1;
	}
	end((double)count);
	return 0;
}
"""

# Optional modules, each of another name, from a function three calls deep.
FAILED_IMPORTS = """
import time
def c(number):
    try:
        __import__("bench_has_no_such_module_%%d" %% number)
    except ImportError:
        pass
def b(number): c(number)
def a(number): b(number)
a(-1)
start, cpu = time.perf_counter(), time.process_time()
for number in range(%d): a(number)
print((time.perf_counter() - start) / %d, (time.process_time() - cpu) / %d)
""" % ((FAILED,) * 3)


def compile_c(target, source, *flags):
    subprocess.run(["cc", "-O2", "-x", "c", "-", "-o", str(target), *flags], input=source.encode(), check=True)
    return str(target)


def seconds(bench, argv, pairs):
    """arm -> seconds of a call, by the clock and of the CPU, of each round."""
    out = bench.work / "out"

    def measure(env):
        bench.run(argv, env, str(out))
        wall, cpu = out.read_text().split()
        return float(wall), float(cpu)

    return bench.rounds(bench.arms(measure), pairs)


def report(bench, row, times, factor, compare):
    def median(arm, which):
        return statistics.median(compare(t[which], b[which]) for t, b in zip(times[arm], times["bare"]))

    extra = {"cpu": median("traced", 1), "bare": factor * statistics.median(b[0] for b in times["bare"])}
    if "empty" in times:
        extra["empty"] = median("empty", 0)
    bench.report(row, median("traced", 0), len(times["bare"]), extra)


def added(bench, row, times, factor):
    report(bench, row, times, factor, lambda t, b: factor * (t - b))


def dlsym(bench, pairs):
    functions = "".join("int symbol_%d(void) { return %d; }\n" % (i, i) for i in range(NAMES))
    library = compile_c(bench.work / "libsymbols.so", functions, "-shared", "-fPIC")
    program = compile_c(bench.work / "dlsym", DLSYM, "-ldl")
    added(bench, "dlsym", seconds(bench, [program, library, str(LOOKUPS)], pairs), 1e9)


def dlopen(bench, pairs):
    program = compile_c(bench.work / "dlopen", DLOPEN, "-ldl")
    times = seconds(bench, [program, "libz.so.1", str(LOADS)], pairs)
    report(bench, "dlopen", times, 1e6, lambda t, b: t / b)


def failed(bench, pairs):
    added(bench, "failed", seconds(bench, [bench.args.python, "-c", FAILED_IMPORTS], pairs), 1e6)
