/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "run.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../../preload/output.h"

static const int forwarded[] = {SIGTERM, SIGHUP, SIGUSR1, SIGUSR2};
static const int outlived[] = {SIGINT, SIGQUIT};

#define N_FORWARDED (sizeof(forwarded) / sizeof(forwarded[0]))
#define N_OUTLIVED  (sizeof(outlived) / sizeof(outlived[0]))

/* The handler's only access to the child; written before the handlers are installed. */
static volatile pid_t child_pid;

static void forward(int signal, siginfo_t *info, void *context)
{
	int saved = errno;

	(void)context;
	/* One from the kernel (the terminal hung up) went to the whole group, and so to the child. */
	if (info->si_code != SI_KERNEL && child_pid > 0)
		kill(child_pid, signal);
	errno = saved;
}

static void stay_alive(int signal)
{
	(void)signal;
}

struct kept_signals {
	struct sigaction forwarded[N_FORWARDED], outlived[N_OUTLIVED];
	sigset_t mask;
};

/* A handler, not SIG_IGN: exec would hand SIG_IGN on if it came before our reset. */
static void install_handlers(struct kept_signals *kept)
{
	struct sigaction act;
	size_t i;

	memset(&act, 0, sizeof(act));
	sigemptyset(&act.sa_mask);
	for (i = 0; i < N_OUTLIVED; i++) {
		act.sa_handler = stay_alive;
		act.sa_flags = SA_RESTART;
		sigaction(outlived[i], NULL, &kept->outlived[i]);
		if (kept->outlived[i].sa_handler != SIG_IGN)
			sigaction(outlived[i], &act, NULL);
	}
	for (i = 0; i < N_FORWARDED; i++) {
		act.sa_sigaction = forward;
		act.sa_flags = SA_RESTART | SA_SIGINFO;
		sigaction(forwarded[i], NULL, &kept->forwarded[i]);
		if (kept->forwarded[i].sa_handler != SIG_IGN) /* nohup */
			sigaction(forwarded[i], &act, NULL);
	}
}

static void restore_handlers(const struct kept_signals *kept)
{
	size_t i;

	for (i = 0; i < N_OUTLIVED; i++)
		sigaction(outlived[i], &kept->outlived[i], NULL);
	for (i = 0; i < N_FORWARDED; i++)
		sigaction(forwarded[i], &kept->forwarded[i], NULL);
}

static void block_forwarded(struct kept_signals *kept)
{
	sigset_t set;
	size_t i;

	sigemptyset(&set);
	for (i = 0; i < N_FORWARDED; i++)
		sigaddset(&set, forwarded[i]);
	sigprocmask(SIG_BLOCK, &set, &kept->mask);
}

static void __attribute__((noreturn))
become_command(const struct imp_run_setup *setup, char **argv, int report_fd)
{
	int err = -imp_run_user_become(setup->user);

	/* A run of its own, also where imptrace itself runs under a recorder. */
	unsetenv(IMP_RUN_VARIABLE);
	if (err == 0 && (!setup->preload || setenv("LD_PRELOAD", setup->preload, 1) == 0) &&
	    (!setup->audit || setenv("LD_AUDIT", setup->audit, 1) == 0) &&
	    (!setup->preload || setenv("IMPTRACE_OUTPUT", setup->output, 1) == 0) &&
	    (!setup->stacks || setenv("IMPTRACE_STACKS", setup->stacks, 1) == 0))
		execvp(argv[0], argv);
	err = err ? err : errno;
	if (write(report_fd, &err, sizeof(err)) != sizeof(err))
		_exit(126);
	_exit(127);
}

/* The child's errno, where its exec failed; the descriptor is closed by an exec that works. */
static int read_exec_errno(int fd)
{
	int value = 0;
	ssize_t n;

	do
		n = read(fd, &value, sizeof(value));
	while (n < 0 && errno == EINTR);
	return n == sizeof(value) ? value : 0;
}

/*
 * The child is stopped. Where that came from the terminal, the whole group was stopped, and it may be that
 * we were continued a moment before the child. Else it stopped itself: then do the same, so that a
 * shell with job control gets its prompt back. SIGTSTP, unlike SIGSTOP, does nothing in a group
 * that no shell looks after, where nobody would ever continue us.
 */
static bool still_stopped(pid_t pid, int *status)
{
	const struct timespec moment = {0, 20 * 1000 * 1000};

	nanosleep(&moment, NULL);
	if (waitpid(pid, status, WNOHANG | WUNTRACED | WCONTINUED) == pid)
		return false;
	return true;
}

static int wait_for(pid_t pid, int *status)
{
	bool have = false;

	for (;;) {
		if (!have && waitpid(pid, status, WUNTRACED | WCONTINUED) < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		have = false;
		if (WIFEXITED(*status) || WIFSIGNALED(*status))
			return 0;
		if (!WIFSTOPPED(*status))
			continue;
		if (still_stopped(pid, status))
			raise(SIGTSTP);
		else
			have = true;
	}
}

int imp_run_child(const struct imp_run_setup *setup, char **argv, struct imp_run_result *result,
		  struct imp_error *err)
{
	struct kept_signals kept;
	int report[2], status = 0, ret;
	pid_t pid;

	memset(result, 0, sizeof(*result));
	if (pipe2(report, O_CLOEXEC) < 0)
		return imp_error_set(err, -errno, "a pipe cannot be made: %s", strerror(errno));
	block_forwarded(&kept); /* until the handler knows whom to send them on to */
	install_handlers(&kept);
	pid = fork();
	if (pid == 0) {
		restore_handlers(&kept);
		sigprocmask(SIG_SETMASK, &kept.mask, NULL);
		close(report[0]);
		become_command(setup, argv, report[1]);
	}
	ret = pid < 0 ? -errno : 0;
	child_pid = pid;
	sigprocmask(SIG_SETMASK, &kept.mask, NULL);
	close(report[1]);
	if (ret == 0) {
		result->pid = pid;
		result->exec_errno = read_exec_errno(report[0]);
		ret = wait_for(pid, &status);
	}
	close(report[0]);
	child_pid = 0;
	if (ret < 0)
		return imp_error_set(err, ret, "a process cannot be made: %s", strerror(-ret));
	result->code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	result->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
	return 0;
}
