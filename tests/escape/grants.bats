#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# grants.bats - what a program inside tries with what it was granted.

load ../bats/common
load ../bats/grants
setup_file() { :; }
teardown_file() { :; }
eval "original_$(declare -f teardown)"
teardown() { end_web; original_teardown; }

# Every way to write, or to take the mount away, with namespaces below. Prints what worked.
cat_attempts()
{
        cat <<'END'
try() { what=$1; shift; "$@" >/dev/null 2>&1 && echo "WORKED: $what"; }
ns() { unshare --user --map-root-user --mount --propagation private -- sh -c "$1"; }
try write sh -c "echo x >$X/f"
try remount mount -o remount,bind,rw "$X"
[ "$(id -u)" = 0 ] || try unmount umount -l "$X" # root inside may leave it
try "remount in a namespace" ns "mount -o remount,bind,rw $X && echo x >$X/f"
try "plain remount in a namespace" ns "mount -o remount,rw $X && echo x >$X/f"
try "unmount in a namespace" ns "umount -l $X"
try "bind in a namespace" ns "mkdir -p /tmp/b; mount -t tmpfs none /tmp && mkdir /tmp/b && mount --bind $X /tmp/b && mount -o remount,bind,rw /tmp/b && echo x >/tmp/b/f"
try "rbind of the parent" ns "mount -t tmpfs none /tmp && mkdir /tmp/b && mount --rbind $(dirname "$X") /tmp/b && mount -o remount,bind,rw /tmp/b/x && echo x >/tmp/b/x/f"
try "bind of the parent, without it" ns "mount -t tmpfs none /tmp && mkdir /tmp/b && mount --bind $(dirname "$X") /tmp/b && ls /tmp/b/x/f"
try "two levels" ns "unshare --user --map-root-user --mount sh -c 'mount -o remount,bind,rw $X && echo x >$X/f'"
try "two levels, bind" ns "mount -t tmpfs none /tmp && mkdir /tmp/b && mount --bind $X /tmp/b && unshare --user --map-root-user --mount sh -c 'mount -o remount,bind,rw /tmp/b; echo x >/tmp/b/f'"
try "overlay" ns "mount -t tmpfs none /tmp && mkdir /tmp/u /tmp/w /tmp/m && mount -t overlay -o lowerdir=$X,upperdir=/tmp/u,workdir=/tmp/w none /tmp/m && echo x >/tmp/m/f && [ \"\$(cat $X/f)\" = x ]"
try "move" ns "mkdir -p /tmp/b; mount --move $X /tmp/b"
true
END
}

attempts_fail()
{
        cat_attempts >"$PLACE/attempts"
        run enter sh -c "X=$HOME/x; $(cat "$PLACE/attempts")"
        expect_status 0
        expect_output ''
        [ "$(cat "$OUT/f")" = text ]
        [ "$(enter cat "$HOME/x/f")" = text ]
}

@test "a read-only plain grant cannot be made writable, nor taken away, by any nesting of namespaces" {
        echo text >"$OUT/f"
        web
        grant "$OUT" --plain --at "$HOME/x"
        attempts_fail
}

@test "a read-only revocable grant neither" {
        needs_fuse
        echo text >"$OUT/f"
        web
        grant "$OUT" --at "$HOME/x"
        attempts_fail
}

@test "a namespace that a program made before the grant gets it read-only as well, and loses it with the others" {
        echo text >"$OUT/f"
        web
        enter mkdir -p "$HOME/x"
        start "$PADDOCK" enter web unshare --user --map-root-user --mount --propagation slave sh -c "
                echo ready >$HOME/ready
                until [ -e $HOME/x/f ]; do sleep 0.02; done
                mount -o remount,bind,rw $HOME/x && echo remounted
                echo x >$HOME/x/f && echo written
                echo tried
                until [ ! -e $HOME/x/f ]; do sleep 0.02; done
                echo gone" >"$PLACE/tried" 2>/dev/null
        eventually enter test -e "$HOME/ready"
        grant "$OUT" --plain --at "$HOME/x"
        eventually grep -q tried "$PLACE/tried"
        take "$OUT"
        eventually grep -q gone "$PLACE/tried"
        [ "$(cat "$PLACE/tried")" = $'tried\ngone' ]
        [ "$(cat "$OUT/f")" = text ]
}

