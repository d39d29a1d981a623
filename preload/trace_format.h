/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_PRELOAD_TRACE_FORMAT_H
#define IMP_PRELOAD_TRACE_FORMAT_H

#include <stdint.h>

/*
 * The trace format, version 1.
 *
 * A trace is a concatenation of whole zstd frames (RFC 8878), each with a content checksum. Every
 * frame decompresses to a CBOR sequence (RFC 8742). So any prefix of a trace that ends on a frame is
 * itself a valid trace, and several processes can append to one file.
 *
 * - The first frame holds one item, the header (IMP_EV_HEADER). Its blocks are stored raw, so that
 *   a process that joins the run finds IMP_KEY_RUN_ID without decompressing anything.
 * - Every other frame is one batch of one process image: its first item is IMP_EV_BATCH, then events.
 * - A skippable frame may be a journal slot (IMP_JOURNAL_*): what an image had recorded, and not yet written
 *   as a batch, when it was about to run code that may crash, or when an import failed. Any other holds
 *   nothing: a write that a full disk or SIGKILL cut short was made one, or it fills up a page (frame_append.h).
 *
 * Every item is a map of definite length with integer keys; IMP_KEY_KIND is its first key. A number is
 * never reused. A new key or kind raises IMP_FORMAT_MINOR, a changed meaning IMP_FORMAT_MAJOR.
 * Readers skip what they do not know.
 *
 * Types (the third column of IMP_KEYS):
 *   uint, int, bool, bytes   as in CBOR; all times are nanoseconds
 *   text    bytes that need not be UTF-8, in one of three spellings:
 *             bytes            the value itself
 *             uint N           the value that IMP_EV_STRING with id N gave, earlier in this image
 *             [text, text]     a path: directory "/" file name
 *   texts   array of text
 *   number  of an attempt or a call: uint, or shorter, a negative integer -1 - D: D less than the number
 *           after the greatest that stands before it in this batch
 *   list    array; what it holds stands in the comment
 *   map     a map, described by the comment
 *
 * An image is one program in one process between exec (or fork) and exec (or exit). Ids (strings,
 * objects, attempts, calls) count from 1 in each image.
 */
#define IMP_FORMAT_MAJOR 1
#define IMP_FORMAT_MINOR 0
#define IMP_TIME_STEP_NS 1024 /* less than it takes to record an event: what is below is noise */
#define IMP_FORMAT_MAGIC "imptrace" /* IMP_KEY_MAGIC of the header */

#define IMP_RUN_ID_SIZE 16     /* random bytes; the same for every process of a run */
#define IMP_ITEM_MAX	65536  /* bytes of one encoded item; longer ones are cut when recorded */
#define IMP_BATCH_MAX	131072 /* bytes of one decompressed frame */
#define IMP_DEPTH_MAX	8      /* nesting of arrays and maps */
#define IMP_TEXT_MAX	4096   /* bytes of one text; longer ones end in IMP_TEXT_CUT */
#define IMP_TEXT_CUT	"[...]"

/*
 * A journal slot is a skippable frame of IMP_JOURNAL_SIZE bytes. Each image has at most one, and writes it
 * again in its place; nothing else in a trace ever changes once it is there (frame_append.h). Its payload is
 * IMP_JOURNAL_MAGIC, then records, all numbers little-endian:
 *
 *   length    4 bytes, not 0
 *   checksum  8 bytes: XXH64 of the data; its seed is the record before's checksum, 0 for the first one
 *   data      @length bytes
 *
 * The records end before the first one whose checksum is wrong or which does not fit. Their data in a row
 * are what a batch's frame would decompress to. They count where that batch never came: while its SEQ is
 * not below the next one that is expected of its image.
 */
#define IMP_JOURNAL_FRAME \
	0x184D2A5A		 /* the skippable frame's magic number: RFC 8878, section 3.1.2 */
#define IMP_JOURNAL_HEAD    8	 /* bytes of its magic number and length */
#define IMP_JOURNAL_SIZE    8192 /* as it is written; readers take any up to IMP_BATCH_MAX */
#define IMP_JOURNAL_PAYLOAD (IMP_JOURNAL_SIZE - IMP_JOURNAL_HEAD)
#define IMP_JOURNAL_MAGIC   "imp-slot"
#define IMP_JOURNAL_RECORD  12 /* bytes of a record before its data */

