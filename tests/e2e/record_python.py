# SPDX-License-Identifier: GPL-2.0-or-later
"""The events of one run in CPython, as they are read by trace_decoder.py, which shares no code with `imptrace dump`."""
import trace_decoder

ABSENT, NONE, PRESENT = 0, 1, 2			# IMP_MODULE_*
NOT_FOUND, FOUND, NAMESPACE = 0, 1, 2		# IMP_SEARCH_*
DIRECTORY, FILE, NO_PATH, UNREADABLE = 1, 2, 3, 4	# IMP_PATH_*
START, SITE, RUN = 1, 2, 3			# IMP_PHASE_*
MAIN, THREAD = 1, 2				# IMP_UNCAUGHT_*
CREATE, EXEC = 1, 2				# IMP_STEP_*


class Record:
    """The events of one run."""

    def __init__(self, run):
        self.run = run
        self.events = trace_decoder.events(run.trace)

    def all(self, kind, **where):
        return [e for e in self.events if e["kind"] == kind and
                all(e.get(k) == v for k, v in where.items())]

    def one(self, kind, **where):
        found = self.all(kind, **where)
        assert len(found) == 1, (kind, where, found)
        return found[0]

    def attempt(self, name, which=-1):
        """(begin, end) of an attempt."""
        begin = self.all("import_begin", text=name)[which]
        return begin, self.one("import_end", **{"import": begin["import"],
                                                "image_ns": begin["image_ns"]})

    def snapshot(self, name, which=-1):
        return self.all("snapshot", text=name)[which]

    def entry(self, name, path):
        return next(e for e in self.snapshot(name)["entries"] if e["entry"] == str(path))

    def candidates(self, name, path):
        return {c["name"]: c for c in self.entry(name, path).get("candidates", [])}


def record(lab, python, code, *args, options=(), **kw):
    """Run a script bare and traced; returns the Record."""
    script = lab.write("script.py", code)
    return Record(lab.traced([python.path, *options, script, *args], **kw))
