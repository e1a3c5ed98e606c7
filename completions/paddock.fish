# SPDX-License-Identifier: GPL-3.0-or-later
#
# paddock.fish - completion of paddock's command line in fish.

# Is the verb one of these?
function __paddock_verb
    set -l words (commandline -opc)
    test (count $words) -ge 2; and contains -- $words[2] $argv
end

function __paddock_no_verb
    test (count (commandline -opc)) -eq 1
end

# The names of environments that are not on the command line yet.
function __paddock_names
    set -l words (commandline -opc)
    set -l program (string replace -r '^~/' "$HOME/" -- $words[1])
    for line in ($program list 2>/dev/null)[2..-1]
        set -l name (string replace -r ' .*' '' -- $line)
        contains -- $name $words[3..-1]; or printf '%s\n' $name
    end
end

# `paddock run`: prints where in the words before the cursor the program stands, or where it would stand. Fails when
# an option waits for its value.
function __paddock_program_at
    set -l words (commandline -opc)
    set -l waits false
    set -l takes -n --name -f --file --private --mirror --share --empty --hide --grant --from --union --root --as --net --publish --allow --hostname --limit
    for i in (seq 3 (count $words))
        if $waits
            set waits false
        else if test "$words[$i]" = --
            math $i + 1
            return 0
        else if string match -q -- '-*' $words[$i]
            contains -- $words[$i] $takes; and set waits true
        else
            echo $i
            return 0
        end
    end
    $waits; and return 1
    math (count $words) + 1
end

# Do options of `paddock run` still come?
function __paddock_run_options
    __paddock_verb run; or return 1
    set -l words (commandline -opc)
    contains -- -- $words; and return 1
    set -l at (__paddock_program_at); or return 0
    test $at -gt (count $words)
end

# Does the program of `paddock run`, or an argument of it, stand at the cursor?
function __paddock_run_program
    __paddock_verb run; and __paddock_program_at >/dev/null; or return 1
    not string match -q -- '-*' (commandline -ct); or not __paddock_run_options
end

# The program of `paddock run` and its arguments, as they are completed without paddock.
function __paddock_program
    set -l words (commandline -opc)
    set -l at (__paddock_program_at); or return
    set -l rest
    test $at -le (count $words); and set rest (string escape -- $words[$at..-1])
    complete --do-complete=(string join ' ' -- $rest (commandline -ct))
end

# PATH=SRC, and with --union PATH=A:B: file names behind the last "=" or ":".
function __paddock_pair
    set -l value (string replace -r '^--(from|union)=' '' -- (commandline -ct))
    set -l last (string replace -r '^.*[=:]' '' -- $value)
    set -l before (string sub -l (math (string length -- "$value") - (string length -- "$last")) -- "$value")
    for name in (complete --do-complete="'' $last")
        printf '%s\n' "$before$name"
    end
end