/* A row of these tables is one entry for people and for scripts/gen-schema.py. */
/* clang-format off */
/* kind, number, what happened (keys in the order in which they are written; "?" may be absent) */
#define IMP_KINDS(X)									\
	/* file */									\
	X(HEADER,        1, "start of a trace: MAGIC VERSION RUN_ID PID REALTIME_NS TIME_NS")	\
	X(BATCH,         2, "start of a batch: PID IMAGE_NS SEQ LOST")	\
	X(STRING,        3, "ID?(absent: the number after the string before it in this batch) TEXT(bytes): TEXT is "	\
			    "later written as the uint ID")	\
	X(NOTE,          4, "a remark of the recorder: NOTE ERRNO? TEXT?")		\
	/* process */									\
	X(PROCESS,      10, "start of an image: HOW PPID PARENT_IMAGE_NS? EXE ARGV CWD IDS ENV LIBC "	\
			    "PAGE_SIZE MACHINE HOST")					\
	X(OBJECT,       11, "an object is mapped: OBJECT TEXT(path) ADDRESS SIZE BUILD_ID? NAMESPACE?")	\
	X(OBJECT_GONE,  12, "an object was unmapped: OBJECT")				\
	X(EXEC,         13, "about to exec: EXE ARGV")					\
	X(EXEC_FAILED,  14, "exec came back: ERRNO")					\
	X(PROCESS_END,  15, "the image ends: HOW CODE?")				\
	X(WAIT,         16, "a child has ended; by 'imptrace run', or a parent, of a signal: PID CODE? SIGNAL?") \
	/* dynamic loader */								\
	X(DLOPEN_ENTER, 20, "CALL TEXT?(name; absent: NULL) FLAGS CALLER OFFSET NAMESPACE?")	\
	X(DLOPEN_LEAVE, 21, "CALL HANDLE OBJECT? ERROR?(text of dlerror)")		\
	X(DLSYM,        22, "HANDLE TEXT(symbol) SYMVER? CALLER OFFSET ADDRESS ERROR? COUNT?")	\
	X(DLCLOSE,      23, "HANDLE CODE CALLER ERROR?")				\
	X(DLERROR,      24, "the program asked and was told: TEXT CALLER")		\
	/* CPython */									\
	X(INTERPRETER,  30, "INTERP VERSION IMPLEMENTATION CACHE_TAG SUFFIXES ABIFLAGS EXECUTABLE PREFIX "	\
			    "BASE_PREFIX EXEC_PREFIX BASE_EXEC_PREFIX STDLIB? PLATFORM FLAGS OBJECT DERIVED?")	\
	X(SYS_PATH,     31, "sys.path as an import saw it: INTERP? PATH PHASE PREFIX EXEC_PREFIX IMPORT? NO_STRS? DERIVED?")	\
	X(META_PATH,    32, "INTERP? META_PATH PATH_HOOKS IMPORT?")			\
	X(IMPORT_BEGIN, 33, "IMPORT TEXT(full name) PARENT? INTERP? FRAME?(who asked) "	\
			    "STACK?(instead of FRAME)")		\
	X(IMPORT_END,   34, "IMPORT ORIGIN? LOADER? SEARCHED? SUBMODULE_PATH? EXCEPTION? STACK? DERIVED?")	\
	X(EXT_BEGIN,    35, "CALL STEP TEXT(full name) ORIGIN IMPORT? DERIVED?")			\
	X(EXT_END,      36, "CALL EXCEPTION? DERIVED?")						\
	X(SNAPSHOT,     37, "what is there after a failed import: IMPORT TEXT(full name) SYS_MODULES ENTRIES "	\
			    "META_PATH FROZEN? MODULE_FILE? DERIVED?")					\
	X(CLAIMS,       38, "distributions that claim a failed module: TEXT(full name) CLAIMS")	\
	X(UNCAUGHT,     39, "HOW EXCEPTION STACK? INTERP?")					\
	X(SYS_EXIT,     40, "sys.exit() was called: MESSAGE? CODE? EXCEPTION?(the one being handled) FRAME") \
	/* evidence that a later reader can't get */						\
	X(FILE,         41, "a file that a failed load concerns: CALL TEXT(path) LINKS REALPATH? ERRNO? "	\
			    "STAT? MOUNT? DIRECTORIES CHUNKS? LIMIT_AS?")			\
	X(NATIVE_STACK, 42, "at a failed load or import: CALL? IMPORT? FRAMES")		\
	X(RAISED,       43, "a C++ exception or Rust panic was thrown: TEXT(class) FRAMES? IMPORT?")	\
	X(SEARCH_PATH,  44, "ld.so tries a path (rtld-audit); a name with LA_SER_ORIG begins a search: "	\
			    "TEXT(path or name) FLAGS(LA_SER_*) REQUESTER?(then; absent: the program)")	\
	X(SEARCH_OPEN,  45, "ld.so opened an object (rtld-audit): TEXT(path) NAMESPACE?")	\
	/* what the kernel saw (eBPF) */							\
	X(KERNEL_FILE,  46, "a system call of the program: TEXT(path) SYSCALL ERRNO? FLAGS? MODE?")	\
	X(KERNEL_MAP,   47, "a file is mapped executable: TEXT(path, or its last part) ADDRESS SIZE ERRNO?")	\
	/* what was there when imptrace came to a process that already ran */			\
	X(MODULE,       49, "a native module in sys.modules: TEXT(full name) ORIGIN LOADER? INTERP?")

