#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
#
# start.bats - a start in a layer that a hostile program has prepared. Between the making of the view and exec, paddock
# looks names up inside: the working directory, the program, its interpreter, a directory on standard input. A link there to
# /proc/self/fd/N must not lead to a descriptor of paddock's own (CVE-2016-9962, CVE-2024-21626, CVE-2019-5736).

load common

setup_file() { build overwrite held plant; }

# marked - names that a program inside managed to make outside (not in a layer, where they belong).
marked() { find "$PLACE" -name 'ESCAPED*' -not -path '*/layer/*' -not -path '*/inner/*' 2>/dev/null; }

# Makes marks around the working directory, and shows what of paddock's state is visible from there.
mark='for d in . .. ../..; do
        ( : >"$d/ESCAPED" ) 2>/dev/null
        for f in alive.lock setup.lock environment version layer env tmp runs; do
                ( cd "$d" 2>/dev/null && [ -e "$f" ] && [ "$(/bin/pwd 2>/dev/null)" != / ] &&
                  case $f in tmp|env|layer|runs) [ -e alive.lock ] || [ -e version ] ;; esac && echo "fd $0: state: $d/$f" )
        done
done'

# unmarked N - the attack through descriptor N has told and made nothing.
unmarked()
{
        held
        [ -z "$(marked)" ] || { echo "descriptor $1: made outside: $(marked)" >&2; return 1; }
}

# link TARGET - ~/proj is a link to it, as a run has left it in the layer.
link() { inside -n x sh -c "rm -rf ~/proj; ln -s $1 ~/proj"; }

# start_in BELOW TARGET N - starts in proj/BELOW, when proj has become a link to TARGET.
start_in()
{
        link "$2"
        cd "$HOME/proj/$1"
        attack inside -n x sh -c "$mark" "$3"
        cd "$HOME"
        unmarked "$3"
}

# unchanged - what a program outside has become is what it was.
unchanged() { [ "$(sha256sum "$OUT/prog")" = "$before" ] || { echo "descriptor $n: overwritten" >&2; return 1; }; }

# A program outside that overwrites its own file when it is started, and an empty one of ours.
victim()
{
        cp "$BATS_FILE_TMPDIR/overwrite" "$OUT/prog"
        : >tool
        chmod 755 tool "$OUT/prog"
        before=$(sha256sum "$OUT/prog")
}

@test "start: the working directory is a link to a descriptor of paddock" {
        mkdir proj
        for n in $(seq 3 16); do
                start_in . "/proc/self/fd/$n" "$n"
        done
}

@test "start: the working directory is such a link, and another run of the name lives" {
        mkdir proj
        start inside -n x sh -c ': >~/up; exec sleep 60'
        for attempt in $(seq 50); do
                if inside -n x test -e ~/up 2>/dev/null; then break; fi
                [ "$attempt" -lt 50 ] || { echo "a second run does not join the first" >&2; return 1; }
                sleep 0.05
        done
        for n in $(seq 3 16); do
                start_in . "/proc/self/fd/$n" "$n"
        done
}

@test "start: the working directory lies behind such a link" {
        mkdir -p proj/state/paddock proj/paddock
        for n in $(seq 3 16); do
                for below in state/paddock paddock; do
                        start_in "$below" "/proc/self/fd/$n/../.." "$n"
                done
        done
}

@test "start: a directory on standard input is such a link" {
        mkdir proj
        for n in $(seq 3 16); do
                link "/proc/self/fd/$n"
                attack inside -n x sh -c "[ -e /proc/self/fd/0/. ] || exit 0; cd /proc/self/fd/0/. || exit 0; $mark" "$n" <proj
                unmarked "$n"
        done
}

@test "start: the working directory is a link to a directory on standard input" {
        mkdir proj given
        start_in . /proc/self/fd/0 0 <given
}

# The program that is started writes into its own file. On the layer's copy that is its right; a file outside must not change.
@test "start: the program is a link through a descriptor of paddock to a program outside" {
        victim
        for n in $(seq 3 16); do
                for up in ../../../../out ../../out ../out; do
                        inside -n x ln -sfT "/proc/self/fd/$n/$up/prog" tool
                        attack inside -n x ./tool
                        unchanged
                done
        done
}