complete -c paddock -f
complete -c paddock -n __paddock_no_verb -a run -d 'run a program in a private copy of this system'
complete -c paddock -n __paddock_no_verb -a start -d 'start a named environment in the background'
complete -c paddock -n __paddock_no_verb -a stop -d 'end environments and everything that runs in them'
complete -c paddock -n __paddock_no_verb -a restart -d 'stop an environment and start it again'
complete -c paddock -n __paddock_no_verb -a enter -d 'run a program in an environment that was started'
complete -c paddock -n __paddock_no_verb -a ps -d 'show the processes of an environment'
complete -c paddock -n __paddock_no_verb -a view -d 'list the rules of a view, and change them while it runs'
complete -c paddock -n __paddock_no_verb -a logs -d 'print what the programs in the background wrote'
complete -c paddock -n __paddock_no_verb -a top -d 'watch the environments that run, and their processes'
complete -c paddock -n __paddock_no_verb -a wait -d 'wait for the programs in the background to end'
complete -c paddock -n __paddock_no_verb -a grant -d 'give a running environment a right on something outside'
complete -c paddock -n __paddock_no_verb -a revoke -d 'take such a right back, with what is open'
complete -c paddock -n __paddock_no_verb -a ask -d 'have a right asked for at its first use; answer such questions'
complete -c paddock -n __paddock_no_verb -a grants -d 'show what an environment was granted'
complete -c paddock -n __paddock_no_verb -a create -d 'make a named environment from a description'
complete -c paddock -n __paddock_no_verb -a list -d 'list the named environments'
complete -c paddock -n __paddock_no_verb -a show -d 'print the description that reproduces an environment'
complete -c paddock -n __paddock_no_verb -a rm -d 'remove environments and what they changed'
complete -c paddock -n __paddock_no_verb -a diff -d 'tell what an environment has changed'
complete -c paddock -n __paddock_no_verb -a commit -d 'carry changes of an environment to the outside'
complete -c paddock -n __paddock_no_verb -a discard -d 'throw away what an environment has changed'
complete -c paddock -n __paddock_no_verb -a snapshot -d 'keep the state of an environment under a name'
complete -c paddock -n __paddock_no_verb -a reset -d 'take an environment back to a snapshot'
complete -c paddock -n __paddock_no_verb -a clone -d 'make another environment with the same changes'
complete -c paddock -n __paddock_no_verb -a export -d 'write a whole environment into one file'
complete -c paddock -n __paddock_no_verb -a import -d 'restore an environment from such a file'
complete -c paddock -n __paddock_no_verb -a gc -d 'remove layers that nothing holds any more'
complete -c paddock -n __paddock_no_verb -a boot -d 'start another system beside this one'
complete -c paddock -n __paddock_no_verb -a channel -d 'link a running environment with the outside, or with another one'
complete -c paddock -n __paddock_no_verb -a servers -d 'show who answers the roles of an environment'
complete -c paddock -n __paddock_no_verb -a serve -d 'let a program answer a role of a running environment'
complete -c paddock -n __paddock_no_verb -a console -d 'look at the console of such a system, and type on it'
complete -c paddock -n __paddock_no_verb -a image -d 'make, list and remove root file systems to begin from'
complete -c paddock -n __paddock_no_verb -a doctor -d 'tell what this machine can do'
complete -c paddock -n __paddock_no_verb -l help -d 'list the verbs'
complete -c paddock -n __paddock_no_verb -l version -d 'print the version'

set -l run -c paddock -n __paddock_run_options
complete $run -s n -l name -x -a '(__paddock_names)' -d 'run the environment NAME, made when there is none'
complete $run -s f -l file -r -F -d 'describe the environment by FILE'
complete $run -l explain -d 'print what would be done instead of doing it'
complete $run -l json -d 'with --explain: as JSON'
complete $run -l rebase -d 'with -n: remove its layer, and start with a fresh one'
complete $run -l review -d 'at the end, show the changes and ask'
complete $run -l memory -d 'keep the temporary layer in memory'
complete $run -l private -r -F -d 'copy-on-write: changes belong to the environment'
complete $run -l mirror -r -F -d 'see through, read-only'
complete $run -l share -r -F -d 'see through, writes go through'
complete $run -l empty -r -F -d 'nothing of the outside, a place of its own'
complete $run -l hide -r -F -d 'the name is not there'
complete $run -l from -x -a '(__paddock_pair)' -d 'PATH=SRC: PATH is answered from SRC'
complete $run -l union -x -a '(__paddock_pair)' -d 'PATH=A:B: directories as one'
complete $run -l grant -r -F -d 'a revocable right on PATH outside'
complete $run -l root -r -F -a 'host empty' -d 'what the rules lie on'
complete $run -l as -x -a 'self root' -d 'who one is inside'
complete $run -l net -x -a 'inherit none uplink' -d "the main system's network, only loopback, or an uplink"
complete $run -l publish -x -d 'a port outside leads to one inside'
complete $run -l allow -x -d 'only such connections lead out'
complete $run -l session -d "share the session's sockets: bus, agents, display"
complete $run -l hostname -x -d 'host name inside'
complete $run -l limit -x -a 'disk=2G memory=512M tasks=200 cpu=50 io=50 files=1024 over=tell over=stop over=freeze' -d 'what it may use'
complete -c paddock -n __paddock_run_program -a '(__paddock_program)'