enum imp_event_kind {
#define X(name, number, about) IMP_EV_##name = (number),
	IMP_KINDS(X)
#undef X
};

/* key, number, type, what it holds */
#define IMP_KEYS(X)										\
	X(KIND,             0, "uint",  "one of IMP_KINDS")					\
	X(TIME_NS,          1, "uint",  "events: since IMAGE_NS; HEADER: CLOCK_MONOTONIC")	\
	X(THREAD,           2, "uint",  "thread id; absent: the main thread (tid == pid)")	\
	X(PID,              3, "uint",  "")							\
	X(IMAGE_NS,         4, "uint",  "CLOCK_MONOTONIC when the image began: with PID, its identity")	\
	X(SEQ,              5, "uint",  "number of the batch in its image, from 0, without gaps")	\
	X(LOST,             6, "uint",  "events of this image that were lost before this batch, in all")	\
	X(MAGIC,            7, "bytes", "IMP_FORMAT_MAGIC")					\
	X(VERSION,          8, "text",  "INTERPRETER: sys.version; HEADER: list [major, minor]")	\
	X(RUN_ID,           9, "bytes", "")							\
	X(REALTIME_NS,     10, "uint",  "CLOCK_REALTIME, taken with TIME_NS")			\
	X(ID,              11, "uint",  "")							\
	X(TEXT,            12, "text",  "the event's main string")				\
	X(NOTE,            13, "uint",  "one of IMP_NOTES")					\
	X(ERRNO,           14, "uint",  "")							\
	X(HOW,             15, "uint",  "PROCESS: IMP_START_*; PROCESS_END: IMP_END_*; UNCAUGHT: IMP_UNCAUGHT_*")	\
	X(PPID,            16, "uint",  "")							\
	X(PARENT_IMAGE_NS, 17, "uint",  "the image that forked this one")			\
	X(EXE,             18, "text",  "link of /proc/self/exe; EXEC: the path given")		\
	X(ARGV,            19, "texts", "")							\
	X(CWD,             20, "text",  "")							\
	X(IDS,             21, "list",  "uid, euid, gid, egid")					\
	X(ENV,             22, "texts", "NAME=VALUE of the variables that steer loading; no others")	\
	X(LIBC,            23, "text",  "gnu_get_libc_version()")				\
	X(PAGE_SIZE,       24, "uint",  "")							\
	X(MACHINE,         25, "list",  "uname: machine, release")				\
	X(HOST,            26, "list",  "boot id (text), st_dev and st_ino of /: is this the machine?")	\
	X(OBJECT,          27, "uint",  "number of a mapped object in this image")		\
	X(ADDRESS,         28, "uint",  "load address; DLSYM: the result, 0 where it failed")	\
	X(SIZE,            29, "uint",  "bytes from the load address to the last mapped byte")	\
	X(BUILD_ID,        30, "bytes", "")							\
	X(NAMESPACE,       31, "int",   "link-map namespace; absent: LM_ID_BASE")		\
	X(CODE,            32, "int",   "exit status; DLCLOSE: the result")			\
	X(SIGNAL,          33, "uint",  "")							\
	X(CALL,            34, "number",  "pairs ENTER with LEAVE, BEGIN with END")		\
	X(FLAGS,           35, "uint",  "dlopen: RTLD_*; INTERPRETER: map sys.flags name -> int")	\
	X(CALLER,          36, "uint",  "object that called; 0: none known")			\
	X(OFFSET,          37, "uint",  "return address minus the caller's load address")	\
	X(HANDLE,          38, "uint",  "as passed or returned; 0: NULL or RTLD_DEFAULT")	\
	X(ERROR,           39, "text",  "what dlerror() says")					\
	X(SYMVER,          40, "text",  "version asked of dlvsym")				\
	X(COUNT,           41, "uint",  "so many more of the same since; absent: none")	\
	X(INTERP,          42, "uint",  "number of the interpreter, from 0 (main); absent: 0")	\
	X(IMPLEMENTATION,  43, "text",  "sys.implementation.name")				\
	X(CACHE_TAG,       44, "text",  "sys.implementation.cache_tag")				\
	X(SUFFIXES,        45, "texts", "_imp.extension_suffixes()")				\
	X(ABIFLAGS,        46, "text",  "sys.abiflags, 't' added where free-threaded")		\
	X(EXECUTABLE,      47, "text",  "sys.executable")					\
	X(PREFIX,          48, "text",  "sys.prefix")						\
	X(BASE_PREFIX,     49, "text",  "sys.base_prefix")					\
	X(EXEC_PREFIX,     50, "text",  "sys.exec_prefix")					\
	X(BASE_EXEC_PREFIX, 51, "text", "sys.base_exec_prefix")					\
	X(STDLIB,          52, "text",  "sys._stdlib_dir")					\
	X(PLATFORM,        53, "text",  "sys.platform")						\
	X(PATH,            54, "texts", "sys.path; an item that is no str is left out")		\
	X(PHASE,           55, "uint",  "IMP_PHASE_*: what was going on when sys.path got this value")	\
	X(IMPORT,          56, "number",  "number of an import attempt; SYS_PATH: the attempt that saw it")	\
	X(PARENT,          57, "number",  "the attempt within which this one runs, in the same thread")	\
	X(FRAME,           58, "list",  "who asked: file, line, function, module __name__ (texts, line uint)")	\
	X(STACK,           59, "list",  "of such frames, outermost first, import machinery left out")	\
	X(ORIGIN,          60, "text",  "spec.origin or __file__; EXT_BEGIN: the file")		\
	X(LOADER,          61, "text",  "type name of the loader")				\
	X(SEARCHED,        62, "list",  "of [entry text, finder text, IMP_SEARCH_* uint], in order")	\
	X(SUBMODULE_PATH,  63, "texts", "the parent package's __path__, where a failed search used it")	\
	X(EXCEPTION,       64, "map",   "IMP_EXC_KEYS")						\
	X(STEP,            65, "uint",  "IMP_STEP_*")						\
	X(SYS_MODULES,     66, "uint",  "sys.modules[name]: IMP_MODULE_*")			\
	X(ENTRIES,         67, "list",  "of maps of IMP_ENTRY_KEYS, in search order")		\
	X(META_PATH,       68, "texts", "names (module.qualname) of the finders or their types")	\
	X(PATH_HOOKS,      69, "texts", "names of the hooks")					\
	X(CLAIMS,          70, "list",  "of [metadata directory text, RECORD line text, WHEEL tag text]")	\
	X(MESSAGE,         71, "text",  "")							\
	X(FROZEN,          72, "text",  "sys.frozen / sys._MEIPASS, where set")		\
	X(MODULE_FILE,     73, "text",  "file of the module of the name's parent package")	\
	X(REALPATH,        74, "text",  "")							\
	X(STAT,            75, "list",  "mode, uid, gid, size, mtime (ns, int)")		\
	X(LINKS,           76, "list",  "of [path, target]: each symbolic link on the way")	\
	X(DIRECTORIES,     77, "list",  "of [path, mode, uid, gid]: each directory on the way that may not be searched")	\
	X(MOUNT,           78, "list",  "statvfs f_flag (ST_*), f_type of statfs")		\
	X(CHUNKS,          79, "list",  "of [offset uint, bytes]: parts of the file")		\
	X(LIMIT_AS,        80, "uint",  "RLIMIT_AS, where it is set; bytes")			\
	X(FRAMES,          81, "list",  "of [object uint, offset uint], innermost first; object 0: offset is the address")	\
	X(REQUESTER,       82, "text",  "SEARCH_PATH: path of the object that asked")	\
	X(LATER,           83, "int",   "instead of TIME_NS: so many steps of IMP_TIME_STEP_NS after the item with a time "	\
					"before it in this batch")				\
	X(DERIVED,         90, "bool",  "put together from what the kernel saw; the program itself was not asked")	\
	X(SYSCALL,         91, "uint",  "IMP_SYSCALL_*")					\
	X(MODE,            92, "uint",  "st_mode of what was found")				\
	X(NO_STRS,         93, "texts", "type names of the items of sys.path that are no str, which imports pass over")

