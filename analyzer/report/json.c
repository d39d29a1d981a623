/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The report for machines: schema imptrace.report/1. Every key is always there. */
#include "report.h"

#include "json_writer.h"
#include "selection.h"

static void put_strings(struct imp_json *j, const char *key, const struct imp_strings *s)
{
	imp_json_put_array(j, key);
	for (size_t i = 0; s && i < s->n; i++)
		imp_json_string(j, s->v[i] ? s->v[i] : "");
	imp_json_array_end(j);
}

static void put_python(struct imp_json *j, const struct imp_image *image)
{
	const struct imp_interpreter *py = image->interpreters.n ? image->interpreters.v[0] : NULL;
	const struct imp_sys_path *last = py && py->paths.n ? &py->paths.v[py->paths.n - 1] : NULL;
	const char *version;
	size_t len;

	if (!py) {
		imp_json_put_null(j, "python");
		return;
	}
	imp_json_put_object(j, "python");
	imp_json_put_string(j, "implementation", py->implementation);
	version = imp_report_python_version(py, &len);
	imp_json_key(j, "version");
	if (version)
		imp_json_string_n(j, version, len);
	else
		imp_json_null(j);
	imp_json_put_string(j, "cache_tag", py->cache_tag);
	put_strings(j, "extension_suffixes", &py->suffixes);
	imp_json_put_string(j, "executable", py->executable);
	/* In a virtual environment the prefix changes while site is imported. */
	imp_json_put_string(j, "prefix", last && last->prefix ? last->prefix : py->prefix);
	imp_json_put_string(j, "base_prefix", py->base_prefix);
	put_strings(j, "path", last ? &last->path : NULL);
	imp_json_object_end(j);
}

static void put_process(struct imp_json *j, const struct imp_image *image)
{
	imp_json_object_begin(j);
	imp_json_put_int(j, "pid", image->pid);
	if (image->started)
		imp_json_put_int(j, "ppid", image->ppid);
	else
		imp_json_put_null(j, "ppid");
	imp_json_put_string(j, "exe", image->exe);
	put_strings(j, "argv", &image->argv);
	imp_json_put_object(j, "exit");
	if (image->code_known)
		imp_json_put_int(j, "code", image->code);
	else
		imp_json_put_null(j, "code");
	if (image->signal)
		imp_json_put_int(j, "signal", image->signal);
	else
		imp_json_put_null(j, "signal");
	imp_json_object_end(j);
	put_python(j, image);
	imp_json_put_uint(j, "imports", image->attempts.n);
	imp_json_put_uint(j, "loads", image->dlopens.n);
	imp_json_object_end(j);
}

static void put_error(struct imp_json *j, const char *key, const struct imp_error_text *e)
{
	if (!e->type) {
		imp_json_put_null(j, key);
		return;
	}
	imp_json_put_object(j, key);
	imp_json_put_string(j, "type", e->type);
	imp_json_put_string(j, "message", e->message ? e->message : "");
	imp_json_object_end(j);
}

static void put_frame(struct imp_json *j, const struct imp_frame *frame)
{
	imp_json_object_begin(j);
	imp_json_put_string(j, "file", frame->file);
	if (frame->line)
		imp_json_put_uint(j, "line", frame->line);
	else
		imp_json_put_null(j, "line");
	imp_json_put_string(j, "function", frame->function);
	imp_json_put_string(j, "module", frame->module);
	imp_json_object_end(j);
}

static void put_who_asked(struct imp_json *j, const struct imp_finding *f)
{
	imp_json_put_array(j, "importers");
	for (size_t i = 0; i < f->importers.n; i++)
		put_frame(j, &f->importers.v[i]);
	imp_json_array_end(j);

	imp_json_put_array(j, "native_stack");
	for (size_t i = 0; i < f->native_stack.n; i++) {
		const struct imp_native_frame *frame = &f->native_stack.v[i];

		imp_json_object_begin(j);
		imp_json_put_string(j, "object", frame->object);
		imp_json_put_string(j, "symbol", frame->symbol);
		if (frame->offset_known)
			imp_json_put_uint(j, "offset", frame->offset);
		else
			imp_json_put_null(j, "offset");
		imp_json_object_end(j);
	}
	imp_json_array_end(j);
}

static void put_searched(struct imp_json *j, const struct imp_finding *f)
{
	imp_json_put_array(j, "searched");
	for (size_t i = 0; i < f->searched.n; i++) {
		const struct imp_searched_entry *e = &f->searched.v[i];

		imp_json_object_begin(j);
		imp_json_put_string(j, "entry", e->entry);
		imp_json_put_string(j, "finder", e->finder);
		imp_json_put_string(j, "result", e->result);
		put_strings(j, "candidates", &e->candidates);
		imp_json_object_end(j);
	}
	imp_json_array_end(j);
}

static const char *source_name(enum imp_source source)
{
	return source == IMP_OBSERVED ? "observed" : "derived";
}

