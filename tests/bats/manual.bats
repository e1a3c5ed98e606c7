#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
#
# manual.bats - the manual page and the completions say what the program does: the same verbs, the same options.

load common

SOURCE=$BATS_TEST_DIRNAME/../..
MANUAL=$SOURCE/man/paddock.1
VERBS='run start stop restart enter ps view logs top wait grant revoke ask grants create list show rm diff commit discard snapshot reset clone export import gc boot channel servers serve console image doctor'

needs()
{
        command -v "$1" >/dev/null || skip "$1 is not installed"
}

# manual - the page as plain text.
manual()
{
        MANWIDTH=120 LC_ALL=C man -E ascii -l "$MANUAL"
}

# section HEADING - what the page says below it.
section()
{
        manual | awk -v heading="   $1" '/^ ? ? ?[^ ]/ { here = $0 == heading; next } here'
}

# option_tags - the options, with their arguments, of lines that begin with them: "-n --name=NAME".
option_tags()
{
        sed -nE 's/^ {2,7}((-[^ ,]), )?(--[a-z-]+(=[^ ]+)?)( .*)?$/\2 \3/p' | sed 's/^ //' | sort
}

documented() { { section "paddock $1"; section 'Every verb'; } | option_tags; }
accepted() { "$PADDOCK" "$1" --help | option_tags; }
accepted_words() { accepted "$1" | tr ' ' '\n' | sed -E 's/=.*/=/'; }

# --- the manual page -------------------------------------------------------------------------------------------------

@test "manual: the pages are formatted without a warning" {
        needs man
        for page in "$SOURCE"/man/*.[0-9]; do
                run sh -c 'LC_ALL=C.UTF-8 man --warnings -E UTF-8 -l -Tutf8 -Z "$1" 2>&1 >/dev/null' sh "$page"
                expect_status 0
                expect_output ''
        done
}

@test "manual: the verbs are those of paddock --help" {
        needs man
        run sh -c '"$PADDOCK" --help | sed -nE "s/^  ([a-z]+) .*/\1/p" | tr "\n" " "'
        expect_output "$VERBS "
        run sh -c 'sed -nE "s/^\.SS \"paddock ([a-z]+)\"/\1/p" "$1" | tr "\n" " "' sh "$MANUAL"
        expect_output "$VERBS "
        run sh -c 'sed -nE "s/^\.SY \"paddock ([a-z]+)\"/\1/p" "$1" | tr "\n" " "' sh "$MANUAL"
        expect_output "$VERBS "
}

@test "manual: each verb has exactly the options that its --help prints" {
        needs man
        for verb in $VERBS; do
                [ -n "$(accepted "$verb")" ]
                diff <(documented "$verb") <(accepted "$verb") || { echo "in: paddock $verb" >&2; return 1; }
        done
}

@test "manual: it names the version of the program" {
        version=$("$PADDOCK" --version)
        grep -F "\"$version\"" "$MANUAL"
}

@test "manual: each example is accepted" {
        mkdir out changes original "$HOME/.config"
        touch hosts
        count=0
        while IFS= read -r line; do
                [[ $line == paddock\ run* ]] || { echo "not an example of run: $line" >&2; return 1; }
                if [[ $line != *--explain ]]; then
                        line="paddock run --explain${line#paddock run}"
                fi
                run sh -c "paddock() { \"\$PADDOCK\" \"\$@\"; }; $line"
                expect_status 0 || { echo "in: $line" >&2; return 1; }
                expect_match '^environment '
                count=$((count + 1))
        done < <(sed -n '/^\.\\" example/,/^\.\\" end/p' "$MANUAL" | sed -n '/^\.EX/,/^\.EE/p' |
                sed -e '/^\./d' -e 's/\\-/-/g' -e 's/\\(ti/~/g')
        [ "$count" -ge 6 ]
        [ -z "$("$PADDOCK" list)" ]
}

# --- completion in bash ----------------------------------------------------------------------------------------------

