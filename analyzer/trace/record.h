/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_TRACE_RECORD_H
#define IMP_TRACE_RECORD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "../../preload/trace_format.h"
#include "../base/arena.h"
#include "../base/error.h"

/*
 * A whole trace, decoded: what happened, grouped by process image, without any judgement.
 *
 * Strings are NUL-terminated bytes, not UTF-8 (a NUL inside a recorded text is shown as "\0", two characters); NULL
 * means that it was not recorded. Everything lives in the record's arena. Times are nanoseconds of
 * CLOCK_MONOTONIC, absolute.
 */

struct imp_strings { /* an IMP_VEC of strings */
	const char **v;
	size_t n;
	size_t cap;
};

struct imp_frame { /* a Python frame */
	const char *file;
	unsigned int line;
	const char *function;
	const char *module; /* __name__ of its globals */
};

IMP_VEC_TYPE(imp_frames, struct imp_frame);

struct imp_stat {
	bool known;
	uint32_t mode, uid, gid;
	uint64_t size;
	int64_t mtime_ns;
};

struct imp_exception {
	const char *type; /* "ModuleNotFoundError"; module.qualname for others than builtins */
	const char *message;
	uint64_t id;	  /* address: equal for the same object, as long as it lives; 0: unknown */
	const char *name; /* ImportError.name */
	const char *path; /* ImportError.path */
	const char *name_from;
	bool suppress_context;
	struct imp_exception *cause, *context;
	struct imp_frame where;			 /* file NULL: unknown */
	IMP_VEC(struct imp_exception *) members; /* of an ExceptionGroup */
};

struct imp_searched { /* one path entry, searched by the finder itself */
	const char *entry, *finder;
	enum imp_search_result result;
};

struct imp_candidate { /* a name in a searched directory that looks like the module */
	const char *name;
	struct imp_stat stat; /* of the name itself (lstat) */
	int err;	      /* errno of lstat */
	const char *target;   /* of a symbolic link */
	int target_err;	      /* errno of following it; 0: it leads to something */
	bool on_disk;
	bool in_cache, in_cache_known;
	int access_err;
	struct imp_strings inside;
};

struct imp_entry { /* one entry of the search path, as it was at a failure */
	const char *entry;
	const char *finder; /* type name; NULL: none was cached */
	enum imp_path_state state;
	int err;
	struct imp_stat stat;
	int64_t finder_mtime_ns;
	bool finder_mtime_known;
	uint64_t finder_names;
	bool cut;
	bool of_package; /* of the parent package's __path__ */
	IMP_VEC(struct imp_candidate) candidates;
	struct imp_strings
		metadata; /* names of *.dist-info etc.; filled from the last snapshot that listed them */
};

struct imp_snapshot { /* what was there after a failed import */
	uint64_t time_ns;
	enum imp_module_state sys_modules;
	IMP_VEC(struct imp_entry) entries;
	struct imp_strings meta_path;
	const char *frozen;
	const char *parent_file; /* file of the parent package's module */
};

struct imp_claim {	      /* a distribution that says that it holds the module */
	const char *metadata; /* path of the *.dist-info or *.egg-info */
	const char *record;   /* the line of RECORD */
	const char *wheel_tag;
};

struct imp_claims { /* IMP_EV_CLAIMS */
	const char *module;
	IMP_VEC(struct imp_claim) list;
};

struct imp_outcome { /* what is known of an import when it has ended */
	const char *origin, *loader;
	IMP_VEC(struct imp_searched) searched;
	struct imp_strings submodule_path;
	struct imp_frames stack; /* outermost first, ends with who asked; empty: not recorded */
	struct imp_snapshot *snapshot; /* NULL: none was taken */
};

/*
 * One import that sys.modules did not answer. A large trace has millions of them, nearly all of which went well, and
 * few different ones: so who asked, and the outcome of those that went well, are shared between equal ones.
 */
