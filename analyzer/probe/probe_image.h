/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_PROBE_PROBE_IMAGE_H
#define IMP_PROBE_PROBE_IMAGE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "../../bpf/bpf_event.h"
#include "probe_listing.h"
#include "probe_modules.h"
#include "probe_sink.h"
#include "probe_target.h"

/*
 * The processes that are recorded, and what goes on in their threads. From calls and system calls it is put
 * together what the preloaded recorder would have been told: attempts, their search, their outcome. What is
 * written on such grounds carries IMP_KEY_DERIVED.
 */
struct imp_probe_session;

/* An exception, as far as it can be told from outside; strings owned. */
struct imp_probe_exception {
	uint64_t id; /* 0: none */
	char *type, *message, *name, *path;
};

/* An import or a dlopen that has not come back yet. */
struct imp_probe_call {
	bool is_dlopen;
	uint64_t number; /* IMP_KEY_IMPORT or IMP_KEY_CALL */
	uint64_t begin_ns, end_ns;
	char *name; /* NULL: dlopen(NULL) */
	/* of an import */
	bool nameless;	    /* its name could not be read: @name is "?" */
	unsigned int stage; /* the part of the dotted name that is being looked for */
	struct imp_strbuf dirs; /* directories that were looked into for it, in order; a NUL behind each */
	struct imp_strbuf
		spaces; /* among them the ones that have a directory of its name: namespace portions */
	char *package;	    /* directory of its parent, which is being imported; NULL: none is */
	char *origin;	    /* the file that was found; NULL: none */
	bool inner_failed;  /* an import within it failed, and nothing has begun since */
	bool code_ran;	    /* an import within it was begun: the module was being executed */
	uint64_t extension; /* CALL of the IMP_EV_EXT_BEGIN within it; 0: none is open */
	char *extension_path;
	struct imp_probe_exception error; /* of the loader: dlopen, or no init function */
};

struct imp_probe_thread {
	struct imp_probe_thread *next;
	pid_t tid;
	struct imp_probe_call *calls; /* outermost first */
	size_t n, cap;
	struct { /* a dlopen that failed, and whose dlerror() is not known yet */
		uint64_t number, end_ns; /* 0: none */
		char *name;
	} failed;
	struct { /* the file that it opened last */
		int fd;
		char *path;
	} opened;
	struct imp_probe_exception last; /* what the last import that failed raised */
	struct imp_probe_call *waiting; /* imports that ended in @last, of which too little is known yet */
	size_t n_waiting;
	bool last_handled; /* the program went on after it */
};

struct imp_probe_object { /* mapped executable */
	uint64_t number, address, size;
	char *path;
};

struct imp_probe_image {
	struct imp_probe_image *next;
	pid_t pid, ppid;
	uint64_t image_ns, parent_image_ns;
	enum imp_start how;
	bool described; /* IMP_EV_PROCESS is written */
	bool alive;	/* /proc/PID can be looked at */
	bool exited;	/* and kept until the end: what is lost is told by it */
	bool our_root;	/* its mount namespace is ours */
	char *argv;	/* words, a NUL behind each */
	size_t argv_len;
	char *first_argv_exe; /* what is told of the command itself, which may be gone before it is looked at */
	struct imp_probe_stream stream;
	struct imp_probe_thread *threads;
	struct imp_probe_object *objects;
	size_t n_objects, cap_objects;
	bool maps_changed; /* something was mapped of which we do not know the path */
	uint64_t imports, calls, exceptions; /* numbers given */
	/* CPython */
	const struct imp_probe_target *python; /* borrowed from the session; NULL: none was seen */
	char *python_path;
	unsigned int interpreter_written; /* 0: no; 1: without its directories; 2: all */
	char *stdlib;			  /* directory of the standard library */
	struct imp_strbuf sys_path;	  /* as last derived; a NUL behind each entry */
	struct imp_strbuf sys_path_written;
	struct imp_probe_modules imported;
	struct imp_strbuf listed; /* directories whose metadata names are written */
};

struct imp_probe_session {
	struct imp_probe_kernel *kernel;
	struct imp_probe_sink sink;
	struct imp_probe_image *images;
	bool alone;
	pid_t self;    /* imptrace, whose child COMMAND is */
	pid_t root;    /* COMMAND; 0: not forked yet */
	pid_t watched; /* by attach: its end ends the recording */
	bool ended;
	struct imp_arena arena;
	struct imp_probe_file *files; /* that were looked at for probes; in the arena */
	struct imp_probe_listings listings;
	uint64_t lost_told; /* of images that are gone */
};

/* ---- probe_image.c ---- */
struct imp_probe_image *imp_probe_image_get(struct imp_probe_session *s, pid_t pid);
struct imp_probe_image *imp_probe_image_new(struct imp_probe_session *s, pid_t pid,
					    uint64_t image_ns, enum imp_start how);