@test "start: the interpreter of a script is such a link" {
        victim
        for n in $(seq 3 16); do
                for up in ../../../../out ../../out ../out; do
                        inside -n x sh -c "printf '#!/proc/self/fd/%s/%s/prog\n' $n $up >tool; chmod 755 tool"
                        attack inside -n x ./tool
                        unchanged
                done
        done
}

@test "start: a shared directory from an earlier run holds a link for the program" {
        mkdir proj
        victim
        for n in $(seq 3 16); do
                for up in ../../../../out ../../../out ../../out ../out; do
                        inside --share proj ln -sfT "/proc/self/fd/$n/$up/prog" proj/tool
                        attack inside --share proj proj/tool
                        unchanged
                done
        done
}

# runs image/bin/sh -> /proc/self/exe, which is the paddock outside, with the loader and the libraries of the image.
@test "start: the program is a link to /proc/self/exe, the loader hostile: paddock's own file stays as it is" {
        mkdir bin
        cp "$PADDOCK" "$(dirname "$PADDOCK")/paddock-verbs" bin/ || skip "no paddock-verbs beside $PADDOCK"
        printf 'root: %s\n' "$OUT" >desc.yaml
        mkdir -p "$OUT/bin" "$OUT/proc" "$OUT/dev" "$OUT/lib64" "$OUT/run" "$OUT/tmp"
        cp "$BATS_FILE_TMPDIR/held" "$OUT/bin/held"
        ln -s /proc/self/exe "$OUT/bin/tool"
        cp -L /bin/sh "$OUT/bin/sh"
        # The loader's name in an ELF program for this machine, replaced by a program of ours.
        if [ -n "${ESCAPE_TOOLS:-}" ]; then
                cp "$ESCAPE_TOOLS/loader" loader
        else
                cc -nostdlib -static -no-pie -fno-stack-protector -O1 -Wl,-Ttext-segment=0x70000000 -o loader "$BATS_TEST_DIRNAME/loader.c"
        fi
        for name in /lib64/ld-linux-x86-64.so.2 /lib/ld-linux-aarch64.so.1; do
                mkdir -p "$OUT$(dirname "$name")"
                cp loader "$OUT$name"
        done
        before=$(sha256sum bin/*)
        cd /
        attack "$HOME/bin/paddock" run -f "$HOME/desc.yaml" /bin/tool
        attack "$HOME/bin/paddock" run --root "$OUT" /bin/tool
        cd "$HOME"
        [ "$(sha256sum bin/*)" = "$before" ]
}

# The directory that holds the names of an empty root belongs to the layer: a run can put a link where the next run makes a
# mount point.
@test "start: names of the view are made through a link in the layer" {
        mkdir -m 700 "$OUT/victim"
        mkdir -p "$PLACE/tools/a"
        tool plant
        top=/${PLACE#/}
        first=/$(cut -d/ -f2 <<<"$top")
        inside -n x --root empty --mirror "$TOOLS" "$TOOLS/plant" "$first" "$OUT/victim"
        attack untouched "$OUT" inside -n x --root empty --mirror "$TOOLS" "$TOOLS/plant"
        [ "$status" != 99 ] || { cat "$PLACE/complaints" >&2; return 1; }
}

@test "start: an empty directory's names are made through a link in the layer" {
        mkdir -m 700 "$OUT/victim"
        mkdir e
        inside -n x --root empty --mirror /usr --empty "$HOME/e" --mirror "$PLACE/tools" true 2>/dev/null || true
        tool plant
        inside -n y --root empty --empty /e --from "/e/a/tools=$TOOLS" /e/a/tools/plant /e/a "$OUT/victim"
        attack untouched "$OUT" inside -n y --root empty --empty /e --from "/e/a/tools=$TOOLS" /e/a/tools/plant
        [ "$status" != 99 ] || { cat "$PLACE/complaints" >&2; return 1; }
}
