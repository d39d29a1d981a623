# SPDX-License-Identifier: GPL-2.0-or-later
# bash completion for imptrace(1)

_imptrace()
{
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}
	local command=${COMP_WORDS[1]} options= i

	COMPREPLY=()
	if [ "$COMP_CWORD" -eq 1 ]; then
		COMPREPLY=($(compgen -W 'run analyze attach dump --help --version' -- "$cur"))
		return
	fi
	# "--format=te" reaches us as three words: "--format", "=", "te".
	if [ "$cur" = = ]; then
		cur=
	elif [ "$prev" = = ]; then
		prev=${COMP_WORDS[COMP_CWORD-2]}
	fi
	case $prev in
	--format)
		COMPREPLY=($(compgen -W 'text json' -- "$cur"))
		return
		;;
	--color)
		COMPREPLY=($(compgen -W 'auto always never' -- "$cur"))
		return
		;;
	--stacks)
		COMPREPLY=($(compgen -W 'none failures all' -- "$cur"))
		return
		;;
	--backend)
		COMPREPLY=($(compgen -W 'auto inject bpf' -- "$cur"))
		return
		;;
	-o | --output)
		compopt -o default
		return
		;;
	--user)
		COMPREPLY=($(compgen -u -- "$cur"))
		return
		;;
	-m | --module | --timeout | --duration)
		return
		;;
	esac
	case $command in
	run)
		# Behind the first word that is no option, or "--", it is the command's own business.
		for ((i = 2; i < COMP_CWORD; i++)); do
			case ${COMP_WORDS[i]} in
			--)
				compopt -o default
				[ "$i" -ne $((COMP_CWORD - 1)) ] || COMPREPLY=($(compgen -c -- "$cur"))
				return
				;;
			-o | --output | --stacks | --user) i=$((i + 1)) ;;
			-* | =) ;;
			*)
				compopt -o default
				return
				;;
			esac
		done
		options='-o --output --stacks --audit --bpf --no-preload --all-opens --user -h --help --'
		[ "${cur#-}" != "$cur" ] || COMPREPLY=($(compgen -c -- "$cur"))
		;;
	analyze)
		options='-m --module --all --format --no-host --color -h --help'
		compopt -o default
		;;
	attach)
		options='-o --output --backend --duration --timeout --stacks -v --verbose -h --help'
		[ "${cur#-}" != "$cur" ] || COMPREPLY=($(compgen -W "$(ps -eo pid=)" -- "$cur"))
		;;
	dump)
		options='--format -h --help'
		compopt -o default
		;;
	esac
	[ "${cur#-}" = "$cur" ] || COMPREPLY=($(compgen -W "$options" -- "$cur"))
	case ${COMPREPLY[*]} in
	--format | --color | --stacks | --backend | --duration | --timeout | --module | --output | --user)
		compopt -o nospace
		COMPREPLY=("${COMPREPLY[0]}=")
		;;
	esac
}
complete -F _imptrace imptrace