void imp_probe_image_free(struct imp_probe_session *s, struct imp_probe_image *image);
struct imp_probe_thread *imp_probe_thread_get(struct imp_probe_image *image, pid_t tid);
struct imp_probe_call *imp_probe_call_push(struct imp_probe_thread *t);
void imp_probe_call_pop(struct imp_probe_thread *t);
void imp_probe_call_clear(struct imp_probe_call *call);
struct imp_probe_call *imp_probe_call_import(struct imp_probe_thread *t); /* innermost import; NULL */
size_t imp_probe_call_imports(const struct imp_probe_thread *t);	  /* how many are open */
struct imp_probe_call *
imp_probe_call_outer(struct imp_probe_thread *t); /* the import around that one; NULL */
/* imp_probe_image_describe - write IMP_EV_PROCESS and the objects, where that was not done yet */
void imp_probe_image_describe(struct imp_probe_session *s, struct imp_probe_image *image);
/* imp_probe_image_put_exe - IMP_KEY_EXE: the program that its process runs now */
void imp_probe_image_put_exe(struct imp_cbor *c, const struct imp_probe_image *image);
/* imp_probe_image_put_argv - the value of IMP_KEY_ARGV; @data: words, a NUL behind each, the last may be cut */
void imp_probe_image_put_argv(struct imp_cbor *c, const char *data, size_t len);
/* imp_probe_image_path - @path as we can open it: through /proc/PID/root; false: the process's root is gone */
bool imp_probe_image_path(const struct imp_probe_image *image, const char *path, char *out,
			  size_t size);

/* ---- probe_object.c ---- */
/* imp_probe_objects_read - take what /proc/PID/maps has and we have not; probes are put where they belong */
void imp_probe_objects_read(struct imp_probe_session *s, struct imp_probe_image *image,
			    uint64_t time_ns, pid_t tid);
/* imp_probe_take_map - something was mapped executable */
void imp_probe_take_map(struct imp_probe_session *s, struct imp_probe_image *image,
			struct imp_probe_thread *t, const struct imp_bpf_event *e);
const struct imp_probe_object *imp_probe_object_at(struct imp_probe_image *image, uint64_t address);
/* imp_probe_object_named - the object of that path; NULL: none */
const struct imp_probe_object *imp_probe_object_named(struct imp_probe_image *image,
						      const char *path);
/* imp_probe_file_attach - put probes into a file, where it has a place for them and has none yet */
const struct imp_probe_target *imp_probe_file_attach(struct imp_probe_session *s, const char *path,
						     const char *name);
/* imp_probe_command_attach - the same for what a command is going to run */
void imp_probe_command_attach(struct imp_probe_session *s, char **command);

/* ---- probe_load.c, probe_import.c: one kernel event each; @image is of its process ---- */
void imp_probe_take_load(struct imp_probe_session *s, struct imp_probe_image *image,
			 const struct imp_bpf_event *e);
void imp_probe_take_import(struct imp_probe_session *s, struct imp_probe_image *image,
			   const struct imp_bpf_event *e);
/* imp_probe_import_looks - an import asks the file system: which directory is searched, what is found */
void imp_probe_import_looks(struct imp_probe_image *image, struct imp_probe_thread *t,
			    const struct imp_bpf_event *e);
/* imp_probe_load_settle - no dlerror() came after the failed dlopen: write its end without a text */
void imp_probe_load_settle(struct imp_probe_image *image, struct imp_probe_thread *t);
/* imp_probe_extension_end - write IMP_EV_EXT_END, where an extension module of the import is being loaded */
void imp_probe_extension_end(struct imp_probe_image *image, pid_t tid, struct imp_probe_call *call,
			     const struct imp_probe_exception *x, uint64_t time_ns);
void imp_probe_put_exception(struct imp_cbor *c, unsigned int key,
			     const struct imp_probe_exception *e);
void imp_probe_exception_clear(struct imp_probe_exception *e);
void imp_probe_exception_copy(struct imp_probe_exception *to,
			      const struct imp_probe_exception *from);

/* ---- probe_python.c ---- */
/* imp_probe_python_describe - write IMP_EV_INTERPRETER, as far as it is known by now */
void imp_probe_python_describe(struct imp_probe_session *s, struct imp_probe_image *image,
			       uint64_t time_ns, pid_t tid);
/* imp_probe_python_path - write IMP_EV_SYS_PATH, where it has changed */
void imp_probe_python_path(struct imp_probe_image *image, uint64_t time_ns, pid_t tid,
			   uint64_t import);
/* imp_probe_snapshot - what lies in the directories that were searched for @name (IMP_EV_SNAPSHOT) */
struct imp_probe_search {
	const struct imp_strbuf *dirs; /* that were searched; a NUL behind each */
	uint64_t import;	       /* IMP_KEY_IMPORT */
	const char *name;	       /* full name of what was not found */
	const char *parent_file;       /* file of its parent package; NULL: top level, or unknown */
	bool blocked;		       /* nothing was searched: sys.modules has None for it */
};
void imp_probe_snapshot(struct imp_probe_session *s, struct imp_probe_image *image,
			const struct imp_bpf_event *e, const struct imp_probe_search *search);

#endif
