// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dlfcn.h>
#include <link.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#include "dl_events.h"
#include "preload/attach.h"
#include "preload/link_map_diff.h"
#include "preload/loaded_names.h"
#include "preload/python_hook.h"

#define LIBRARY "libBrokenLocale.so.1" /* of libc's package, and nobody else needs it */

static struct imp_thread thread;
static unsigned int told;

/* No process that was attached to. */
bool imp_attach_is_copy(void)
{
	return false;
}

void imp_attach_objects_changed(void)
{
}

/* Every object, so that each one is counted that Python is told of. */
bool imp_python_object_holds(ElfW(Addr) base, const ElfW(Phdr) * phdr, size_t phnum)
{
	(void)base;
	return phdr && phnum > 0;
}

void imp_python_object_added(uint32_t object, ElfW(Addr) base, const ElfW(Phdr) * phdr, size_t phnum)
{
	assert_true(object > 0);
	assert_non_null(phdr);
	assert_true(phnum > 0);
	(void)base;
	told++;
}

static int count_objects(struct dl_phdr_info *info, size_t size, void *arg)
{
	(void)info;
	(void)size;
	++*(unsigned int *)arg;
	return 0;
}

static int reset(void **state)
{
	(void)state;
	event_count = 0;
	told = 0;
	return 0;
}

static void test_at_start(void **state)
{
	unsigned int objects = 0, i;
	struct imp_mapped o;
	uint64_t offset;
	uint32_t id;

	(void)state;
	dl_iterate_phdr(count_objects, &objects);
	assert_int_equal(imp_objects_find((void *)test_at_start, NULL), 0);
	imp_objects_update(&thread);
	assert_int_equal(event_count, objects);
	assert_int_equal(told, objects);
	for (i = 0; i < event_count; i++) {
		assert_int_equal(events[i].kind, IMP_EV_OBJECT);
		assert_int_equal(events[i].uint[IMP_KEY_OBJECT], i + 1);
		assert_true(events[i].uint[IMP_KEY_SIZE] > 0);
		assert_true(events[i].text[0] != '\0');
	}
	/* The main program, by its own path. */
	assert_non_null(strstr(events[0].text, "test_link_map_diff"));
	id = imp_objects_find((void *)test_at_start, &offset);
	assert_int_equal(id, 1);
	assert_int_equal(events[0].uint[IMP_KEY_ADDRESS] + offset, (uintptr_t)test_at_start);
	assert_true(imp_objects_get((void *)dlopen, &o));
	assert_true(o.start <= (ElfW(Addr))dlopen && (ElfW(Addr))dlopen < o.end);
	/* Neither the stack, nor the heap, nor what lies before and behind everything. */
	assert_int_equal(imp_objects_find(&objects, NULL), 0);
	assert_int_equal(imp_objects_find(NULL, NULL), 0);
	assert_int_equal(imp_objects_find((void *)UINTPTR_MAX, NULL), 0);
	/* Nothing new: no event. */
	event_count = 0;
	imp_objects_update(&thread);
	assert_int_equal(event_count, 0);
}

static void test_load_and_unload(void **state)
{
	const uint32_t generation = imp_objects_generation();
	struct imp_return_gadget gadget = {.address = (const void *)0x1234, .words = 3};
	struct imp_mapped o;
	struct link_map *map;
	uint32_t id;

	(void)state;
	assert_false(imp_loaded_names_has(imp_loaded_names_hash(LIBRARY)));
	map = dlopen(LIBRARY, RTLD_NOW);
	assert_non_null(map);
	imp_objects_update(&thread);
	assert_int_equal(event_count, 1);
	assert_int_equal(told, 1);
	assert_string_equal(events[0].text, map->l_name);
	assert_int_equal(events[0].uint[IMP_KEY_ADDRESS], map->l_addr);
	assert_true(events[0].uint[IMP_KEY_BUILD_ID] >= 8);
	assert_int_not_equal(imp_objects_generation(), generation);
	assert_true(imp_loaded_names_has(imp_loaded_names_hash(LIBRARY)));
	assert_true(imp_loaded_names_has(imp_loaded_names_hash(map->l_name)));
	id = imp_objects_find(map->l_ld, NULL);
	assert_int_equal(id, events[0].uint[IMP_KEY_OBJECT]);
	imp_objects_set_gadget(id, gadget);
	assert_true(imp_objects_get(map->l_ld, &o));
	assert_true(o.gadget_known);
	assert_ptr_equal(o.gadget.address, gadget.address);
	assert_int_equal(o.gadget.words, 3);

	event_count = 0;
	{
		const void *was = map->l_ld;

		dlclose(map);
		imp_objects_update(&thread);
		assert_int_equal(imp_objects_find(was, NULL), 0);
	}
	assert_int_equal(event_count, 1);
	assert_int_equal(events[0].kind, IMP_EV_OBJECT_GONE);
	assert_int_equal(events[0].uint[IMP_KEY_OBJECT], id);

	/* Again: another number, and no gadget of the old one. */
	event_count = 0;
	map = dlopen(LIBRARY, RTLD_NOW);
	imp_objects_update(&thread);
	assert_int_equal(count_of(IMP_EV_OBJECT, LIBRARY), 1);
	assert_int_not_equal(imp_objects_find(map->l_ld, NULL), id);
	assert_true(imp_objects_get(map->l_ld, &o));
	assert_false(o.gadget_known);
	dlclose(map);
	imp_objects_update(&thread);
}