struct imp_attempt {
	const char *name;	       /* full name */
	struct imp_attempt *parent;    /* the attempt within which it ran; NULL: outermost */
	const struct imp_frame *frame; /* who asked; never NULL; its file is NULL: no Python frame */
	const struct imp_outcome *outcome; /* never NULL; empty where it has not ended */
	struct imp_exception *exception;   /* NULL: it succeeded (if ended) */
	uint64_t begin_ns, end_ns;
	uint32_t id;	 /* number in its image, > 0 */
	uint32_t thread; /* tid */
	uint16_t interp;
	bool ended;	  /* false: under way when the record ends */
	bool own_outcome; /* @outcome is of this one alone */
};

extern const struct imp_frame imp_no_frame;
extern const struct imp_outcome imp_no_outcome;

struct imp_extension_call { /* _imp.create_dynamic or _imp.exec_dynamic */
	uint64_t call;
	enum imp_step step;
	const char *name, *path;
	struct imp_attempt *attempt;
	uint64_t thread, begin_ns, end_ns;
	bool ended;
	struct imp_exception *exception;
};

struct imp_object { /* a mapped object */
	uint64_t number;
	const char *path;
	uint64_t address, size;
	const uint8_t *build_id;
	size_t build_id_len;
	int64_t name_space;
	uint64_t mapped_ns, gone_ns; /* gone_ns 0: never seen to go */
};

struct imp_dlopen {
	uint64_t call;
	const char *name; /* NULL: dlopen(NULL) */
	uint64_t flags;
	uint64_t caller, offset; /* object number */
	int64_t name_space;
	uint64_t thread, begin_ns, end_ns;
	bool ended;
	uint64_t handle;
	uint64_t object; /* number of the object that it opened; 0: unknown */
	const char *error;
	struct imp_dlopen *outer; /* the one within which it ran, in its thread; NULL: none */
};

struct imp_tried_path {
	const char *path;
	uint64_t flag; /* LA_SER_* */
};

struct imp_ld_lookup_seen { /* ld.so looks for one object, as it told rtld-audit */
	const char *name; /* of dlopen or DT_NEEDED; with a slash in it it is the one path that is tried */
	const char *requester;	 /* path of the object that asked; NULL: the program */
	struct imp_dlopen *call; /* within which; NULL: at the start, or none that was seen */
	IMP_VEC(struct imp_tried_path) tried; /* in order; none for a name with a slash */
	const char *opened; /* the object that came of it; NULL: none, or it was there already */
	uint64_t thread, time_ns;
};

struct imp_kernel_file { /* a system call with a path, as the kernel saw it (eBPF) */
	const char *path;
	struct imp_dlopen *in; /* the innermost dlopen within which it was made; NULL: none */
	uint64_t time_ns;
	enum imp_syscall call;
	int err;       /* errno; 0: it worked */
	uint32_t mode; /* st_mode of what stat() found; 0: unknown */
	uint32_t thread;
};

struct imp_sys_path {
	enum imp_phase phase;
	struct imp_strings path;
	struct imp_strings no_strs; /* type names of its items that are no str: imports pass over those */
	const char *prefix, *exec_prefix;
	uint64_t time_ns;
	struct imp_attempt *attempt; /* the first that saw it; NULL: unknown */
};

struct imp_meta_path {
	struct imp_strings meta_path, path_hooks;
	uint64_t time_ns;
};

struct imp_flag {
	const char *name;
	int64_t value;
};

struct imp_interpreter {
	uint64_t number;
	const char *version, *implementation, *cache_tag, *abiflags, *executable;
	const char *prefix, *base_prefix, *exec_prefix, *base_exec_prefix, *stdlib, *platform;
	struct imp_strings suffixes;	    /* accepted extension suffixes */
	IMP_VEC(struct imp_flag) flags;	    /* sys.flags */
	uint64_t object;		    /* the object that holds it */
	IMP_VEC(struct imp_sys_path) paths; /* in the order of time */
	IMP_VEC(struct imp_meta_path) meta_paths;
};

struct imp_uncaught_event {
	enum imp_uncaught how;
	struct imp_exception *exception;
	struct imp_frames stack; /* its traceback, outermost first; empty: not recorded */
	uint64_t thread, interp, time_ns;
};