enum imp_key {
#define X(name, number, type, about) IMP_KEY_##name = (number),
	IMP_KEYS(X)
#undef X
};

/* Keys of an exception map. */
#define IMP_EXC_KEYS(X)										\
	X(TYPE,     0, "text", "module.qualname, without \"builtins.\"")			\
	X(MESSAGE,  1, "text", "str() of it, as far as that runs no code of the program")	\
	X(ID,       2, "uint", "address of the object: the same exception, seen again")		\
	X(NAME,     3, "text", "ImportError.name")						\
	X(PATH,     4, "text", "ImportError.path")						\
	X(CAUSE,    5, "map",  "__cause__")							\
	X(CONTEXT,  6, "map",  "__context__, where __cause__ is None")				\
	X(WHERE,    7, "list", "innermost traceback frame outside the import machinery, as FRAME")	\
	X(NAME_FROM, 8, "text", "ImportError.name_from (3.12 and later)")			\
	X(SUPPRESS, 9, "bool", "__suppress_context__")						\
	X(MEMBERS, 10, "list", "of such maps: the exceptions of an ExceptionGroup, as far as there is room")

enum imp_exc_key {
#define X(name, number, type, about) IMP_EXC_##name = (number),
	IMP_EXC_KEYS(X)
#undef X
};
#define IMP_EXC_CHAIN_MAX 5		/* exceptions in one chain, a group's members counting two steps: depth
					 * stays under IMP_DEPTH_MAX */
