/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "waiting_call.h"

#include <sys/socket.h>
#include <sys/syscall.h>

enum imp_waiting imp_waiting_call(long call, const uint64_t *args)
{
	switch (call) {
#if defined __x86_64__
	case SYS_poll:
	case SYS_select:
	case SYS_pause:
#endif
	case SYS_read:
	case SYS_readv:
	case SYS_ppoll:
	case SYS_pselect6:
	case SYS_nanosleep:
	case SYS_clock_nanosleep:
	case SYS_futex:
	case SYS_accept:
	case SYS_accept4:
	case SYS_wait4:
	case SYS_waitid:
	case SYS_rt_sigsuspend:
	case SYS_msgrcv: return IMP_WAITING_EXACT;
	case SYS_recvfrom: return args[3] & MSG_WAITALL ? IMP_WAITING_OTHER : IMP_WAITING_EXACT;
	case SYS_recvmsg: return args[2] & MSG_WAITALL ? IMP_WAITING_OTHER : IMP_WAITING_EXACT;
#if defined __x86_64__
	case SYS_epoll_wait:
#endif
	case SYS_epoll_pwait: return (int)args[3] <= 0 ? IMP_WAITING_EXACT : IMP_WAITING_TIMED;
	case SYS_restart_syscall:
		return IMP_WAITING_TIMED; /* one of the above, which was stopped before */
	case SYS_semop: return IMP_WAITING_EXACT;
	case SYS_semtimedop: return args[3] ? IMP_WAITING_OTHER : IMP_WAITING_EXACT;
	case SYS_rt_sigtimedwait: return args[2] ? IMP_WAITING_OTHER : IMP_WAITING_EXACT;
	case SYS_io_getevents: return args[4] ? IMP_WAITING_OTHER : IMP_WAITING_EXACT;
#if defined SYS_epoll_pwait2
	case SYS_epoll_pwait2: return args[3] ? IMP_WAITING_OTHER : IMP_WAITING_EXACT;
#endif
	default: return IMP_WAITING_OTHER;
	}
}