struct imp_sys_exit {
	const char *message; /* NULL: none, or a number */
	int64_t code;
	bool code_known;
	struct imp_exception *handled; /* what was being handled; NULL: nothing */
	struct imp_frame frame;
	uint64_t thread, time_ns;
};

struct imp_exec {
	const char *path;
	struct imp_strings argv;
	uint64_t time_ns;
	int failed_errno; /* 0: it did not come back */
};

struct imp_file_link { /* a symbolic link on the way to a file */
	const char *path, *target;
};

struct imp_file_directory { /* a directory that may not be searched */
	const char *path;
	uint32_t mode, uid, gid;
};

struct imp_file_chunk { /* a part of a file */
	uint64_t offset;
	size_t len;
	const uint8_t *data;
};

/*
 * A file that a failed load concerns, as it was then. The recorder does not repeat itself: where a later call
 * failed with the same file, look for it by its path.
 */
struct imp_file_facts {
	uint64_t call;	      /* of the imp_dlopen or the imp_extension_call that failed first */
	const char *path;     /* as asked for, or as dlerror() names it */
	const char *realpath; /* NULL: the way there could not be followed to its end */
	int err;	      /* why it could not be reached or opened; 0: it could */
	struct imp_stat stat; /* of the file itself, links followed */
	IMP_VEC(struct imp_file_link) links; /* in the order in which they are followed */
	IMP_VEC(struct imp_file_directory) directories;
	bool mount_known;
	uint64_t mount_flags, fs_type; /* ST_*; statfs f_type */
	bool read; /* @chunks say what it is: none, and its size is 0: an empty file */
	IMP_VEC(struct imp_file_chunk) chunks;
	uint64_t limit_as; /* RLIMIT_AS, bytes; 0: not limited */
	uint64_t thread, time_ns;
};

struct imp_code_place {
	uint64_t object, offset; /* @object 0: none known, @offset is the address */
};

struct imp_code_list { /* an IMP_VEC of return addresses, innermost first */
	struct imp_code_place *v;
	size_t n;
	size_t cap;
};

struct imp_native_stack {
	uint64_t call;		     /* the dlopen at whose end it was taken; 0: see @attempt */
	struct imp_attempt *attempt; /* the import at whose end it was taken; NULL: see @call */
	struct imp_code_list frames;
	uint64_t thread, time_ns;
};

struct imp_raised {		     /* native code threw an exception */
	const char *exception_class; /* "GNUCC++\0", "MOZ\0RUST" (two characters for the NUL) */
	struct imp_attempt *attempt;
	struct imp_code_list frames;
	uint64_t thread, time_ns;
};

struct imp_recorder_note {
	uint64_t note; /* enum imp_note */
	int err;
	const char *text;
};

struct imp_images { /* an IMP_VEC of images */
	struct imp_image **v;
	size_t n;
	size_t cap;
};

struct imp_present_module { /* a native one that was in sys.modules when imptrace came */
	const char *name, *origin, *loader; /* loader: NULL: unknown */
	uint64_t interp;
};