#define IMP_EXC_MEMBERS_MAX 32		/* exceptions in one event that are members of groups */

/* Keys of one search path entry in a snapshot. */
#define IMP_ENTRY_KEYS(X)									\
	X(ENTRY,      0, "text", "as it stands in sys.path or __path__")			\
	X(FINDER,     1, "text", "type name of its finder; absent: none in path_importer_cache")	\
	X(STATE,      2, "uint", "IMP_PATH_*")							\
	X(ERRNO,      3, "uint", "of stat or of opening the directory")				\
	X(STAT,       4, "list", "mode, uid, gid, size, mtime (ns, int)")			\
	X(FINDER_MTIME, 5, "int", "ns; FileFinder._path_mtime: when its listing was made")	\
	X(FINDER_NAMES, 6, "uint", "how many names its cached listing holds")			\
	X(CANDIDATES, 7, "list", "of maps of IMP_CAND_KEYS")					\
	X(CUT,        8, "bool", "there were more candidates than are listed")			\
	X(METADATA,   9, "texts", "names of *.dist-info, *.egg-info, *.egg-link, *.pth, __editable__* (first time only)")	\
	X(HOOKED,    10, "bool", "the entry is of the parent's __path__, not of sys.path")

enum imp_entry_key {
#define X(name, number, type, about) IMP_ENTRY_##name = (number),
	IMP_ENTRY_KEYS(X)
#undef X
};

/* Keys of one candidate: a name in a searched directory that begins like the module's last part. */
#define IMP_CAND_KEYS(X)									\
	X(NAME,     0, "text", "")								\
	X(STAT,     1, "list", "mode, uid, gid, size, mtime (ns, int) of lstat; absent: ERRNO")	\
	X(ERRNO,    2, "uint", "of lstat; on disk no more: ENOENT")				\
	X(TARGET,   3, "text", "of a symbolic link")						\
	X(TARGET_ERRNO, 4, "uint", "of stat() through the link; absent: it leads to something")	\
	X(ON_DISK,  5, "bool", "absent: true")							\
	X(IN_CACHE, 6, "bool", "in the finder's cached listing; absent: unknown (no FileFinder)")	\
	X(ACCESS,   7, "uint", "errno of access(R_OK), for regular files that may not be read")	\
	X(INSIDE,   8, "texts", "a directory's names that matter: __init__.*")