@test "the place of a grant, swapped for a link while it is granted: it is refused, or is where it was named" {
        echo text >"$OUT/f"
        mkdir "$PLACE/outside"
        web
        start "$PADDOCK" enter web python3 -c "
import os, time
h = '$HOME'
os.makedirs(h + '/real', exist_ok=True); os.makedirs(h + '/elsewhere/x', exist_ok=True)
end = time.time() + 4
while time.time() < end:
    try:
        os.rename(h + '/real', h + '/place'); os.rename(h + '/place', h + '/real')
        os.symlink(h + '/elsewhere', h + '/place'); os.unlink(h + '/place')
    except OSError: pass"
        for _ in $(seq 60); do
                if "$PADDOCK" grant web "$OUT" --plain --at "$HOME/place/x" >/dev/null 2>&1; then
                        not enter test -e "$HOME/elsewhere/x/f"
                        take "$OUT" >/dev/null
                fi
        done
        wait "$started" || true
        not enter test -e "$HOME/elsewhere/x/f"
        [ "$(cat "$OUT/f")" = text ]
}

@test "what is in the source cannot lead out of it: links, .., and names that are swapped" {
        needs_fuse
        mkdir "$OUT/tree" && echo secret >"$OUT/secret" && ln -s ../secret "$OUT/tree/l" && ln -s "$OUT/secret" "$OUT/tree/m"
        web "  \"$OUT\": empty" 2>/dev/null || true
        [ -e "$XDG_STATE_HOME/paddock/env/web" ] || web
        grant "$OUT/tree" rw --at "$HOME/x"
        run enter cat "$HOME/x/l" "$HOME/x/../x/../secret" "$HOME/x/l/../../secret"
        not grep -q secret$ <<<"$(grep -v 'No such file' <<<"$output")"
        # through a race of a directory with a link, from inside
        enter sh -c "mkdir -p $HOME/x/d; echo in >$HOME/x/d/secret"
        start "$PADDOCK" enter web sh -c "end=\$((\$(date +%s) + 3)); while [ \$(date +%s) -lt \$end ]; do mv $HOME/x/d $HOME/x/e; ln -s .. $HOME/x/d; rm $HOME/x/d; mv $HOME/x/e $HOME/x/d; done"
        run enter sh -c "end=\$((\$(date +%s) + 2)); while [ \$(date +%s) -lt \$end ]; do cat $HOME/x/d/secret; done 2>/dev/null"
        not grep -qx secret <<<"$output"
        [ "$(cat "$OUT/secret")" = secret ]
}

@test "root inside neither: a read-only grant stays so" {
        is_root || command -v newuidmap >/dev/null || skip "no newuidmap"
        is_root || grep -q "^$(id -un):" /etc/subuid || skip "no subordinate ids"
        needs_fuse
        echo text >"$OUT/f"
        chmod 755 "$PLACE" "$OUT"
        "$PADDOCK" create --as root web
        "$PADDOCK" start web
        enter mkdir -p /srv/x /mnt/b
        for kind in --plain --once; do
                grant "$OUT" $kind --at /srv/x
                enter sh -c "
                        mount -o remount,bind,rw /srv/x; mount -o remount,rw /srv/x; echo x >/srv/x/f
                        mount --bind /srv/x /mnt/b; mount -o remount,bind,rw /mnt/b; echo x >/mnt/b/f; umount /mnt/b
                        unshare -m sh -c 'mount -o remount,bind,rw /srv/x; echo x >/srv/x/f'
                        unshare -Urm sh -c 'mount -o remount,bind,rw /srv/x; echo x >/srv/x/f'
                        true" 2>/dev/null
                [ "$(cat "$OUT/f")" = text ]
                take "$OUT" || true
        done
        "$PADDOCK" stop --now web
        "$PADDOCK" rm web
}