/* Several between two looks, and one that goes while another comes. */
static void test_several(void **state)
{
	void *a = dlopen(LIBRARY, RTLD_NOW), *b;

	(void)state;
	assert_non_null(a);
	imp_objects_update(&thread);
	event_count = 0;
	dlclose(a);
	b = dlopen("libanl.so.1", RTLD_NOW);
	assert_non_null(b);
	imp_objects_update(&thread);
	assert_int_equal(event_count, 2);
	assert_int_equal(events[0].kind, IMP_EV_OBJECT_GONE);
	assert_int_equal(events[1].kind, IMP_EV_OBJECT);
	assert_non_null(strstr(events[1].text, "libanl"));
	dlclose(b);
	imp_objects_update(&thread);
	assert_int_equal(events[2].kind, IMP_EV_OBJECT_GONE);
}

static void test_namespace(void **state)
{
	struct link_map *map;
	uint32_t id;
	Lmid_t ns;

	(void)state;
#if defined __SANITIZE_ADDRESS__
	skip(); /* its dlmopen() brings a second copy of the runtime's dependencies */
#endif
	map = dlmopen(LM_ID_NEWLM, LIBRARY, RTLD_NOW);
	assert_non_null(map);
	assert_int_equal(dlinfo(map, RTLD_DI_LMID, &ns), 0);
	imp_objects_update(&thread);
	assert_int_equal(event_count, 0); /* dl_iterate_phdr() does not show it */
	imp_objects_add_namespace(&thread, map, ns);
	assert_int_equal(count_of(IMP_EV_OBJECT, LIBRARY), 1);
	assert_int_equal(count_of(IMP_EV_OBJECT, "libc.so.6"), 1);
	assert_int_equal(count_of(IMP_EV_OBJECT, "ld-linux"), 0);
	assert_int_equal(events[0].uint[IMP_KEY_NAMESPACE], ns);
	assert_int_equal(told, 0); /* an interpreter there has a libc of its own */
	id = imp_objects_find(map->l_ld, NULL);
	assert_true(id > 0);
	event_count = 0;
	imp_objects_add_namespace(&thread, map, ns);
	assert_int_equal(event_count, 0);
	dlclose(map);
	imp_objects_update(&thread);
	assert_true(event_count >= 1);
	assert_int_equal(count_of(IMP_EV_OBJECT_GONE, ""), event_count);
	imp_objects_add_namespace(&thread, NULL, LM_ID_BASE);
}

static void test_fork(void **state)
{
	unsigned int objects = 0, i;

	(void)state;
	dl_iterate_phdr(count_objects, &objects);
	imp_objects_forget();
	assert_int_equal(imp_objects_find((void *)test_fork, NULL), 0);
	imp_objects_update(&thread);
	assert_int_equal(event_count, objects);
	assert_int_equal(told, 0); /* Python has seen them */
	for (i = 0; i < event_count; i++)
		assert_int_equal(events[i].uint[IMP_KEY_OBJECT], i + 1);
	assert_int_equal(imp_objects_find((void *)test_fork, NULL), 1);
}

/* Looks while another thread loads and unloads. */
static volatile int stop;

static void *look(void *arg)
{
	volatile unsigned long *looks = arg;
	struct imp_mapped o;

	while (!stop) {
		if (!imp_objects_get((void *)look, &o) || o.id != 1)
			return (void *)1;
		++*looks;
	}
	return NULL;
}

static void test_readers(void **state)
{
	volatile unsigned long looks = 0;
	pthread_t reader;
	void *result, *handle;
	int i;

	(void)state;
	imp_objects_update(&thread);
	assert_int_equal(pthread_create(&reader, NULL, look, (void *)&looks), 0);
	while (!looks)
		sched_yield();
	for (i = 0; i < 307; i++) {
		handle = dlopen(LIBRARY, RTLD_NOW);
		imp_objects_update(&thread);
		dlclose(handle);
		imp_objects_update(&thread);
	}
	stop = 1;
	pthread_join(reader, &result);
	assert_null(result);
	assert_int_equal(count_of(IMP_EV_OBJECT, LIBRARY), 307);
	assert_int_equal(count_of(IMP_EV_OBJECT_GONE, ""), 307);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_at_start, reset),
		cmocka_unit_test_setup(test_load_and_unload, reset),
		cmocka_unit_test_setup(test_several, reset),
		cmocka_unit_test_setup(test_namespace, reset),
		cmocka_unit_test_setup(test_fork, reset),
		cmocka_unit_test_setup(test_readers, reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