struct imp_image { /* one program in one process */
	pid_t pid, ppid;
	uint64_t image_ns, parent_image_ns;
	struct imp_image *parent; /* the image that forked it; NULL: none, or not in the trace */
	struct imp_image *next_of_pid; /* what the same process ran next; NULL: nothing */
	const struct imp_images
		*children; /* the images whose parent has this process's number; NULL: none */
	enum imp_start how;
	bool started; /* its IMP_EV_PROCESS was read */
	const char *exe, *cwd, *libc, *machine, *release, *boot_id;
	struct imp_strings argv, env; /* env: NAME=VALUE */
	uint32_t uid, euid, gid, egid;
	bool ids_known;
	uint64_t page_size, root_dev, root_ino;
	IMP_VEC(struct imp_object *) objects;
	IMP_VEC(struct imp_interpreter *) interpreters;
	IMP_VEC(struct imp_attempt *) attempts;	    /* by begin time */
	IMP_VEC(struct imp_present_module) modules; /* after an attach */
	IMP_VEC(struct imp_extension_call *) extensions;
	IMP_VEC(struct imp_dlopen *) dlopens;
	IMP_VEC(struct imp_ld_lookup_seen *) lookups; /* with "run --audit" or "--bpf" */
	bool lookups_by_kernel;			      /* put together from @kernel_files */
	IMP_VEC(struct imp_kernel_file) kernel_files; /* in the order of time */
	uint64_t kernel_events;
	bool derived; /* recorded from outside: what the interpreter says of itself was put together */
	IMP_VEC(struct imp_claims *) claims;
	IMP_VEC(struct imp_uncaught_event *) uncaught;
	IMP_VEC(struct imp_sys_exit *) sys_exits;
	IMP_VEC(struct imp_exec *) execs;
	IMP_VEC(struct imp_file_facts *) files; /* in the order of time, as what follows */
	IMP_VEC(struct imp_native_stack *) native_stacks;
	IMP_VEC(struct imp_raised *) raised;
	IMP_VEC(struct imp_recorder_note) notes;
	bool ended; /* IMP_EV_PROCESS_END, or an exec that did not come back */
	enum imp_end end_how;
	bool code_known;
	int code;    /* from PROCESS_END or WAIT */
	int signal;  /* from WAIT; 0: none or unknown */
	bool waited; /* IMP_EV_WAIT was read */
	uint64_t end_ns, last_ns;
	uint64_t events, lost;
	uint64_t missing_batches;
};

/* Who wants to see how far it is; @step may be NULL. */
enum imp_watch_stage { IMP_WATCH_READING, IMP_WATCH_JUDGING };

struct imp_watch {
	/* @done of @total: bytes of the file (@total 0), then processes */
	void (*step)(void *data, enum imp_watch_stage stage, uint64_t done, uint64_t total);
	void *data;
};

struct imp_record {
	struct imp_arena arena;
	int major, minor;
	pid_t root_pid;
	int64_t realtime_ns; /* of the run's start */
	uint64_t start_ns;
	IMP_VEC(struct imp_image *) images; /* by image_ns */
	uint64_t events;
	uint64_t unknown_events; /* kinds that this version does not know */
	struct imp_strings
		damage; /* one sentence each: damaged frames, cut tail, missing batches; empty: whole */
	struct imp_watch watch; /* also of who goes over it afterwards */
};

/*
 * imp_record_read - read a whole trace
 * @r:   filled; release with imp_record_clear(), also after an error
 * @fd:  read from its current position; may be a pipe
 * @name: for messages
 * @err: what is wrong, where, and what to do
 *
 * A damaged or cut trace is read as far as it goes: @r->damage says what is missing. Fails with
 * -EBADMSG where it is no imptrace trace at all (not zstd, empty, another magic), -EPROTO where its major version is newer,
 * or -errno of read(2). Memory is bounded by what the trace holds, never by what it claims.
 */
int imp_record_read(struct imp_record *r, int fd, const char *name, struct imp_error *err);
/* imp_record_read_watched - the same; @watch is asked at each batch, and copied into @r */
int imp_record_read_watched(struct imp_record *r, int fd, const char *name,
			    const struct imp_watch *watch, struct imp_error *err);
void imp_record_clear(struct imp_record *r);

/*
 * imp_record_env - value of a recorded environment variable of an image; NULL: not set
 */
const char *imp_record_env(const struct imp_image *image, const char *name);

/* imp_record_kernel_since - index of the first of image->kernel_files that is no older */
size_t imp_record_kernel_since(const struct imp_image *image, uint64_t time_ns);

/* imp_record_object - the mapped object of that number; NULL: unknown */
const struct imp_object *imp_record_object(const struct imp_image *image, uint64_t number);

/* imp_record_interpreter - interpreter @number of an image; NULL: unknown */
const struct imp_interpreter *imp_record_interpreter(const struct imp_image *image, uint64_t number);

#endif
