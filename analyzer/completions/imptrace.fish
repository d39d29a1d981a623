# SPDX-License-Identifier: GPL-2.0-or-later
# fish completion for imptrace(1)

set -l commands run analyze attach dump
complete -c imptrace -n "not __fish_seen_subcommand_from $commands" -f
complete -c imptrace -n "not __fish_seen_subcommand_from $commands" -s h -l help -d 'Print a short description'
complete -c imptrace -n "not __fish_seen_subcommand_from $commands" -s V -l version -d 'Print the version'
complete -c imptrace -n "not __fish_seen_subcommand_from $commands" -a run -d 'Start a command under the recorder'
complete -c imptrace -n "not __fish_seen_subcommand_from $commands" -a analyze -d 'Say what failed and why'
complete -c imptrace -n "not __fish_seen_subcommand_from $commands" -a attach -d 'Record a process that runs'
complete -c imptrace -n "not __fish_seen_subcommand_from $commands" -a dump -d 'Print every event'

complete -c imptrace -n '__fish_seen_subcommand_from run' -s o -l output -r -d 'Where the trace goes'
complete -c imptrace -n '__fish_seen_subcommand_from run' -l stacks -x -a 'none failures all' -d 'Which events carry stacks'
complete -c imptrace -n '__fish_seen_subcommand_from run' -l audit -d 'Record every path that ld.so tried too'
complete -c imptrace -n '__fish_seen_subcommand_from run' -l bpf -d 'Record what the kernel saw too'
complete -c imptrace -n '__fish_seen_subcommand_from run' -l no-preload -d 'The kernel alone records'
complete -c imptrace -n '__fish_seen_subcommand_from run' -l all-opens -d 'Files opened outside of imports too'
complete -c imptrace -n '__fish_seen_subcommand_from run' -l user -x -a '(__fish_complete_users)' -d 'Run the command as this user'
complete -c imptrace -n '__fish_seen_subcommand_from run' -s h -l help -d 'Print the options'
complete -c imptrace -n '__fish_seen_subcommand_from run' -xa '(__fish_complete_subcommand --fcs-skip=2)'

complete -c imptrace -n '__fish_seen_subcommand_from analyze' -s m -l module -x -d 'Ask about one module'
complete -c imptrace -n '__fish_seen_subcommand_from analyze' -l all -d 'List handled failures of optional modules too'
complete -c imptrace -n '__fish_seen_subcommand_from analyze' -l format -x -a 'text json' -d 'For people or for programs'
complete -c imptrace -n '__fish_seen_subcommand_from analyze' -l no-host -d 'Read the trace alone'
complete -c imptrace -n '__fish_seen_subcommand_from analyze' -l color -x -a 'auto always never' -d 'Use colours'
complete -c imptrace -n '__fish_seen_subcommand_from analyze' -s h -l help -d 'Print the options'

complete -c imptrace -n '__fish_seen_subcommand_from attach' -s o -l output -r -d 'Where the trace goes'
complete -c imptrace -n '__fish_seen_subcommand_from attach' -l backend -x -a 'auto inject bpf' -d 'How to get in'
complete -c imptrace -n '__fish_seen_subcommand_from attach' -l duration -x -d 'Stop after so many seconds'
complete -c imptrace -n '__fish_seen_subcommand_from attach' -l timeout -x -d 'How long to wait for a moment to enter'
complete -c imptrace -n '__fish_seen_subcommand_from attach' -l stacks -x -a 'none failures all' -d 'Which events carry stacks'
complete -c imptrace -n '__fish_seen_subcommand_from attach' -s v -l verbose -d 'Say for how long a thread was held'
complete -c imptrace -n '__fish_seen_subcommand_from attach' -s h -l help -d 'Print the options'
complete -c imptrace -n '__fish_seen_subcommand_from attach' -xa '(__fish_complete_pids)'

complete -c imptrace -n '__fish_seen_subcommand_from dump' -l format -x -a 'text json' -d 'Lines or JSON objects'
complete -c imptrace -n '__fish_seen_subcommand_from dump' -s h -l help -d 'Print the options'
