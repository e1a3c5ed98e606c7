# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# paddock.bash - completion of paddock's command line in bash.
#
# Works with bash alone; where the package bash-completion is loaded too, the arguments of the program that
# `paddock run` starts are completed by that program's own completion.
#
# bash cuts the command line at "=" and ":" as well as at blanks, so `--from=/opt=/srv` arrives in five pieces. They are
# put together again with the help of COMP_LINE, and what is answered is cut to the piece that bash will replace.

# Puts the words up to the cursor into `words`, and the last one into `cur`. `piece` is the part of it that bash
# replaces.
__paddock_words()
{
        local line=${COMP_LINE:0:COMP_POINT} i word rest

        words=()
        for ((i = 0; i <= COMP_CWORD; i++)); do
                word=${COMP_WORDS[i]}
                rest=${line#"${line%%[![:space:]]*}"}
                # The last word reaches to the cursor only.
                ((i == COMP_CWORD)) && [[ -n $rest && $word == "$rest"* ]] && word=$rest
                if ((i > 0)) && [[ -n $COMP_LINE && $rest == "$line" && $rest == "$word"* ]]; then
                        words[${#words[@]} - 1]+=$word
                else
                        words+=("$word")
                fi
                line=${rest#"$word"}
        done
        cur=${words[${#words[@]} - 1]}
        piece=$word
        [[ $piece == [=:]* ]] && piece=${piece:1}
}

# The names of environments, each on a line. $1 is the program as it was typed.
__paddock_names()
{
        local program=${1/#\~\//$HOME/} name

        {
                read -r name # the heading
                while read -r name _; do
                        printf '%s\n' "$name"
                done
        } < <("$program" list 2>/dev/null)
}

# Answers with those of the words $2... that begin with $1.
__paddock_among()
{
        local start=$1 word

        shift
        for word; do
                [[ $word != "$start"* ]] || COMPREPLY+=("$word")
        done
}

# Answers with file names (-f) or directories (-d) that begin with $2.
__paddock_files()
{
        local name start=${2//\\/}

        compopt -o filenames 2>/dev/null
        while IFS= read -r name; do
                COMPREPLY+=("$name")
        done < <(compgen "$1" -- "$start")
}

# Answers with the programs of PATH that begin with $1: not with what the shell itself has, which paddock cannot start.
__paddock_programs()
{
        local -A seen=()
        local -a dirs
        local dir file

        IFS=: read -ra dirs <<<"$PATH"
        for dir in "${dirs[@]}"; do
                for file in "${dir:-.}/$1"*; do
                        [[ -f $file && -x $file ]] && seen[${file##*/}]=1
                done
        done
        COMPREPLY=("${!seen[@]}")
}

# Answers with values of the option $1 that begin with $2. Returns 1 when it takes none.
__paddock_value()
{
        local last=${2##*[=:]}

        case $1 in
        -n | --name)
                mapfile -t names < <(__paddock_names "$program")
                __paddock_among "$2" "${names[@]}"
                ;;
        -f | --file | --force | --to | --private | --mirror | --share | --empty | --hide | --grant | --at)
                __paddock_files -f "$2"
                ;;
        --from | --union)
                # PATH, which "=" follows, then SRC or A:B:...
                [[ $2 == *=* ]] || compopt -o nospace 2>/dev/null
                if [[ $2 == *=* && $1 == --union ]]; then
                        compopt -o nospace 2>/dev/null
                        __paddock_files -d "$last"
                else
                        __paddock_files -f "$last"
                fi
                # What stands before is not replaced where bash cuts the line there; put it back for the cut below.
                COMPREPLY=("${COMPREPLY[@]/#/${2:0:${#2} - ${#last}}}")
                ;;
        --root)
                __paddock_among "$2" host empty $(paddock image list 2>/dev/null | sed -n '2,$s/ .*//p')
                __paddock_files -d "$2"
                ;;
        --as)
                __paddock_among "$2" self root
                ;;
        --net)
                __paddock_among "$2" inherit none uplink
                ;;
        --hostname | --limit | --publish | --allow | --for | --until) ;;
        *)
                return 1
                ;;
        esac
}

_paddock()
{
        local -a words names options
        local cur piece program=$1 verb word option value i given=0
        local takes=' -n --name -f --file --private --mirror --share --empty --hide --grant --at --for --until --from --union '

        takes+='--root --as -a --net --publish --allow --hostname --limit --force --to -g --grace --lines -d --delay --count --tag --include --variant --mirror '

        COMPREPLY=()
        __paddock_words
        if ((${#words[@]} == 2)); then
                __paddock_among "$cur" run start stop restart enter ps view logs top wait grant revoke ask grants create list show rm diff commit discard \
                        snapshot reset clone export import gc boot channel servers serve console image doctor --help --version
                return
        fi
        verb=${words[1]}
        case $verb in
        run)
                options=(-n --name= -f --file= --explain --json --rebase --review --memory --private= --mirror= --share= --empty= --hide=
                        --from= --union= --grant= --root= --as= --net= --publish= --allow= --session --hostname= --limit=)
                ;;
        start) options=() ;;
        stop | restart) options=(-g --grace= -n --now) ;;
        enter) options=(-a --as=) ;;
        ps) options=(-j --json) ;;
        view) options=(--keep -j --json) ;;
        logs) options=(-f --follow -n --lines= -a --audit) ;;
        top) options=(-d --delay= -n --count=) ;;
        grant) options=(--at= --to= --for= --until= --once --no-exec --plain --keep) ;;
        revoke) options=(--all --to=) ;;
        ask) options=(-l --listen --at= --to= --no-exec --plain) ;;
        grants) options=(-j --json) ;;
        wait) options=(-s --stopped) ;;
        create) options=(-f --file= --as=) ;;
        list) options=(-j --json -s --size) ;;
        show) options=(-j --json -u --unreadable) ;;
        diff) options=(-u --unified --stat -j --json --times --no-pager) ;;
        commit) options=(-n --dry-run --force= --three-way --to=) ;;
        doctor) options=(--json) ;;
        export | import) options=(-j --json -p --progress) ;;
        boot) options=(-n --name= --root= --detach --net= --publish= --limit=) ;;
        channel) options=(--outside= --inside= --to= --keep --remove= --call= -j --json) ;;
        console) options=() ;;
        servers) options=(-j --json) ;;
        serve) options=() ;;
        image) options=(-j --json --tag= --limit= --include= --variant= --mirror= -v --verbose) ;;
        snapshot) options=(-l --list -d --delete) ;;
        rm | discard | reset | clone | gc) options=() ;;
        *) return ;;
        esac
        options+=(-? --help --usage)

        # What stands before the cursor: options with their values, then arguments.
        option=
        for ((i = 2; i < ${#words[@]} - 1; i++)); do
                word=${words[i]}
                if [[ -n $option ]]; then
                        option=
                elif [[ $word == -- ]]; then
                        ((i++))
                        break
                elif [[ $verb:$word =~ ^(commit:-n|stop:-n|restart:-n|logs:-[fa]|snapshot:-d)$ ]]; then
                        : # what is an option with a value elsewhere
                elif [[ $word == -* ]]; then
                        [[ $takes == *" $word "* ]] && option=$word
                elif [[ $verb == run || ($verb == enter && $given == 1) ]]; then
                        break
                else
                        names+=("$word")
                        given=1
                fi
        done

        if [[ -n $option && $verb:$option =~ ^(enter:(-a|--as)|stop:.*|restart:.*|logs:.*|top:.*|(grant|revoke|ask):--to)$ ]]; then
                : # a user of the environment, a number
        elif [[ -n $option ]]; then
                __paddock_value "$option" "$cur"
        elif [[ $verb == run || ($verb == enter && $given == 1) ]] && { ((i < ${#words[@]} - 1)) || [[ ${words[i - 1]} == -- ]]; }; then
                __paddock_command "$i"
                return
        elif [[ $cur == --*=* ]]; then
                value=${cur#*=}
                __paddock_value "${cur%%=*}" "$value" || return
                COMPREPLY=("${COMPREPLY[@]/#/${cur%%=*}=}")
        elif [[ $cur == -* ]]; then
                __paddock_among "$cur" "${options[@]}"
                [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *= ]] && compopt -o nospace 2>/dev/null
        elif [[ $verb == run || ($verb == enter && $given == 1) ]]; then
                __paddock_command "$i"
                return
        elif [[ $verb == boot ]]; then
                ((given)) || {
                        __paddock_files -f "$cur"
                        __paddock_among "$cur" $("${program/#\~\//$HOME/}" image list 2>/dev/null | sed -n '2,$s/ .*//p')
                }
        elif [[ $verb == image && ${#names[@]} == 0 ]]; then
                __paddock_among "$cur" debian import list rm verify
        elif [[ $verb == image ]]; then
                case ${names[0]} in
                debian) ((${#names[@]} > 1)) || __paddock_among "$cur" bookworm trixie ;;
                import) ((${#names[@]} > 1)) || __paddock_files -f "$cur" ;;
                rm | verify) __paddock_among "$cur" $("${program/#\~\//$HOME/}" image list 2>/dev/null | sed -n '2,$s/ .*//p') ;;
                esac
        elif [[ $verb =~ ^(grant|ask)$ && ${#names[@]} == 2 ]]; then
                __paddock_among "$cur" ro rw
        elif [[ ($verb =~ ^(diff|commit|discard|grant|revoke|ask)$ && $given == 1) || $verb:$given == @(export:1|import:0) ]]; then
                __paddock_files -f "$cur"
        elif [[ $verb =~ ^(snapshot|reset)$ && $given == 1 && ${#names[@]} == 1 ]]; then
                local -a tags

                mapfile -t tags < <("${program/#\~\//$HOME/}" snapshot --list "${names[0]}" 2>/dev/null)
                __paddock_among "$cur" "${tags[@]}"
        elif [[ $verb =~ ^(rm|stop|top)$ || ($verb =~ ^(start|restart|enter|ps|view|logs|wait|grant|revoke|ask|grants|show|diff|commit|discard|snapshot|reset|clone|export)$ && $given == 0) ]]; then
                local -a all

                mapfile -t all < <(__paddock_names "$program")
                for word in "${all[@]}"; do
                        [[ " ${names[*]} " == *" $word "* ]] || __paddock_among "$cur" "$word"
                done
        fi
        # bash replaces only the last piece.
        local before=${cur%"$piece"}
        for ((i = 0; i < ${#COMPREPLY[@]}; i++)); do
                [[ $COMP_WORDBREAKS == *=* && $before == *[=:] ]] && COMPREPLY[i]=${COMPREPLY[i]#"$before"}
        done
        return 0
}

# The program that `paddock run` or `enter` starts, and its arguments. $1 is its place in `words`.
__paddock_command()
{
        local at=0 count=0

        if (($1 == ${#words[@]} - 1)); then
                if [[ $cur == */* || $cur == .* || $cur == \~* ]]; then
                        __paddock_files -f "$piece"
                else
                        __paddock_programs "$cur"
                fi
                return
        fi
        if declare -F _comp_command_offset >/dev/null || declare -F _command_offset >/dev/null; then
                # These count as bash cuts: look for the piece with which the program's word begins.
                local line=${COMP_LINE:0:COMP_POINT} rest
                for ((at = 0; at < COMP_CWORD; at++)); do
                        rest=${line#"${line%%[![:space:]]*}"}
                        [[ $at == 0 || $rest != "$line" ]] && ((count++))
                        ((count == $1 + 1)) && break
                        line=${rest#"${COMP_WORDS[at]}"}
                done
                if declare -F _comp_command_offset >/dev/null; then
                        _comp_command_offset "$at"
                else
                        _command_offset "$at"
                fi
                return
        fi
        __paddock_files -f "$piece"
}

complete -F _paddock paddock