static void put_library(struct imp_json *j, const struct imp_library *library)
{
	if (!library) {
		imp_json_put_null(j, "library");
		return;
	}
	imp_json_put_object(j, "library");
	imp_json_put_string(j, "name", library->name);
	imp_json_put_string(j, "needed_by", library->needed_by);
	imp_json_put_string(j, "source", source_name(library->source));
	imp_json_put_array(j, "searched");
	for (size_t i = 0; i < library->searched.n; i++) {
		const struct imp_library_path *p = &library->searched.v[i];

		imp_json_object_begin(j);
		imp_json_put_string(j, "path", p->path);
		imp_json_put_string(j, "origin", p->origin);
		imp_json_put_string(j, "result", p->result);
		imp_json_object_end(j);
	}
	imp_json_array_end(j);
	imp_json_object_end(j);
}

static void put_reasons(struct imp_json *j, const struct imp_finding *f)
{
	static const char *const confidence[] = {
		[IMP_CERTAIN] = "certain", [IMP_LIKELY] = "likely", [IMP_POSSIBLE] = "possible"};

	imp_json_put_array(j, "evidence");
	for (size_t i = 0; i < f->evidence.n; i++) {
		const struct imp_evidence *e = &f->evidence.v[i];

		imp_json_object_begin(j);
		imp_json_put_string(j, "fact", e->fact);
		imp_json_put_string(j, "source", source_name(e->source));
		imp_json_object_end(j);
	}
	imp_json_array_end(j);

	imp_json_put_array(j, "ruled_out");
	for (size_t i = 0; i < f->ruled_out.n; i++) {
		imp_json_object_begin(j);
		imp_json_put_string(j, "cause", imp_cause_code(f->ruled_out.v[i].cause));
		imp_json_put_string(j, "because", f->ruled_out.v[i].because);
		imp_json_object_end(j);
	}
	imp_json_array_end(j);

	imp_json_put_array(j, "fixes");
	for (size_t i = 0; i < f->fixes.n; i++) {
		const struct imp_fix *fix = &f->fixes.v[i];

		imp_json_object_begin(j);
		imp_json_put_string(j, "command", fix->command);
		imp_json_put_string(j, "effect", fix->effect);
		imp_json_put_string(j, "confidence", confidence[fix->confidence]);
		imp_json_object_end(j);
	}
	imp_json_array_end(j);
}

static void put_finding(struct imp_json *j, const struct imp_finding *f)
{
	imp_json_object_begin(j);
	imp_json_put_string(j, "module", f->module);
	imp_json_put_string(j, "cause", imp_cause_code(f->cause));
	imp_json_put_string(j, "outcome", f->fatal ? "fatal" : "handled");
	if (f->image)
		imp_json_put_int(j, "pid", f->image->pid);
	else
		imp_json_put_null(j, "pid");
	imp_json_put_string(j, "summary", f->summary);
	imp_json_put_string(j, "path", f->path);
	put_error(j, "error", &f->error);
	put_error(j, "surfaced", &f->surfaced);
	put_who_asked(j, f);
	put_searched(j, f);
	put_library(j, f->library);
	put_reasons(j, f);
	put_strings(j, "affected", &f->affected);
	imp_json_object_end(j);
}

/* Beyond the contract's first keys: the answer to -m MODULE where the module was imported well. */
static void put_loaded(struct imp_json *j, const struct imp_loaded *loaded)
{
	imp_json_object_begin(j);
	imp_json_put_string(j, "module", loaded->module);
	imp_json_put_int(j, "pid", loaded->pid);
	imp_json_put_string(j, "path", loaded->path);
	imp_json_put_string(j, "loader", loaded->loader);
	imp_json_put_string(j, "entry", loaded->entry);
	imp_json_key(j, "importer");
	if (loaded->importer.file)
		put_frame(j, &loaded->importer);
	else
		imp_json_null(j);
	imp_json_object_end(j);
}

int imp_report_json(FILE *out, const struct imp_diagnosis *d, const struct imp_report_options *opt)
{
	struct imp_json j;

	imp_json_begin(&j, out, true);
	imp_json_object_begin(&j);
	imp_json_put_string(&j, "schema", "imptrace.report/1");
	imp_json_put_bool(&j, "complete", d->complete);
	put_strings(&j, "notes", &d->notes);
	imp_json_put_array(&j, "processes");
	for (size_t i = 0; i < d->record->images.n; i++)
		put_process(&j, d->record->images.v[i]);
	imp_json_array_end(&j);
	imp_json_put_array(&j, "findings");
	for (size_t i = 0; i < d->findings.n; i++) {
		if (imp_report_shows(d->findings.v[i], opt))
			put_finding(&j, d->findings.v[i]);
	}
	imp_json_array_end(&j);
	imp_json_put_array(&j, "loaded");
	for (size_t i = 0; opt->module && i < d->loaded.n; i++)
		put_loaded(&j, &d->loaded.v[i]);
	imp_json_array_end(&j);
	imp_json_object_end(&j);
	return imp_json_end(&j);
}
