# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
# layers.bash - what the tests of diff, commit, discard and snapshot share. Loaded after common.

TREES="/usr/bin/python3 $BATS_TEST_DIRNAME/trees.py"

# changes ARGUMENT... - `paddock diff env`, with the home directory taken out of the names.
changes() { "$PADDOCK" diff env --no-pager "$@" | sed "s|$HOME/||g; s|$HOME||g"; }

# expect_changes LINE... - those are all the changes.
expect_changes()
{
        diff <(printf '%s\n' "$@") <(changes) >&2
}

no_changes() { [ -z "$("$PADDOCK" diff env)" ] || { "$PADDOCK" diff env >&2; return 1; }; }

# env COMMAND... - in the environment `env`.
env_run() { "$PADDOCK" run -n env -- "$@"; }
sh_in() { env_run sh -ec "$1"; }

# tick - until file times differ: what comes after is later than what was before, for every kernel's clock.
tick() { sleep 0.02; }

# nothing_of_ours DIR - no name of an unfinished commit.
nothing_of_ours() { [ -z "$(find "$1" -name '.paddock*')" ]; }

# sweep - an empty home and no environments, for the next of many cases.
sweep()
{
        chmod -R u+rwX "$HOME" "$XDG_STATE_HOME"
        find "$HOME" "$XDG_STATE_HOME" -mindepth 1 -delete
}
