#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
#
# mounts.bats - what a rule shows read-only, hides or covers cannot be undone from inside: not with the rights that the
# program has, and not as root of nested user and mount namespaces.

load common

setup_file() { build mounts; }

# Looks at a name that a rule covers, which outside holds SECRET.
covered() { # covered DIR NAME OPTION...
        local dir=$1 name=$2

        shift 2
        tool mounts
        attack inside "$@" "$TOOLS/mounts" look "$dir" "$name"
        held
}

unwritable() { # unwritable DIR OPTION...
        local dir=$1

        shift
        tool mounts
        attack untouched "$dir" inside "$@" "$TOOLS/mounts" write "$dir" file
        held
}

setup_tree() {
        mkdir "$OUT/d" "$OUT/other"
        echo data >"$OUT/d/file"
        echo SECRET >"$OUT/d/secret"
        echo SECRET >"$OUT/other/secret"
}

@test "mounts: the attacks work where nothing stands in their way" {
        setup_tree
        tool mounts
        attack inside --share "$OUT" "$TOOLS/mounts" write "$OUT/d" file
        [[ $output == *remount* ]]
        attack inside "$TOOLS/mounts" look "$OUT/d" secret
        [[ $output == *"umount (nested)"* ]]
}

@test "mounts: a mirror stays read-only" {
        setup_tree
        unwritable "$OUT/d" --mirror "$OUT"
        unwritable "$OUT/d" --mirror "$OUT/d"
        unwritable "$OUT/d" --mirror /
}

@test "mounts: a mirror below a share stays read-only" {
        setup_tree
        unwritable "$OUT/d" --share "$OUT" --mirror "$OUT/d"
}

@test "mounts: a single file in a share stays read-only" {
        setup_tree
        unwritable "$OUT/d" --share "$OUT" --mirror "$OUT/d/file"
}

@test "mounts: the main system stays read-only below the rules" {
        is_root && skip "root has a layer over everything"
        tool mounts
        attack inside "$TOOLS/mounts" write /etc passwd
        held
}

@test "mounts: a hidden file stays hidden, in a layer, a mirror and a share" {
        setup_tree
        covered "$OUT/d" secret --hide "$OUT/d/secret"
        covered "$OUT/d" secret --mirror "$OUT" --hide "$OUT/d/secret"
        covered "$OUT/d" secret --share "$OUT" --hide "$OUT/d/secret"
        covered "$OUT/d" secret --share / --hide "$OUT/d/secret"
}

@test "mounts: a hidden directory stays hidden" {
        setup_tree
        covered "$OUT/d" secret --hide "$OUT/d"
        covered "$OUT/d" secret --mirror "$OUT" --hide "$OUT/d"
        covered "$OUT/d" secret --share "$OUT" --hide "$OUT/d"
}

@test "mounts: nothing is seen below an empty directory or another source" {
        setup_tree
        mkdir "$OUT/new"
        covered "$OUT/d" secret --empty "$OUT/d"
        covered "$OUT/d" secret --share "$OUT" --empty "$OUT/d"
        covered "$OUT/d" secret --from "$OUT/d=$OUT/new"
        covered "$OUT/d" secret --mirror "$OUT" --from "$OUT/d=$OUT/new"
}

@test "mounts: an empty root shows nothing of the main system" {
        setup_tree
        tool mounts
        attack inside --root empty --mirror "$TOOLS" "$TOOLS/mounts" look "$OUT/d" secret
        held
        mkdir "$PLACE/root"
        attack inside --root "$PLACE/root" --mirror "$TOOLS" "$TOOLS/mounts" look "$OUT/d" secret
        held
}

@test "mounts: paddock's state cannot be uncovered" {
        tool mounts
        inside -n other true
        echo SECRET >"$XDG_STATE_HOME/paddock/secret"
        for rule in --private --mirror --share; do
                attack inside "$rule" "$PLACE" "$TOOLS/mounts" look "$XDG_STATE_HOME/paddock" secret
                held
        done
        attack inside --share / "$TOOLS/mounts" look "$XDG_STATE_HOME/paddock" secret
        held
}

# A name in a shared tree is the main system's. The kernel refuses to rename or remove one that carries a mount, but asks only
# the caller's own mount namespace: a program that makes one of its own can move the name, not what stands on it here. That
# is said in the manual and in doc/architecture.md; what ordinary calls can do is held.
@test "mounts: a name in a share on which another rule stands is not taken away by ordinary calls" {
        setup_tree
        mkdir "$OUT/d/ro"
        echo data >"$OUT/d/ro/file"
        for rule in --hide --mirror --empty; do
                run inside --share "$OUT/d" "$rule" "$OUT/d/ro" sh -c "mv '$OUT/d/ro' '$OUT/d/moved'; rm -rf '$OUT/d/ro'; mkdir '$OUT/new' && mv -T '$OUT/new' '$OUT/d/ro'"
                [ -e "$OUT/d/ro/file" ] && [ ! -e "$OUT/d/moved" ]
        done
}

@test "mounts: paddock's state in a share, and the directories above it, are not taken away by ordinary calls" {
        inside -n other true
        run inside --share "$PLACE" sh -c "mv '$XDG_STATE_HOME/paddock' '$XDG_STATE_HOME/moved'; mv '$XDG_STATE_HOME' '$PLACE/moved'; rm -rf '$XDG_STATE_HOME'"
        [ -d "$XDG_STATE_HOME/paddock/env/other" ]
}