# complete LINE - what is offered with the cursor at its end, sorted, each on a line. The line is cut as bash cuts it.
complete()
{
        # shellcheck disable=SC2016
        bash --norc -c '
                source "$1" || exit 99
                compopt() { :; } # only to be had while a key is pressed
                COMP_LINE=$2 COMP_POINT=${#2} COMP_WORDS=() rest=$2
                while [ -n "$rest" ]; do
                        if [[ $rest =~ ^[[:space:]]+ ]]; then
                                rest=${rest:${#BASH_REMATCH}}
                                [ -n "$rest" ] || COMP_WORDS+=("")
                        elif [[ $rest =~ ^[=:]+ || $rest =~ ^[^=:[:space:]]+ ]]; then
                                COMP_WORDS+=("$BASH_REMATCH")
                                rest=${rest:${#BASH_REMATCH}}
                        fi
                done
                COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
                _paddock "${COMP_WORDS[0]}" "${COMP_WORDS[COMP_CWORD]}" "" || exit 98
                [ ${#COMPREPLY[@]} = 0 ] || printf "%s\n" "${COMPREPLY[@]}"
        ' bash "$SOURCE/completions/paddock.bash" "$1" 2>&1 | LC_ALL=C sort
}

# offers LINE WORD... - exactly these, in this order.
offers()
{
        local line=$1

        shift
        run complete "$PADDOCK $line"
        expect_output "$(for word; do printf '%s\n' "$word"; done)" || { echo "in: paddock $line" >&2; return 1; }
}

@test "bash completion: it is meant for paddock" {
        # shellcheck disable=SC2016
        run bash --norc -c 'source "$1" && complete -p paddock' bash "$SOURCE/completions/paddock.bash"
        expect_output 'complete -F _paddock paddock'
}

@test "bash completion: verbs" {
        offers '' --help --version ask boot channel clone commit console create diff discard doctor enter export gc grant grants image import list logs ps reset restart revoke rm run serve servers show snapshot \
                start stop top view wait
        offers r reset restart revoke rm run
        offers 'do' doctor
        offers 'di' diff discard
        offers nothing
}

@test "bash completion: each verb's options are those of its --help" {
        for verb in $VERBS; do
                run complete "$PADDOCK $verb -"
                expect_output "$(accepted_words "$verb" | LC_ALL=C sort)" || { echo "in: paddock $verb" >&2; return 1; }
        done
        offers 'run --pri' --private=
        offers 'run --hide x --session --ex' --explain
        offers 'list --no'
        offers 'no-such-verb -'
}

@test "bash completion: names of environments" {
        offers 'run -n '
        "$PADDOCK" create alpha
        "$PADDOCK" create beta
        "$PADDOCK" create b.2
        offers 'run -n ' alpha b.2 beta
        offers 'run -n b' b.2 beta
        offers 'run --name a' alpha
        offers 'run --name=' alpha b.2 beta
        offers 'run --name=be' beta
        offers 'show ' alpha b.2 beta
        offers 'show alpha '
        offers 'rm ' alpha b.2 beta
        offers 'rm beta ' alpha b.2
        offers 'create '
        offers 'list '
        for verb in start stop restart enter ps logs top wait; do offers "$verb " alpha b.2 beta; done
        offers 'stop beta ' alpha b.2
        offers 'start alpha '
        for verb in diff commit discard; do offers "$verb " alpha b.2 beta; done
        touch changed
        offers 'commit alpha ch' changed
        offers 'commit --force ch' changed
        offers 'diff alpha x ch' changed
}

@test "bash completion: values of options" {
        offers 'run --net ' inherit none uplink
        offers 'run --net=n' none
        mkdir emerald && touch ember
        offers 'run --root e' emerald empty
        offers 'run --root=em' emerald empty
        offers 'run --hostname '
}

@test "bash completion: file names of rules, in all their parts" {
        mkdir -p tree/one tree/two 'with blank'
        touch tree/file describe.yaml
        for rule in private mirror share empty hide; do
                offers "run --$rule tree/" tree/file tree/one tree/two
                offers "run --$rule=tree/o" tree/one
        done
        offers 'run --hide with' 'with blank'
        offers 'run --from tr' tree
        offers 'run --from=tree=tree/f' tree/file
        offers 'run --from /opt=tree/t' tree/two
        offers 'run --union /opt=tree/' tree/one tree/two
        offers 'run --union /opt=tree/one:tree/t' tree/two
        offers 'run --union=/opt=tree/one:tree/two:tr' tree
        offers 'run -f desc' describe.yaml
        offers 'run --file=desc' describe.yaml
        offers 'create -f desc' describe.yaml
}

@test "bash completion: the program and its arguments" {
        mkdir bin && touch file-a file-b bin/zzz-plain
        printf '#!/bin/sh\n' >bin/zzz-program
        chmod +x bin/zzz-program
        PATH=$HOME/bin:$PATH
        offers 'run zzz' zzz-program
        offers 'run -- zzz' zzz-program
        offers 'run -n some --hide x --session zzz' zzz-program
        offers 'run --from /a=/b -- zzz' zzz-program
        offers 'run -- ./fi' ./file-a ./file-b
        offers 'run -- zzz-program --na'
        offers 'run zzz-program fi' file-a file-b
        offers 'run zzz-program -n fi' file-a file-b
        offers 'run zzz-program a=fi' file-a file-b
        "$PADDOCK" create some
        offers 'enter some zzz' zzz-program
        offers 'enter --as root some -- zzz' zzz-program
        offers 'enter some zzz-program fi' file-a file-b
}

# --- completion in other shells --------------------------------------------------------------------------------------

@test "completion: the files are valid in their shells" {
        bash -n "$SOURCE/completions/paddock.bash"
        if command -v zsh >/dev/null; then
                zsh -n "$SOURCE/completions/_paddock"
        fi
        if command -v fish >/dev/null; then
                fish -n "$SOURCE/completions/paddock.fish"
        fi
}

@test "completion: zsh and fish know all verbs and options too, and no others" {
        words=$(for verb in $VERBS; do accepted_words "$verb"; done | sed -nE 's/^--([a-z-]+)=?$/\1/p' | sort -u)
        diff <(printf '%s\n' "$words") \
                <(grep -oE -- '--[a-z-]+(=?\[|=?\})' "$SOURCE/completions/_paddock" | sed 's/^--//' | tr -cd 'a-z\n-' |
                        grep -v '^version$' | sort -u)
        diff <(printf '%s\n' "$words") \
                <(grep -E '^complete ' "$SOURCE/completions/paddock.fish" | grep -oE -- ' -l [a-z-]+' | sed 's/ -l //' |
                        grep -v '^version$' | sort -u)
        for verb in $VERBS; do
                grep -qE "^ +'$verb:" "$SOURCE/completions/_paddock"
                grep -qE "^complete .* -a $verb " "$SOURCE/completions/paddock.fish"
        done
}