enum imp_cand_key {
#define X(name, number, type, about) IMP_CAND_##name = (number),
	IMP_CAND_KEYS(X)
#undef X
};

enum imp_start {		/* IMP_KEY_HOW of IMP_EV_PROCESS */
	IMP_START_FIRST = 1,	/* first process of the run */
	IMP_START_EXEC,		/* exec, in a child or in the same process */
	IMP_START_FORK,		/* fork without exec */
	IMP_START_ATTACH,
};

enum imp_end {			/* IMP_KEY_HOW of IMP_EV_PROCESS_END */
	IMP_END_EXIT = 1,	/* exit(), or main returned */
	IMP_END_FAST_EXIT,	/* _exit(), _Exit(), quick_exit(): nothing of the program ran after it */
	IMP_END_DETACHED,	/* none: `imptrace attach` left the process, which runs on; no CODE */
};

enum imp_phase {		/* IMP_KEY_PHASE of IMP_EV_SYS_PATH */
	IMP_PHASE_START = 1,	/* as the interpreter computed it: defaults and PYTHONPATH */
	IMP_PHASE_SITE,		/* while site was imported: site directories, .pth files, user site, venv */
	IMP_PHASE_RUN,		/* by the program */
	IMP_PHASE_ATTACH,	/* before imptrace came: any of these */
};

enum imp_search_result {	/* third item of IMP_KEY_SEARCHED */
	IMP_SEARCH_ABSENT = 0,
	IMP_SEARCH_FOUND,
	IMP_SEARCH_NAMESPACE,	/* a directory without __init__: portion of a namespace package */
	IMP_SEARCH_ERROR,	/* the finder raised */
};

enum imp_step {			/* IMP_KEY_STEP */
	IMP_STEP_CREATE = 1,	/* _imp.create_dynamic: dlopen and PyInit */
	IMP_STEP_EXEC,		/* _imp.exec_dynamic: the Py_mod_exec slots */
};

enum imp_module_state {		/* IMP_KEY_SYS_MODULES */
	IMP_MODULE_ABSENT = 0,
	IMP_MODULE_NONE,	/* sys.modules[name] is None: blocked */
	IMP_MODULE_PRESENT,
};

enum imp_path_state {		/* IMP_ENTRY_STATE */
	IMP_PATH_DIRECTORY = 1,
	IMP_PATH_FILE,		/* an archive, perhaps */
	IMP_PATH_ABSENT,
	IMP_PATH_UNREADABLE,	/* exists, cannot be listed; ERRNO says why */
	IMP_PATH_OTHER,
};

enum imp_uncaught {		/* IMP_KEY_HOW of IMP_EV_UNCAUGHT */
	IMP_UNCAUGHT_MAIN = 1,	/* sys.excepthook */
	IMP_UNCAUGHT_THREAD,	/* threading.excepthook */
};

enum imp_syscall {		/* IMP_KEY_SYSCALL; each stands for its family */
	IMP_SYSCALL_OPEN = 1,	/* open, openat, openat2 */
	IMP_SYSCALL_STAT,	/* stat, lstat, newfstatat, statx */
	IMP_SYSCALL_ACCESS,	/* access, faccessat, faccessat2 */
	IMP_SYSCALL_READLINK,	/* readlink, readlinkat */
};

/* Remarks of the recorder about itself. */
#define IMP_NOTES(X)										\
	X(WRITE_FAILED,  1, "a batch could not be written")					\
	X(MOVED,         2, "the trace was moved away while it was written")			\
	X(NO_GADGET,     3, "an object has no place to return through: its dl calls are recorded without result")	\
	X(HOOKS_FAILED,  4, "the import hooks could not be installed in an interpreter")	\
	X(BUSY,          5, "the recorder's lock was busy")					\
	X(SECCOMP,       6, "the program forbids itself system calls that recording takes: nothing is recorded "	\
			    "from here on; with ERRNO: that was refused, and it goes on")		\
	X(REACH,         7, "the program is about to change its user, root or mounts (TEXT: by what): it may not "	\
			    "reach the trace any more")							\
	X(KERNEL_LOST,   8, "the kernel had no room for events: LOST of this batch counts them")

enum imp_note {
#define X(name, number, about) IMP_NOTE_##name = (number),
	IMP_NOTES(X)
#undef X
};

#endif
