/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "run.h"

#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool read_id(const char *text, unsigned int *id)
{
	unsigned long value;
	char *end;

	if (!text || !*text)
		return false;
	errno = 0;
	value = strtoul(text, &end, 10);
	*id = (unsigned int)value;
	return !*end && !errno && value < UINT_MAX;
}

static void take(struct imp_run_user *user, const struct passwd *entry)
{
	user->known = true;
	user->uid = entry->pw_uid;
	user->gid = entry->pw_gid;
	user->name = strdup(entry->pw_name);
}

int imp_run_user_find(struct imp_run_user *user, const char *name, bool from_sudo,
		      struct imp_error *err)
{
	const struct passwd *entry = NULL;
	unsigned int uid, gid = 0;

	memset(user, 0, sizeof(*user));
	if (name) {
		entry = getpwnam(name);
		if (!entry && read_id(name, &uid))
			entry = getpwuid(uid);
		if (!entry)
			return imp_error_set(err, -ENOENT, "--user: there is no user '%s'", name);
		take(user, entry);
	} else if (from_sudo && geteuid() == 0 && read_id(getenv("SUDO_UID"), &uid) && uid != 0) {
		entry = getpwuid(uid);
		if (entry)
			take(user, entry);
		user->known = true;
		user->uid = uid;
		if (read_id(getenv("SUDO_GID"), &gid) || !entry)
			user->gid = gid;
	}
	if (user->known && user->uid == geteuid())
		user->known = false; /* it is so already */
	return 0;
}

int imp_run_user_become(const struct imp_run_user *user)
{
	if (!user->known)
		return 0;
	if (user->name ? initgroups(user->name, user->gid) < 0 : setgroups(1, &user->gid) < 0)
		return -errno;
	if (setresgid(user->gid, user->gid, user->gid) < 0 ||
	    setresuid(user->uid, user->uid, user->uid) < 0)
		return -errno;
	return 0;
}

void imp_run_user_clear(struct imp_run_user *user)
{
	free(user->name);
	user->name = NULL;
}
