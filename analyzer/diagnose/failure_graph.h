/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_DIAGNOSE_FAILURE_GRAPH_H
#define IMP_DIAGNOSE_FAILURE_GRAPH_H

#include "failure.h"

/* The failed attempts of one image, and how one led to another. Of failure*.c alone. */

/* One failed attempt, or (attempt NULL) an uncaught exception that no attempt is known for. */
struct imp_node {
	struct imp_case c;
	struct imp_node *inner;	     /* the nested attempt that raised this very exception */
	struct imp_node *outer;	     /* the failed attempt around it */
	struct imp_failure *failure; /* where it is a root */
	struct imp_node *opened; /* what the two imp_opened_*() found; NULL: nothing, or not asked yet */
	const char *opened_how;
	bool judged;
	bool consequence;
};

struct imp_graph {
	struct imp_diagnosis *d;
	const struct imp_host *host;
	const struct imp_image *image;
	IMP_VEC(struct imp_node *) nodes; /* by end time */
	struct imp_node **by_attempt;	  /* the same, by the attempt's address */
	struct imp_failures *out;
};

#define IMP_NESTED_MAX 1000 /* of attempts that one exception ended */

/* imp_node_caught_in - the outermost import that the failure of @n ended; @imports: set to how many it ended */
const struct imp_node *imp_node_caught_in(const struct imp_node *n, unsigned int *imports);
/* imp_exception_is_import_error - ImportError or ModuleNotFoundError */
bool imp_exception_is_import_error(const struct imp_exception *e);
/* imp_exception_is_exit - SystemExit and its like */
bool imp_exception_is_exit(const struct imp_exception *e);
/* imp_exception_is_accident - KeyError and its like: code of a handler may raise it on its own account */
bool imp_exception_is_accident(const struct imp_exception *e);

/*
 * imp_node_new - a node for an attempt (@at), or for an exception that no attempt is known for (@at NULL)
 * It is not among the graph's nodes: those are made by imp_graph_collect().
 */
struct imp_node *imp_node_new(struct imp_graph *s, const struct imp_attempt *at,
			      const struct imp_exception *e, uint64_t thread, uint64_t interp,
			      uint64_t time_ns);

/* imp_graph_own_extension - the failed load of an extension, outside of any import, that raised this; NULL: none */
const struct imp_extension_call *imp_graph_own_extension(const struct imp_graph *s,
							 const struct imp_exception *e);

/* imp_graph_collect - nodes for all failed attempts of the image, joined with each other */
void imp_graph_collect(struct imp_graph *s);

/* imp_graph_node - the node of an attempt; NULL: it did not fail */
struct imp_node *imp_graph_node(const struct imp_graph *s, const struct imp_attempt *at);

/*
 * imp_graph_find - the last failed attempt that ended before @before with this exception: its
 * outermost one; NULL: none
 */
struct imp_node *imp_graph_find(const struct imp_graph *s, const struct imp_exception *e,
				uint64_t before);

/*
 * imp_graph_own_load - the failed dlopen of the program's own (ctypes, cffi), ended before @before, that an exception
 * speaks of; NULL: none
 */
const struct imp_dlopen *imp_graph_own_load(const struct imp_graph *s,
					    const struct imp_exception *e, uint64_t before);

/* imp_graph_of_extension - is it the load of an extension module, which its import tells of? */
bool imp_graph_of_extension(const struct imp_graph *s, const struct imp_dlopen *d);

/*
 * imp_opened_in_vain - a library that the program's own code could not open, in the chain of @n's exception
 * imp_opened_and_swallowed - the same, where that error was caught before, and @n's speaks of it
 * Both: NULL: none. n->opened_how says how @n follows from it.
 */
struct imp_node *imp_opened_in_vain(struct imp_graph *s, struct imp_node *n);
struct imp_node *imp_opened_and_swallowed(struct imp_graph *s, struct imp_node *n);

/*
 * imp_graph_fatal_load - the load after whose failure a program without Python left with an error; NULL: none
 * Only of the program that was to be recorded: a host that embeds Python, a loader of plugins.
 */
const struct imp_dlopen *imp_graph_fatal_load(const struct imp_graph *s);

/*
 * imp_graph_ended_itself - did the process end of itself within native code: by a signal of its own making, or by
 * exit() with a status? A signal from outside (SIGKILL, SIGTERM) proves nothing.
 */
bool imp_graph_ended_itself(const struct imp_graph *s);

/*
 * imp_graph_hung - was the process ended from outside (by timeout(1), by a person) because @ext did not come back?
 * It had been at work for long, and was no program that runs within an init function: that imports something.
 */
bool imp_graph_hung(const struct imp_graph *s, const struct imp_extension_call *ext);

/* imp_node_judge - fill n->c.f, once */
void imp_node_judge(struct imp_node *n);

struct imp_path_up {
	IMP_VEC(struct imp_step_up) steps; /* from the surface to the root */
};

/*
 * imp_root_of - the failure at which the chain began that ends in @n (@n itself, perhaps)
 * @up: gets the steps, from the surface to the root; @depth: 0
 */
struct imp_node *imp_root_of(struct imp_graph *s, struct imp_node *n, struct imp_path_up *up,
			     int depth);

#endif