complete -c paddock -n '__paddock_verb stop restart' -s g -l grace -x -d 'seconds until what has not ended is killed'
complete -c paddock -n '__paddock_verb stop restart' -s n -l now -d 'kill everything at once'
complete -c paddock -n '__paddock_verb enter' -s a -l as -x -d 'be this user of the environment'
complete -c paddock -n '__paddock_verb view' -l keep -d 'for later starts as well'
complete -c paddock -n '__paddock_verb view' -s j -l json -d 'print the rules as JSON'
complete -c paddock -n '__paddock_verb logs' -s f -l follow -d 'go on until the environment stops'
complete -c paddock -n '__paddock_verb logs' -s n -l lines -x -d 'the last ones only'
complete -c paddock -n '__paddock_verb logs' -s a -l audit -d 'what became of grants instead'
complete -c paddock -n '__paddock_verb grant ask' -l at -r -F -d 'its name inside'
complete -c paddock -n '__paddock_verb grant revoke ask' -l to -x -d 'this user inside'
complete -c paddock -n '__paddock_verb grant' -l for -x -a '15m 1h 1d' -d 'it ends after that time'
complete -c paddock -n '__paddock_verb grant' -l until -x -d 'it ends then'
complete -c paddock -n '__paddock_verb grant' -l once -d 'it ends with its first use'
complete -c paddock -n '__paddock_verb grant ask' -l no-exec -d 'nothing in it can be executed'
complete -c paddock -n '__paddock_verb grant ask' -l plain -d 'natively: what is open stays open'
complete -c paddock -n '__paddock_verb grant' -l keep -d 'at later starts as well'
complete -c paddock -n '__paddock_verb revoke' -l all -d 'everything but what is locked'
complete -c paddock -n '__paddock_verb ask' -s l -l listen -d 'answer questions'
complete -c paddock -n '__paddock_verb grants' -s j -l json -d 'print JSON'
complete -c paddock -n '__paddock_verb grant revoke ask grants; and test (count (commandline -opc)) -eq 2' -a '(__paddock_names)'
complete -c paddock -n '__paddock_verb grant revoke ask; and test (count (commandline -opc)) -gt 2' -F
complete -c paddock -n '__paddock_verb top' -s d -l delay -x -d 'seconds between two pictures'
complete -c paddock -n '__paddock_verb top' -s n -l count -x -d 'end after so many'
complete -c paddock -n '__paddock_verb wait' -s s -l stopped -d 'until the environment is stopped'
complete -c paddock -n '__paddock_verb ps' -s j -l json -d 'print JSON'
complete -c paddock -n '__paddock_verb stop top' -a '(__paddock_names)'
complete -c paddock -n '__paddock_verb start restart enter ps view logs wait; and test (count (commandline -opc)) -eq 2' -a '(__paddock_names)'
complete -c paddock -n '__paddock_verb create' -s f -l file -r -F -d 'the description; - is the standard input'
complete -c paddock -n '__paddock_verb create' -l as -x -a 'self root' -d 'who one is inside'
complete -c paddock -n '__paddock_verb list show diff export import' -s j -l json -d 'print JSON'
complete -c paddock -n '__paddock_verb export import' -s p -l progress -d 'tell how far it is'
complete -c paddock -n '__paddock_verb show' -s u -l unreadable -d 'what root inside was shown without content'
complete -c paddock -n '__paddock_verb diff' -s u -l unified -d 'with the lines that differ in text files'
complete -c paddock -n '__paddock_verb diff' -l stat -d 'with sizes, and a count at the end'
complete -c paddock -n '__paddock_verb diff' -l times -d 'a time of change that differs counts too'
complete -c paddock -n '__paddock_verb diff' -l no-pager -d 'print to the terminal without a pager'
complete -c paddock -n '__paddock_verb commit' -s n -l dry-run -d 'only tell what would be committed'
complete -c paddock -n '__paddock_verb commit' -l force -r -F -d 'at and below PATH whatever changed outside'
complete -c paddock -n '__paddock_verb commit' -l three-way -d 'merge text that changed outside too'
complete -c paddock -n '__paddock_verb commit' -l to -r -F -d 'into an archive, or below a directory'
complete -c paddock -n '__paddock_verb doctor' -l json -d 'print the findings as JSON'
complete -c paddock -n '__paddock_verb import; and test (count (commandline -opc)) -eq 2' -F
complete -c paddock -n '__paddock_verb export; and test (count (commandline -opc)) -gt 2' -F
complete -c paddock -n '__paddock_verb diff commit discard; and test (count (commandline -opc)) -gt 2' -F
complete -c paddock -n '__paddock_verb list' -s s -l size -d 'with the size of each layer'
complete -c paddock -n '__paddock_verb snapshot' -s l -l list -d 'list the snapshots of the environment'
complete -c paddock -n '__paddock_verb snapshot' -s d -l delete -d 'forget the snapshot TAG'
complete -c paddock -n '__paddock_verb show rm' -a '(__paddock_names)'
complete -c paddock -n '__paddock_verb diff commit discard snapshot reset clone export; and test (count (commandline -opc)) -eq 2' -a '(__paddock_names)'
set -l any -c paddock -n '__paddock_verb start stop restart enter ps view logs top wait grant revoke ask grants create list show rm diff commit discard snapshot reset clone export import gc boot channel servers serve console image doctor; or __paddock_run_options'
complete $any -s '?' -l help -d 'print the options'
complete $any -l usage -d 'print the options in short form'
complete -c paddock -n '__paddock_verb image; and test (count (commandline -opc)) -eq 2' -x -a 'debian import list rm verify'
complete -c paddock -n '__paddock_verb image' -s j -l json -d 'list as JSON'
complete -c paddock -n '__paddock_verb image' -s v -l verbose -d 'show all that is said'
complete -c paddock -n '__paddock_verb image' -l tag -x -d 'which of several images'
complete -c paddock -n '__paddock_verb image' -l limit -x -d 'take so many bytes'
complete -c paddock -n '__paddock_verb image' -l include -x -d 'with these packages'
complete -c paddock -n '__paddock_verb image' -l variant -x -d 'a variant of mmdebstrap'
complete -c paddock -n '__paddock_verb image' -l mirror -x -d 'packages from there'
complete -c paddock -n '__paddock_verb boot' -s n -l name -x -a '(__paddock_names)' -d 'what the system is called'
complete -c paddock -n '__paddock_verb boot' -l root -x -a host -d 'over the running system'
complete -c paddock -n '__paddock_verb boot' -l detach -d 'leave it in the background'
complete -c paddock -n '__paddock_verb boot' -l limit -x -a 'memory=512M tasks=200 cpu=50 files=1024' -d 'what it may use'
complete -c paddock -n '__paddock_verb boot' -l net -x -a 'none inherit uplink' -d 'the network'
complete -c paddock -n '__paddock_verb boot' -l publish -x -d 'a port outside leads to one inside'
complete -c paddock -n '__paddock_verb console' -a '(__paddock_names)'
complete -c paddock -n '__paddock_verb servers' -a '(__paddock_names)'
complete -c paddock -n '__paddock_verb servers' -s j -l json -d 'for programs'
complete -c paddock -n '__paddock_verb serve' -a '(__paddock_names) sockets'
complete -c paddock -n '__paddock_verb channel; and test (count (commandline -opc)) -eq 2' -a '(__paddock_names)'
complete -c paddock -n '__paddock_verb channel; and test (count (commandline -opc)) -eq 4' -a 'stream messages port files exec'
complete -c paddock -n '__paddock_verb channel' -l outside -r -d 'a program outside listens there'
complete -c paddock -n '__paddock_verb channel' -l inside -x -d 'a program inside listens there'
complete -c paddock -n '__paddock_verb channel' -l to -x -a '(__paddock_names)' -d 'to another environment'
complete -c paddock -n '__paddock_verb channel' -l keep -d 'at later starts as well'
complete -c paddock -n '__paddock_verb channel' -l remove -x -d 'end this one'
complete -c paddock -n '__paddock_verb channel' -l call -r -d 'inside: ask for a command'
complete -c paddock -n '__paddock_verb channel' -s j -l json -d 'print JSON'
