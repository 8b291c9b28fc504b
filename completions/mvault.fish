# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_mvault_global_optspecs
    string join \n C= json q/quiet color= no-pager h/help V/version
end

function __fish_mvault_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_mvault_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_mvault_using_subcommand
    set -l cmd (__fish_mvault_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c mvault -n "__fish_mvault_needs_command" -s C -d 'Act as if started in DIR' -r -F
complete -c mvault -n "__fish_mvault_needs_command" -l color -d 'When to colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c mvault -n "__fish_mvault_needs_command" -l json -d 'Tell everything as JSON: one object, or one a line'
complete -c mvault -n "__fish_mvault_needs_command" -s q -l quiet -d 'Say nothing but data and errors'
complete -c mvault -n "__fish_mvault_needs_command" -l no-pager -d 'Never start a pager'
complete -c mvault -n "__fish_mvault_needs_command" -s h -l help -d 'Print help'
complete -c mvault -n "__fish_mvault_needs_command" -s V -l version -d 'Print version'
complete -c mvault -n "__fish_mvault_needs_command" -f -a "demo" -d 'Watch two devices part and come together, in a temporary folder'
complete -c mvault -n "__fish_mvault_needs_command" -f -a "init" -d 'Make a vault of a folder'
complete -c mvault -n "__fish_mvault_needs_command" -f -a "commit" -d 'Keep what is on disk as the next state'
complete -c mvault -n "__fish_mvault_needs_command" -f -a "status" -d 'Tell what changed and where the branch stands'
complete -c mvault -n "__fish_mvault_needs_command" -f -a "log" -d 'Tell the history, newest first'
complete -c mvault -n "__fish_mvault_needs_command" -f -a "show" -d 'Show a commit, or a file as it was'
complete -c mvault -n "__fish_mvault_needs_command" -f -a "diff" -d 'Tell what differs between states, or from the files on disk'
complete -c mvault -n "__fish_mvault_needs_command" -f -a "checkout" -d 'Look at another state, or bring files back from one'
complete -c mvault -n "__fish_mvault_needs_command" -f -a "rollback" -d 'Make an older state the newest'
complete -c mvault -n "__fish_mvault_needs_command" -f -a "undo" -d 'Take an operation back'
complete -c mvault -n "__fish_mvault_needs_command" -f -a "branch" -d 'List or make branches'
complete -c mvault -n "__fish_mvault_needs_command" -f -a "switch" -d 'Go to another branch'
complete -c mvault -n "__fish_mvault_needs_command" -f -a "tag" -d 'List, set or remove names for commits'
complete -c mvault -n "__fish_mvault_needs_command" -f -a "trust" -d 'Confirm a vault that was not made on this device'
complete -c mvault -n "__fish_mvault_needs_command" -f -a "remote" -d 'Name other devices'
complete -c mvault -n "__fish_mvault_needs_command" -f -a "clone" -d 'Make a new device of a vault'
complete -c mvault -n "__fish_mvault_needs_command" -f -a "fetch" -d 'Bring what other devices have, and leave the files alone'
complete -c mvault -n "__fish_mvault_needs_command" -f -a "pull" -d 'Bring what other devices have, and reconcile'
complete -c mvault -n "__fish_mvault_needs_command" -f -a "push" -d 'Give other devices what they lack'
complete -c mvault -n "__fish_mvault_needs_command" -f -a "sync" -d 'Commit, pull and push: both devices have the same head'
complete -c mvault -n "__fish_mvault_needs_command" -f -a "bundle" -d 'Put what other devices lack into one file, or check such a file'
complete -c mvault -n "__fish_mvault_needs_command" -f -a "serve" -d 'The far end of the wire'
complete -c mvault -n "__fish_mvault_needs_command" -f -a "reconcile" -d 'Bring together what other devices have sent'
complete -c mvault -n "__fish_mvault_needs_command" -f -a "conflicts" -d 'Show what is in conflict'
complete -c mvault -n "__fish_mvault_needs_command" -f -a "resolve" -d 'Choose for a conflict'
complete -c mvault -n "__fish_mvault_needs_command" -f -a "audit" -d 'Tell the operations, or check their chain'
complete -c mvault -n "__fish_mvault_needs_command" -f -a "purge" -d 'Remove bytes for good: a secret that got in'
complete -c mvault -n "__fish_mvault_needs_command" -f -a "verify" -d 'Check everything the vault keeps'
complete -c mvault -n "__fish_mvault_needs_command" -f -a "fsck" -d 'Check everything the vault keeps'
complete -c mvault -n "__fish_mvault_needs_command" -f -a "gc" -d 'Compact the store'
complete -c mvault -n "__fish_mvault_needs_command" -f -a "repair" -d 'Put right what is damaged: save what is whole, bring back what is lost'
complete -c mvault -n "__fish_mvault_needs_command" -f -a "stats" -d 'Tell how much the vault keeps'
complete -c mvault -n "__fish_mvault_needs_command" -f -a "doctor" -d 'Try what holds on this machine'
complete -c mvault -n "__fish_mvault_needs_command" -f -a "cat" -d 'Print an object\'s bytes'
complete -c mvault -n "__fish_mvault_needs_command" -f -a "note" -d 'Write a line of text into an event stream'
complete -c mvault -n "__fish_mvault_needs_command" -f -a "events" -d 'Add, list, check, export and import events'
complete -c mvault -n "__fish_mvault_needs_command" -f -a "write" -d 'Write a file atomically from standard input, and commit it'
complete -c mvault -n "__fish_mvault_needs_command" -f -a "seal" -d 'Give edited distillates a new seal'
complete -c mvault -n "__fish_mvault_needs_command" -f -a "rejections" -d 'Tell what was refused'
complete -c mvault -n "__fish_mvault_needs_command" -f -a "quarantine" -d 'List, show, bring back or drop what was refused'
complete -c mvault -n "__fish_mvault_needs_command" -f -a "boot" -d 'Tell what an agent should know when it starts'
complete -c mvault -n "__fish_mvault_needs_command" -f -a "standup" -d 'Tell what each device added since yesterday'
complete -c mvault -n "__fish_mvault_needs_command" -f -a "handoff" -d 'Leave a task for another agent or device, take one, say it is done'
complete -c mvault -n "__fish_mvault_needs_command" -f -a "mcp" -d 'Offer the vault as tools to agents (MCP); programs run it'
complete -c mvault -n "__fish_mvault_needs_command" -f -a "memory" -d 'Carry out a model\'s memory tool; programs run it'
complete -c mvault -n "__fish_mvault_needs_command" -f -a "import" -d 'Take in what other tools left on disk'
complete -c mvault -n "__fish_mvault_needs_command" -f -a "session" -d 'Begin, end, list and show agents\' sessions'
complete -c mvault -n "__fish_mvault_needs_command" -f -a "hook" -d 'Answer a host of agents; hosts run it'
complete -c mvault -n "__fish_mvault_needs_command" -f -a "hooks" -d 'Wire agents to the vault'
complete -c mvault -n "__fish_mvault_needs_command" -f -a "hash" -d 'Print the id that files would have'
complete -c mvault -n "__fish_mvault_needs_command" -f -a "git" -d 'Move history to git'
complete -c mvault -n "__fish_mvault_needs_command" -f -a "completions" -d 'Print a completion script for a shell'
complete -c mvault -n "__fish_mvault_needs_command" -f -a "man" -d 'Write the manual pages into a folder'
complete -c mvault -n "__fish_mvault_using_subcommand demo" -s C -d 'Act as if started in DIR' -r -F
complete -c mvault -n "__fish_mvault_using_subcommand demo" -l color -d 'When to colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c mvault -n "__fish_mvault_using_subcommand demo" -l json -d 'Tell everything as JSON: one object, or one a line'
complete -c mvault -n "__fish_mvault_using_subcommand demo" -s q -l quiet -d 'Say nothing but data and errors'
complete -c mvault -n "__fish_mvault_using_subcommand demo" -l no-pager -d 'Never start a pager'
complete -c mvault -n "__fish_mvault_using_subcommand demo" -s h -l help -d 'Print help'
complete -c mvault -n "__fish_mvault_using_subcommand init" -l device -d 'This device\'s name: small letters, digits and dashes; the machine\'s name without it' -r
complete -c mvault -n "__fish_mvault_using_subcommand init" -s C -d 'Act as if started in DIR' -r -F
complete -c mvault -n "__fish_mvault_using_subcommand init" -l color -d 'When to colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c mvault -n "__fish_mvault_using_subcommand init" -l json -d 'Tell everything as JSON: one object, or one a line'
complete -c mvault -n "__fish_mvault_using_subcommand init" -s q -l quiet -d 'Say nothing but data and errors'
complete -c mvault -n "__fish_mvault_using_subcommand init" -l no-pager -d 'Never start a pager'
complete -c mvault -n "__fish_mvault_using_subcommand init" -s h -l help -d 'Print help'
complete -c mvault -n "__fish_mvault_using_subcommand commit" -s m -l message -d 'What was done; without it a line is made from the changes' -r
complete -c mvault -n "__fish_mvault_using_subcommand commit" -l session -d 'The agent\'s session that this closes' -r
complete -c mvault -n "__fish_mvault_using_subcommand commit" -l allow -d 'Let a reason for refusal not count this once, for one path or for all' -r
complete -c mvault -n "__fish_mvault_using_subcommand commit" -s C -d 'Act as if started in DIR' -r -F
complete -c mvault -n "__fish_mvault_using_subcommand commit" -l color -d 'When to colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c mvault -n "__fish_mvault_using_subcommand commit" -l strict -d 'Refuse the whole commit if any file is refused'
complete -c mvault -n "__fish_mvault_using_subcommand commit" -l json -d 'Tell everything as JSON: one object, or one a line'
complete -c mvault -n "__fish_mvault_using_subcommand commit" -s q -l quiet -d 'Say nothing but data and errors'
complete -c mvault -n "__fish_mvault_using_subcommand commit" -l no-pager -d 'Never start a pager'
complete -c mvault -n "__fish_mvault_using_subcommand commit" -s h -l help -d 'Print help'
complete -c mvault -n "__fish_mvault_using_subcommand status" -s C -d 'Act as if started in DIR' -r -F
complete -c mvault -n "__fish_mvault_using_subcommand status" -l color -d 'When to colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c mvault -n "__fish_mvault_using_subcommand status" -l json -d 'Tell everything as JSON: one object, or one a line'
complete -c mvault -n "__fish_mvault_using_subcommand status" -s q -l quiet -d 'Say nothing but data and errors'
complete -c mvault -n "__fish_mvault_using_subcommand status" -l no-pager -d 'Never start a pager'
complete -c mvault -n "__fish_mvault_using_subcommand status" -s h -l help -d 'Print help'
complete -c mvault -n "__fish_mvault_using_subcommand log" -s n -l max-count -d 'At most so many commits' -r
complete -c mvault -n "__fish_mvault_using_subcommand log" -l device -d 'Only what this device made' -r
complete -c mvault -n "__fish_mvault_using_subcommand log" -l session -d 'Only what was made in this session' -r
complete -c mvault -n "__fish_mvault_using_subcommand log" -l since -d 'Only what was made at this time or later: `yesterday`, `2 days ago`, `2026-11-22`' -r
complete -c mvault -n "__fish_mvault_using_subcommand log" -s C -d 'Act as if started in DIR' -r -F
complete -c mvault -n "__fish_mvault_using_subcommand log" -l color -d 'When to colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c mvault -n "__fish_mvault_using_subcommand log" -l oneline -d 'One line a commit'
complete -c mvault -n "__fish_mvault_using_subcommand log" -l graph -d 'Draw the lines of descent'
complete -c mvault -n "__fish_mvault_using_subcommand log" -s p -l patch -d 'Show what each commit changed'
complete -c mvault -n "__fish_mvault_using_subcommand log" -l all -d 'From all branches, tags and devices, with every commit that reconcile made and the root'
complete -c mvault -n "__fish_mvault_using_subcommand log" -l json -d 'Tell everything as JSON: one object, or one a line'
complete -c mvault -n "__fish_mvault_using_subcommand log" -s q -l quiet -d 'Say nothing but data and errors'
complete -c mvault -n "__fish_mvault_using_subcommand log" -l no-pager -d 'Never start a pager'
complete -c mvault -n "__fish_mvault_using_subcommand log" -s h -l help -d 'Print help'
complete -c mvault -n "__fish_mvault_using_subcommand show" -s C -d 'Act as if started in DIR' -r -F
complete -c mvault -n "__fish_mvault_using_subcommand show" -l color -d 'When to colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c mvault -n "__fish_mvault_using_subcommand show" -l json -d 'Tell everything as JSON: one object, or one a line'
complete -c mvault -n "__fish_mvault_using_subcommand show" -s q -l quiet -d 'Say nothing but data and errors'
complete -c mvault -n "__fish_mvault_using_subcommand show" -l no-pager -d 'Never start a pager'
complete -c mvault -n "__fish_mvault_using_subcommand show" -s h -l help -d 'Print help'
complete -c mvault -n "__fish_mvault_using_subcommand diff" -s C -d 'Act as if started in DIR' -r -F
complete -c mvault -n "__fish_mvault_using_subcommand diff" -l color -d 'When to colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c mvault -n "__fish_mvault_using_subcommand diff" -l stat -d 'Count lines instead of showing them'
complete -c mvault -n "__fish_mvault_using_subcommand diff" -l json -d 'Tell everything as JSON: one object, or one a line'
complete -c mvault -n "__fish_mvault_using_subcommand diff" -s q -l quiet -d 'Say nothing but data and errors'
complete -c mvault -n "__fish_mvault_using_subcommand diff" -l no-pager -d 'Never start a pager'
complete -c mvault -n "__fish_mvault_using_subcommand diff" -s h -l help -d 'Print help'
complete -c mvault -n "__fish_mvault_using_subcommand checkout" -l allow -d 'Let a reason for refusal not count this once, for one path or for all' -r
complete -c mvault -n "__fish_mvault_using_subcommand checkout" -s C -d 'Act as if started in DIR' -r -F
complete -c mvault -n "__fish_mvault_using_subcommand checkout" -l color -d 'When to colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c mvault -n "__fish_mvault_using_subcommand checkout" -l json -d 'Tell everything as JSON: one object, or one a line'
complete -c mvault -n "__fish_mvault_using_subcommand checkout" -s q -l quiet -d 'Say nothing but data and errors'
complete -c mvault -n "__fish_mvault_using_subcommand checkout" -l no-pager -d 'Never start a pager'
complete -c mvault -n "__fish_mvault_using_subcommand checkout" -s h -l help -d 'Print help'
complete -c mvault -n "__fish_mvault_using_subcommand rollback" -s m -l message -d 'Why' -r
complete -c mvault -n "__fish_mvault_using_subcommand rollback" -s C -d 'Act as if started in DIR' -r -F
complete -c mvault -n "__fish_mvault_using_subcommand rollback" -l color -d 'When to colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c mvault -n "__fish_mvault_using_subcommand rollback" -l streams -d 'Take event streams back as well: what happened is then no longer in them'
complete -c mvault -n "__fish_mvault_using_subcommand rollback" -l json -d 'Tell everything as JSON: one object, or one a line'
complete -c mvault -n "__fish_mvault_using_subcommand rollback" -s q -l quiet -d 'Say nothing but data and errors'
complete -c mvault -n "__fish_mvault_using_subcommand rollback" -l no-pager -d 'Never start a pager'
complete -c mvault -n "__fish_mvault_using_subcommand rollback" -s h -l help -d 'Print help'
complete -c mvault -n "__fish_mvault_using_subcommand undo" -s C -d 'Act as if started in DIR' -r -F
complete -c mvault -n "__fish_mvault_using_subcommand undo" -l color -d 'When to colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c mvault -n "__fish_mvault_using_subcommand undo" -l streams -d 'Take event streams back as well'
complete -c mvault -n "__fish_mvault_using_subcommand undo" -l json -d 'Tell everything as JSON: one object, or one a line'
complete -c mvault -n "__fish_mvault_using_subcommand undo" -s q -l quiet -d 'Say nothing but data and errors'
complete -c mvault -n "__fish_mvault_using_subcommand undo" -l no-pager -d 'Never start a pager'
complete -c mvault -n "__fish_mvault_using_subcommand undo" -s h -l help -d 'Print help'
complete -c mvault -n "__fish_mvault_using_subcommand branch" -s C -d 'Act as if started in DIR' -r -F
complete -c mvault -n "__fish_mvault_using_subcommand branch" -l color -d 'When to colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c mvault -n "__fish_mvault_using_subcommand branch" -l json -d 'Tell everything as JSON: one object, or one a line'
complete -c mvault -n "__fish_mvault_using_subcommand branch" -s q -l quiet -d 'Say nothing but data and errors'
complete -c mvault -n "__fish_mvault_using_subcommand branch" -l no-pager -d 'Never start a pager'
complete -c mvault -n "__fish_mvault_using_subcommand branch" -s h -l help -d 'Print help'
complete -c mvault -n "__fish_mvault_using_subcommand switch" -s C -d 'Act as if started in DIR' -r -F
complete -c mvault -n "__fish_mvault_using_subcommand switch" -l color -d 'When to colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c mvault -n "__fish_mvault_using_subcommand switch" -s c -l create -d 'Make the branch'
complete -c mvault -n "__fish_mvault_using_subcommand switch" -l json -d 'Tell everything as JSON: one object, or one a line'
complete -c mvault -n "__fish_mvault_using_subcommand switch" -s q -l quiet -d 'Say nothing but data and errors'
complete -c mvault -n "__fish_mvault_using_subcommand switch" -l no-pager -d 'Never start a pager'
complete -c mvault -n "__fish_mvault_using_subcommand switch" -s h -l help -d 'Print help'
complete -c mvault -n "__fish_mvault_using_subcommand tag" -s C -d 'Act as if started in DIR' -r -F
complete -c mvault -n "__fish_mvault_using_subcommand tag" -l color -d 'When to colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c mvault -n "__fish_mvault_using_subcommand tag" -s d -l delete -d 'Take the name away'
complete -c mvault -n "__fish_mvault_using_subcommand tag" -l json -d 'Tell everything as JSON: one object, or one a line'
complete -c mvault -n "__fish_mvault_using_subcommand tag" -s q -l quiet -d 'Say nothing but data and errors'
complete -c mvault -n "__fish_mvault_using_subcommand tag" -l no-pager -d 'Never start a pager'
complete -c mvault -n "__fish_mvault_using_subcommand tag" -s h -l help -d 'Print help'
complete -c mvault -n "__fish_mvault_using_subcommand trust" -l remove -d 'Stop trusting a vault; its folder may be gone' -r -F
complete -c mvault -n "__fish_mvault_using_subcommand trust" -s C -d 'Act as if started in DIR' -r -F
complete -c mvault -n "__fish_mvault_using_subcommand trust" -l color -d 'When to colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c mvault -n "__fish_mvault_using_subcommand trust" -l list -d 'List the trusted vaults'
complete -c mvault -n "__fish_mvault_using_subcommand trust" -l json -d 'Tell everything as JSON: one object, or one a line'
complete -c mvault -n "__fish_mvault_using_subcommand trust" -s q -l quiet -d 'Say nothing but data and errors'
complete -c mvault -n "__fish_mvault_using_subcommand trust" -l no-pager -d 'Never start a pager'
complete -c mvault -n "__fish_mvault_using_subcommand trust" -s h -l help -d 'Print help'
complete -c mvault -n "__fish_mvault_using_subcommand remote; and not __fish_seen_subcommand_from add list remove forget" -s C -d 'Act as if started in DIR' -r -F
complete -c mvault -n "__fish_mvault_using_subcommand remote; and not __fish_seen_subcommand_from add list remove forget" -l color -d 'When to colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c mvault -n "__fish_mvault_using_subcommand remote; and not __fish_seen_subcommand_from add list remove forget" -l json -d 'Tell everything as JSON: one object, or one a line'
complete -c mvault -n "__fish_mvault_using_subcommand remote; and not __fish_seen_subcommand_from add list remove forget" -s q -l quiet -d 'Say nothing but data and errors'
complete -c mvault -n "__fish_mvault_using_subcommand remote; and not __fish_seen_subcommand_from add list remove forget" -l no-pager -d 'Never start a pager'
complete -c mvault -n "__fish_mvault_using_subcommand remote; and not __fish_seen_subcommand_from add list remove forget" -s h -l help -d 'Print help'
complete -c mvault -n "__fish_mvault_using_subcommand remote; and not __fish_seen_subcommand_from add list remove forget" -f -a "add" -d 'Name another device'
complete -c mvault -n "__fish_mvault_using_subcommand remote; and not __fish_seen_subcommand_from add list remove forget" -f -a "list" -d 'List the names, with what was last seen of each'
complete -c mvault -n "__fish_mvault_using_subcommand remote; and not __fish_seen_subcommand_from add list remove forget" -f -a "remove" -d 'Forget a name; what came from there stays'
complete -c mvault -n "__fish_mvault_using_subcommand remote; and not __fish_seen_subcommand_from add list remove forget" -f -a "forget" -d 'Set aside the heads of a device that this device has not taken in'
complete -c mvault -n "__fish_mvault_using_subcommand remote; and __fish_seen_subcommand_from add" -l far-program -d 'The far program, if it is not `mvault` on the far PATH' -r
complete -c mvault -n "__fish_mvault_using_subcommand remote; and __fish_seen_subcommand_from add" -s C -d 'Act as if started in DIR' -r -F
complete -c mvault -n "__fish_mvault_using_subcommand remote; and __fish_seen_subcommand_from add" -l color -d 'When to colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c mvault -n "__fish_mvault_using_subcommand remote; and __fish_seen_subcommand_from add" -l json -d 'Tell everything as JSON: one object, or one a line'
complete -c mvault -n "__fish_mvault_using_subcommand remote; and __fish_seen_subcommand_from add" -s q -l quiet -d 'Say nothing but data and errors'
complete -c mvault -n "__fish_mvault_using_subcommand remote; and __fish_seen_subcommand_from add" -l no-pager -d 'Never start a pager'
complete -c mvault -n "__fish_mvault_using_subcommand remote; and __fish_seen_subcommand_from add" -s h -l help -d 'Print help'
complete -c mvault -n "__fish_mvault_using_subcommand remote; and __fish_seen_subcommand_from list" -s C -d 'Act as if started in DIR' -r -F
complete -c mvault -n "__fish_mvault_using_subcommand remote; and __fish_seen_subcommand_from list" -l color -d 'When to colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c mvault -n "__fish_mvault_using_subcommand remote; and __fish_seen_subcommand_from list" -l json -d 'Tell everything as JSON: one object, or one a line'
complete -c mvault -n "__fish_mvault_using_subcommand remote; and __fish_seen_subcommand_from list" -s q -l quiet -d 'Say nothing but data and errors'
complete -c mvault -n "__fish_mvault_using_subcommand remote; and __fish_seen_subcommand_from list" -l no-pager -d 'Never start a pager'
complete -c mvault -n "__fish_mvault_using_subcommand remote; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help'
complete -c mvault -n "__fish_mvault_using_subcommand remote; and __fish_seen_subcommand_from remove" -s C -d 'Act as if started in DIR' -r -F
complete -c mvault -n "__fish_mvault_using_subcommand remote; and __fish_seen_subcommand_from remove" -l color -d 'When to colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c mvault -n "__fish_mvault_using_subcommand remote; and __fish_seen_subcommand_from remove" -l json -d 'Tell everything as JSON: one object, or one a line'
complete -c mvault -n "__fish_mvault_using_subcommand remote; and __fish_seen_subcommand_from remove" -s q -l quiet -d 'Say nothing but data and errors'
complete -c mvault -n "__fish_mvault_using_subcommand remote; and __fish_seen_subcommand_from remove" -l no-pager -d 'Never start a pager'
complete -c mvault -n "__fish_mvault_using_subcommand remote; and __fish_seen_subcommand_from remove" -s h -l help -d 'Print help'
complete -c mvault -n "__fish_mvault_using_subcommand remote; and __fish_seen_subcommand_from forget" -s C -d 'Act as if started in DIR' -r -F
complete -c mvault -n "__fish_mvault_using_subcommand remote; and __fish_seen_subcommand_from forget" -l color -d 'When to colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c mvault -n "__fish_mvault_using_subcommand remote; and __fish_seen_subcommand_from forget" -l json -d 'Tell everything as JSON: one object, or one a line'
complete -c mvault -n "__fish_mvault_using_subcommand remote; and __fish_seen_subcommand_from forget" -s q -l quiet -d 'Say nothing but data and errors'
complete -c mvault -n "__fish_mvault_using_subcommand remote; and __fish_seen_subcommand_from forget" -l no-pager -d 'Never start a pager'
complete -c mvault -n "__fish_mvault_using_subcommand remote; and __fish_seen_subcommand_from forget" -s h -l help -d 'Print help'
complete -c mvault -n "__fish_mvault_using_subcommand clone" -l device -d 'The new device\'s name; the machine\'s name without it' -r
complete -c mvault -n "__fish_mvault_using_subcommand clone" -l far-program -d 'The far program, if it is not `mvault` on the far PATH' -r
complete -c mvault -n "__fish_mvault_using_subcommand clone" -s C -d 'Act as if started in DIR' -r -F
complete -c mvault -n "__fish_mvault_using_subcommand clone" -l color -d 'When to colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c mvault -n "__fish_mvault_using_subcommand clone" -l json -d 'Tell everything as JSON: one object, or one a line'
complete -c mvault -n "__fish_mvault_using_subcommand clone" -s q -l quiet -d 'Say nothing but data and errors'
complete -c mvault -n "__fish_mvault_using_subcommand clone" -l no-pager -d 'Never start a pager'
complete -c mvault -n "__fish_mvault_using_subcommand clone" -s h -l help -d 'Print help'
complete -c mvault -n "__fish_mvault_using_subcommand fetch" -l allow -d 'Let a reason for refusal not count this once, for one path or for all' -r
complete -c mvault -n "__fish_mvault_using_subcommand fetch" -l far-program -d 'The far program, if it is not `mvault` on the far PATH' -r
complete -c mvault -n "__fish_mvault_using_subcommand fetch" -s C -d 'Act as if started in DIR' -r -F
complete -c mvault -n "__fish_mvault_using_subcommand fetch" -l color -d 'When to colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c mvault -n "__fish_mvault_using_subcommand fetch" -l json -d 'Tell everything as JSON: one object, or one a line'
complete -c mvault -n "__fish_mvault_using_subcommand fetch" -s q -l quiet -d 'Say nothing but data and errors'
complete -c mvault -n "__fish_mvault_using_subcommand fetch" -l no-pager -d 'Never start a pager'
complete -c mvault -n "__fish_mvault_using_subcommand fetch" -s h -l help -d 'Print help'
complete -c mvault -n "__fish_mvault_using_subcommand pull" -l allow -d 'Let a reason for refusal not count this once, for one path or for all' -r
complete -c mvault -n "__fish_mvault_using_subcommand pull" -l far-program -d 'The far program, if it is not `mvault` on the far PATH' -r
complete -c mvault -n "__fish_mvault_using_subcommand pull" -s C -d 'Act as if started in DIR' -r -F
complete -c mvault -n "__fish_mvault_using_subcommand pull" -l color -d 'When to colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c mvault -n "__fish_mvault_using_subcommand pull" -l json -d 'Tell everything as JSON: one object, or one a line'
complete -c mvault -n "__fish_mvault_using_subcommand pull" -s q -l quiet -d 'Say nothing but data and errors'
complete -c mvault -n "__fish_mvault_using_subcommand pull" -l no-pager -d 'Never start a pager'
complete -c mvault -n "__fish_mvault_using_subcommand pull" -s h -l help -d 'Print help'
complete -c mvault -n "__fish_mvault_using_subcommand push" -l allow -d 'Let a reason for refusal not count this once, for one path or for all' -r
complete -c mvault -n "__fish_mvault_using_subcommand push" -l far-program -d 'The far program, if it is not `mvault` on the far PATH' -r
complete -c mvault -n "__fish_mvault_using_subcommand push" -s C -d 'Act as if started in DIR' -r -F
complete -c mvault -n "__fish_mvault_using_subcommand push" -l color -d 'When to colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c mvault -n "__fish_mvault_using_subcommand push" -l json -d 'Tell everything as JSON: one object, or one a line'
complete -c mvault -n "__fish_mvault_using_subcommand push" -s q -l quiet -d 'Say nothing but data and errors'
complete -c mvault -n "__fish_mvault_using_subcommand push" -l no-pager -d 'Never start a pager'
complete -c mvault -n "__fish_mvault_using_subcommand push" -s h -l help -d 'Print help'
complete -c mvault -n "__fish_mvault_using_subcommand sync" -l allow -d 'Let a reason for refusal not count this once, for one path or for all' -r
complete -c mvault -n "__fish_mvault_using_subcommand sync" -l far-program -d 'The far program, if it is not `mvault` on the far PATH' -r
complete -c mvault -n "__fish_mvault_using_subcommand sync" -s C -d 'Act as if started in DIR' -r -F
complete -c mvault -n "__fish_mvault_using_subcommand sync" -l color -d 'When to colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c mvault -n "__fish_mvault_using_subcommand sync" -l json -d 'Tell everything as JSON: one object, or one a line'
complete -c mvault -n "__fish_mvault_using_subcommand sync" -s q -l quiet -d 'Say nothing but data and errors'
complete -c mvault -n "__fish_mvault_using_subcommand sync" -l no-pager -d 'Never start a pager'
complete -c mvault -n "__fish_mvault_using_subcommand sync" -s h -l help -d 'Print help'
complete -c mvault -n "__fish_mvault_using_subcommand bundle; and not __fish_seen_subcommand_from create verify" -s C -d 'Act as if started in DIR' -r -F
complete -c mvault -n "__fish_mvault_using_subcommand bundle; and not __fish_seen_subcommand_from create verify" -l color -d 'When to colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c mvault -n "__fish_mvault_using_subcommand bundle; and not __fish_seen_subcommand_from create verify" -l json -d 'Tell everything as JSON: one object, or one a line'
complete -c mvault -n "__fish_mvault_using_subcommand bundle; and not __fish_seen_subcommand_from create verify" -s q -l quiet -d 'Say nothing but data and errors'
complete -c mvault -n "__fish_mvault_using_subcommand bundle; and not __fish_seen_subcommand_from create verify" -l no-pager -d 'Never start a pager'
complete -c mvault -n "__fish_mvault_using_subcommand bundle; and not __fish_seen_subcommand_from create verify" -s h -l help -d 'Print help'
complete -c mvault -n "__fish_mvault_using_subcommand bundle; and not __fish_seen_subcommand_from create verify" -f -a "create" -d 'Commit what is here, and write what others lack into a file'
complete -c mvault -n "__fish_mvault_using_subcommand bundle; and not __fish_seen_subcommand_from create verify" -f -a "verify" -d 'Check a file, with a vault at hand or without'
complete -c mvault -n "__fish_mvault_using_subcommand bundle; and __fish_seen_subcommand_from create" -l since -d 'What its reader has already, with all that came before; can be given several times' -r
complete -c mvault -n "__fish_mvault_using_subcommand bundle; and __fish_seen_subcommand_from create" -l allow -d 'Let a reason for refusal not count this once, for one path or for all' -r
complete -c mvault -n "__fish_mvault_using_subcommand bundle; and __fish_seen_subcommand_from create" -s C -d 'Act as if started in DIR' -r -F
complete -c mvault -n "__fish_mvault_using_subcommand bundle; and __fish_seen_subcommand_from create" -l color -d 'When to colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c mvault -n "__fish_mvault_using_subcommand bundle; and __fish_seen_subcommand_from create" -l force -d 'Replace a file that is no bundle'
complete -c mvault -n "__fish_mvault_using_subcommand bundle; and __fish_seen_subcommand_from create" -l json -d 'Tell everything as JSON: one object, or one a line'
complete -c mvault -n "__fish_mvault_using_subcommand bundle; and __fish_seen_subcommand_from create" -s q -l quiet -d 'Say nothing but data and errors'
complete -c mvault -n "__fish_mvault_using_subcommand bundle; and __fish_seen_subcommand_from create" -l no-pager -d 'Never start a pager'
complete -c mvault -n "__fish_mvault_using_subcommand bundle; and __fish_seen_subcommand_from create" -s h -l help -d 'Print help'
complete -c mvault -n "__fish_mvault_using_subcommand bundle; and __fish_seen_subcommand_from verify" -s C -d 'Act as if started in DIR' -r -F
complete -c mvault -n "__fish_mvault_using_subcommand bundle; and __fish_seen_subcommand_from verify" -l color -d 'When to colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c mvault -n "__fish_mvault_using_subcommand bundle; and __fish_seen_subcommand_from verify" -l json -d 'Tell everything as JSON: one object, or one a line'
complete -c mvault -n "__fish_mvault_using_subcommand bundle; and __fish_seen_subcommand_from verify" -s q -l quiet -d 'Say nothing but data and errors'
complete -c mvault -n "__fish_mvault_using_subcommand bundle; and __fish_seen_subcommand_from verify" -l no-pager -d 'Never start a pager'
complete -c mvault -n "__fish_mvault_using_subcommand bundle; and __fish_seen_subcommand_from verify" -s h -l help -d 'Print help'
complete -c mvault -n "__fish_mvault_using_subcommand serve" -s C -d 'Act as if started in DIR' -r -F
complete -c mvault -n "__fish_mvault_using_subcommand serve" -l color -d 'When to colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c mvault -n "__fish_mvault_using_subcommand serve" -l stdio -d 'Speak on standard input and output'
complete -c mvault -n "__fish_mvault_using_subcommand serve" -l read-only -d 'Change nothing here: no commit first, nothing received'
complete -c mvault -n "__fish_mvault_using_subcommand serve" -l json -d 'Tell everything as JSON: one object, or one a line'
complete -c mvault -n "__fish_mvault_using_subcommand serve" -s q -l quiet -d 'Say nothing but data and errors'
complete -c mvault -n "__fish_mvault_using_subcommand serve" -l no-pager -d 'Never start a pager'
complete -c mvault -n "__fish_mvault_using_subcommand serve" -s h -l help -d 'Print help'
complete -c mvault -n "__fish_mvault_using_subcommand reconcile" -l allow -d 'Let a reason for refusal not count this once, for one path or for all' -r
complete -c mvault -n "__fish_mvault_using_subcommand reconcile" -l without -d 'Set aside the waiting heads of a device, or the one with this id' -r
complete -c mvault -n "__fish_mvault_using_subcommand reconcile" -l with -d 'Take in again what was set aside of a device, or the head with this id' -r
complete -c mvault -n "__fish_mvault_using_subcommand reconcile" -s C -d 'Act as if started in DIR' -r -F
complete -c mvault -n "__fish_mvault_using_subcommand reconcile" -l color -d 'When to colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c mvault -n "__fish_mvault_using_subcommand reconcile" -l json -d 'Tell everything as JSON: one object, or one a line'
complete -c mvault -n "__fish_mvault_using_subcommand reconcile" -s q -l quiet -d 'Say nothing but data and errors'
complete -c mvault -n "__fish_mvault_using_subcommand reconcile" -l no-pager -d 'Never start a pager'
complete -c mvault -n "__fish_mvault_using_subcommand reconcile" -s h -l help -d 'Print help'
complete -c mvault -n "__fish_mvault_using_subcommand conflicts" -s C -d 'Act as if started in DIR' -r -F
complete -c mvault -n "__fish_mvault_using_subcommand conflicts" -l color -d 'When to colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c mvault -n "__fish_mvault_using_subcommand conflicts" -l json -d 'Tell everything as JSON: one object, or one a line'
complete -c mvault -n "__fish_mvault_using_subcommand conflicts" -s q -l quiet -d 'Say nothing but data and errors'
complete -c mvault -n "__fish_mvault_using_subcommand conflicts" -l no-pager -d 'Never start a pager'
complete -c mvault -n "__fish_mvault_using_subcommand conflicts" -s h -l help -d 'Print help'
complete -c mvault -n "__fish_mvault_using_subcommand resolve" -l take -d 'A device\'s version, `base` or `both`' -r
complete -c mvault -n "__fish_mvault_using_subcommand resolve" -l with -d 'The content of a file' -r -F
complete -c mvault -n "__fish_mvault_using_subcommand resolve" -l allow -d 'Let a reason for refusal not count this once, for one path or for all' -r
complete -c mvault -n "__fish_mvault_using_subcommand resolve" -s C -d 'Act as if started in DIR' -r -F
complete -c mvault -n "__fish_mvault_using_subcommand resolve" -l color -d 'When to colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c mvault -n "__fish_mvault_using_subcommand resolve" -l edit -d 'What your editor makes of both versions'
complete -c mvault -n "__fish_mvault_using_subcommand resolve" -l json -d 'Tell everything as JSON: one object, or one a line'
complete -c mvault -n "__fish_mvault_using_subcommand resolve" -s q -l quiet -d 'Say nothing but data and errors'
complete -c mvault -n "__fish_mvault_using_subcommand resolve" -l no-pager -d 'Never start a pager'
complete -c mvault -n "__fish_mvault_using_subcommand resolve" -s h -l help -d 'Print help'
complete -c mvault -n "__fish_mvault_using_subcommand audit" -s n -l max-count -d 'At most so many operations' -r
complete -c mvault -n "__fish_mvault_using_subcommand audit" -s C -d 'Act as if started in DIR' -r -F
complete -c mvault -n "__fish_mvault_using_subcommand audit" -l color -d 'When to colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c mvault -n "__fish_mvault_using_subcommand audit" -l verify -d 'Check every line, every link of the chain and every checkpoint'
complete -c mvault -n "__fish_mvault_using_subcommand audit" -l json -d 'Tell everything as JSON: one object, or one a line'
complete -c mvault -n "__fish_mvault_using_subcommand audit" -s q -l quiet -d 'Say nothing but data and errors'
complete -c mvault -n "__fish_mvault_using_subcommand audit" -l no-pager -d 'Never start a pager'
complete -c mvault -n "__fish_mvault_using_subcommand audit" -s h -l help -d 'Print help'
complete -c mvault -n "__fish_mvault_using_subcommand purge" -s m -l message -d 'Why; the reason stays in the history' -r
complete -c mvault -n "__fish_mvault_using_subcommand purge" -l confirm -d 'What would be typed to confirm: the path, or the first ten digits of the id' -r
complete -c mvault -n "__fish_mvault_using_subcommand purge" -s C -d 'Act as if started in DIR' -r -F
complete -c mvault -n "__fish_mvault_using_subcommand purge" -l color -d 'When to colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c mvault -n "__fish_mvault_using_subcommand purge" -l dry-run -d 'Only tell what would go'
complete -c mvault -n "__fish_mvault_using_subcommand purge" -l accept -d 'Remove here what other devices have purged'
complete -c mvault -n "__fish_mvault_using_subcommand purge" -l resume -d 'Go on with a purge that was cut short'
complete -c mvault -n "__fish_mvault_using_subcommand purge" -l json -d 'Tell everything as JSON: one object, or one a line'
complete -c mvault -n "__fish_mvault_using_subcommand purge" -s q -l quiet -d 'Say nothing but data and errors'
complete -c mvault -n "__fish_mvault_using_subcommand purge" -l no-pager -d 'Never start a pager'
complete -c mvault -n "__fish_mvault_using_subcommand purge" -s h -l help -d 'Print help'
complete -c mvault -n "__fish_mvault_using_subcommand verify" -l data-subset -d 'Hash only part N of M of all objects, each of which is in one part by its id' -r
complete -c mvault -n "__fish_mvault_using_subcommand verify" -s C -d 'Act as if started in DIR' -r -F
complete -c mvault -n "__fish_mvault_using_subcommand verify" -l color -d 'When to colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c mvault -n "__fish_mvault_using_subcommand verify" -l quick -d 'Check tables and links but not every object\'s bytes'
complete -c mvault -n "__fish_mvault_using_subcommand verify" -l json -d 'Tell everything as JSON: one object, or one a line'
complete -c mvault -n "__fish_mvault_using_subcommand verify" -s q -l quiet -d 'Say nothing but data and errors'
complete -c mvault -n "__fish_mvault_using_subcommand verify" -l no-pager -d 'Never start a pager'
complete -c mvault -n "__fish_mvault_using_subcommand verify" -s h -l help -d 'Print help'
complete -c mvault -n "__fish_mvault_using_subcommand fsck" -l data-subset -d 'Hash only part N of M of all objects, each of which is in one part by its id' -r
complete -c mvault -n "__fish_mvault_using_subcommand fsck" -s C -d 'Act as if started in DIR' -r -F
complete -c mvault -n "__fish_mvault_using_subcommand fsck" -l color -d 'When to colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c mvault -n "__fish_mvault_using_subcommand fsck" -l quick -d 'Check tables and links but not every object\'s bytes'
complete -c mvault -n "__fish_mvault_using_subcommand fsck" -l json -d 'Tell everything as JSON: one object, or one a line'
complete -c mvault -n "__fish_mvault_using_subcommand fsck" -s q -l quiet -d 'Say nothing but data and errors'
complete -c mvault -n "__fish_mvault_using_subcommand fsck" -l no-pager -d 'Never start a pager'
complete -c mvault -n "__fish_mvault_using_subcommand fsck" -s h -l help -d 'Print help'
complete -c mvault -n "__fish_mvault_using_subcommand gc" -l keep-last -d 'Of the snapshots in saved/ keep the newest N, and what other rules keep' -r
complete -c mvault -n "__fish_mvault_using_subcommand gc" -l keep-daily -d 'Keep the newest snapshot of each of N days' -r
complete -c mvault -n "__fish_mvault_using_subcommand gc" -l keep-weekly -d 'Keep the newest snapshot of each of N weeks' -r
complete -c mvault -n "__fish_mvault_using_subcommand gc" -l keep-monthly -d 'Keep the newest snapshot of each of N months' -r
complete -c mvault -n "__fish_mvault_using_subcommand gc" -s C -d 'Act as if started in DIR' -r -F
complete -c mvault -n "__fish_mvault_using_subcommand gc" -l color -d 'When to colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c mvault -n "__fish_mvault_using_subcommand gc" -s n -l dry-run -d 'Tell what it would give, and change nothing'
complete -c mvault -n "__fish_mvault_using_subcommand gc" -l prune -d 'Drop what nothing leads to: refused files that were stored, snapshots that were let go of'
complete -c mvault -n "__fish_mvault_using_subcommand gc" -l json -d 'Tell everything as JSON: one object, or one a line'
complete -c mvault -n "__fish_mvault_using_subcommand gc" -s q -l quiet -d 'Say nothing but data and errors'
complete -c mvault -n "__fish_mvault_using_subcommand gc" -l no-pager -d 'Never start a pager'
complete -c mvault -n "__fish_mvault_using_subcommand gc" -s h -l help -d 'Print help'
complete -c mvault -n "__fish_mvault_using_subcommand repair" -l from -d 'A remote\'s name, HOST:[PATH], a path or a bundle, to fetch lost objects from' -r
complete -c mvault -n "__fish_mvault_using_subcommand repair" -l far-program -d 'The far program, if it is not `mvault` on the far PATH' -r
complete -c mvault -n "__fish_mvault_using_subcommand repair" -s C -d 'Act as if started in DIR' -r -F
complete -c mvault -n "__fish_mvault_using_subcommand repair" -l color -d 'When to colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c mvault -n "__fish_mvault_using_subcommand repair" -l bring-back -d 'Name the commits that nothing leads to `saved/N`, so that they can be used again'
complete -c mvault -n "__fish_mvault_using_subcommand repair" -l dry-run -d 'Say what would be done and change nothing'
complete -c mvault -n "__fish_mvault_using_subcommand repair" -l json -d 'Tell everything as JSON: one object, or one a line'
complete -c mvault -n "__fish_mvault_using_subcommand repair" -s q -l quiet -d 'Say nothing but data and errors'
complete -c mvault -n "__fish_mvault_using_subcommand repair" -l no-pager -d 'Never start a pager'
complete -c mvault -n "__fish_mvault_using_subcommand repair" -s h -l help -d 'Print help'
complete -c mvault -n "__fish_mvault_using_subcommand stats" -s C -d 'Act as if started in DIR' -r -F
complete -c mvault -n "__fish_mvault_using_subcommand stats" -l color -d 'When to colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c mvault -n "__fish_mvault_using_subcommand stats" -l json -d 'Tell everything as JSON: one object, or one a line'
complete -c mvault -n "__fish_mvault_using_subcommand stats" -s q -l quiet -d 'Say nothing but data and errors'
complete -c mvault -n "__fish_mvault_using_subcommand stats" -l no-pager -d 'Never start a pager'
complete -c mvault -n "__fish_mvault_using_subcommand stats" -s h -l help -d 'Print help'
complete -c mvault -n "__fish_mvault_using_subcommand doctor" -s C -d 'Act as if started in DIR' -r -F
complete -c mvault -n "__fish_mvault_using_subcommand doctor" -l color -d 'When to colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c mvault -n "__fish_mvault_using_subcommand doctor" -l json -d 'Tell everything as JSON: one object, or one a line'
complete -c mvault -n "__fish_mvault_using_subcommand doctor" -s q -l quiet -d 'Say nothing but data and errors'
complete -c mvault -n "__fish_mvault_using_subcommand doctor" -l no-pager -d 'Never start a pager'
complete -c mvault -n "__fish_mvault_using_subcommand doctor" -s h -l help -d 'Print help'
complete -c mvault -n "__fish_mvault_using_subcommand cat" -s C -d 'Act as if started in DIR' -r -F
complete -c mvault -n "__fish_mvault_using_subcommand cat" -l color -d 'When to colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c mvault -n "__fish_mvault_using_subcommand cat" -l json -d 'Tell everything as JSON: one object, or one a line'
complete -c mvault -n "__fish_mvault_using_subcommand cat" -s q -l quiet -d 'Say nothing but data and errors'
complete -c mvault -n "__fish_mvault_using_subcommand cat" -l no-pager -d 'Never start a pager'
complete -c mvault -n "__fish_mvault_using_subcommand cat" -s h -l help -d 'Print help'
complete -c mvault -n "__fish_mvault_using_subcommand note" -l stream -d 'The stream: a word for events/WORD.jsonl, or a path that ends in .jsonl' -r
complete -c mvault -n "__fish_mvault_using_subcommand note" -l kind -d 'What kind of event this is' -r
complete -c mvault -n "__fish_mvault_using_subcommand note" -l session -d 'The agent\'s session' -r
complete -c mvault -n "__fish_mvault_using_subcommand note" -l allow -d 'Let a reason for refusal not count this once, for one path or for all' -r
complete -c mvault -n "__fish_mvault_using_subcommand note" -s C -d 'Act as if started in DIR' -r -F
complete -c mvault -n "__fish_mvault_using_subcommand note" -l color -d 'When to colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c mvault -n "__fish_mvault_using_subcommand note" -l json -d 'Tell everything as JSON: one object, or one a line'
complete -c mvault -n "__fish_mvault_using_subcommand note" -s q -l quiet -d 'Say nothing but data and errors'
complete -c mvault -n "__fish_mvault_using_subcommand note" -l no-pager -d 'Never start a pager'
complete -c mvault -n "__fish_mvault_using_subcommand note" -s h -l help -d 'Print help'
complete -c mvault -n "__fish_mvault_using_subcommand events; and not __fish_seen_subcommand_from add list verify export import" -s C -d 'Act as if started in DIR' -r -F
complete -c mvault -n "__fish_mvault_using_subcommand events; and not __fish_seen_subcommand_from add list verify export import" -l color -d 'When to colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c mvault -n "__fish_mvault_using_subcommand events; and not __fish_seen_subcommand_from add list verify export import" -l json -d 'Tell everything as JSON: one object, or one a line'
complete -c mvault -n "__fish_mvault_using_subcommand events; and not __fish_seen_subcommand_from add list verify export import" -s q -l quiet -d 'Say nothing but data and errors'
complete -c mvault -n "__fish_mvault_using_subcommand events; and not __fish_seen_subcommand_from add list verify export import" -l no-pager -d 'Never start a pager'
complete -c mvault -n "__fish_mvault_using_subcommand events; and not __fish_seen_subcommand_from add list verify export import" -s h -l help -d 'Print help'
complete -c mvault -n "__fish_mvault_using_subcommand events; and not __fish_seen_subcommand_from add list verify export import" -f -a "add" -d 'Write an event with a body of your own'
complete -c mvault -n "__fish_mvault_using_subcommand events; and not __fish_seen_subcommand_from add list verify export import" -f -a "list" -d 'List events of all streams in causal order'
complete -c mvault -n "__fish_mvault_using_subcommand events; and not __fish_seen_subcommand_from add list verify export import" -f -a "verify" -d 'Check ids, chains and lines'
complete -c mvault -n "__fish_mvault_using_subcommand events; and not __fish_seen_subcommand_from add list verify export import" -f -a "export" -d 'Write events as JSON Lines, for another device or tool'
complete -c mvault -n "__fish_mvault_using_subcommand events; and not __fish_seen_subcommand_from add list verify export import" -f -a "import" -d 'Add events from a file, each once'
complete -c mvault -n "__fish_mvault_using_subcommand events; and __fish_seen_subcommand_from add" -l stream -d 'The stream: a word for events/WORD.jsonl, or a path that ends in .jsonl' -r
complete -c mvault -n "__fish_mvault_using_subcommand events; and __fish_seen_subcommand_from add" -l kind -d 'What kind of event this is' -r
complete -c mvault -n "__fish_mvault_using_subcommand events; and __fish_seen_subcommand_from add" -l session -d 'The agent\'s session' -r
complete -c mvault -n "__fish_mvault_using_subcommand events; and __fish_seen_subcommand_from add" -l allow -d 'Let a reason for refusal not count this once, for one path or for all' -r
complete -c mvault -n "__fish_mvault_using_subcommand events; and __fish_seen_subcommand_from add" -s C -d 'Act as if started in DIR' -r -F
complete -c mvault -n "__fish_mvault_using_subcommand events; and __fish_seen_subcommand_from add" -l color -d 'When to colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c mvault -n "__fish_mvault_using_subcommand events; and __fish_seen_subcommand_from add" -l json -d 'Tell everything as JSON: one object, or one a line'
complete -c mvault -n "__fish_mvault_using_subcommand events; and __fish_seen_subcommand_from add" -s q -l quiet -d 'Say nothing but data and errors'
complete -c mvault -n "__fish_mvault_using_subcommand events; and __fish_seen_subcommand_from add" -l no-pager -d 'Never start a pager'
complete -c mvault -n "__fish_mvault_using_subcommand events; and __fish_seen_subcommand_from add" -s h -l help -d 'Print help'
complete -c mvault -n "__fish_mvault_using_subcommand events; and __fish_seen_subcommand_from list" -l stream -d 'Only this stream; may be given more than once' -r
complete -c mvault -n "__fish_mvault_using_subcommand events; and __fish_seen_subcommand_from list" -l device -d 'Only events of this device' -r
complete -c mvault -n "__fish_mvault_using_subcommand events; and __fish_seen_subcommand_from list" -l kind -d 'Only events of this kind' -r
complete -c mvault -n "__fish_mvault_using_subcommand events; and __fish_seen_subcommand_from list" -l session -d 'Only events of this session' -r
complete -c mvault -n "__fish_mvault_using_subcommand events; and __fish_seen_subcommand_from list" -l since -d 'Only events at or after a time: `yesterday`, `2 hours ago`, `2026-11-22T08:00`' -r
complete -c mvault -n "__fish_mvault_using_subcommand events; and __fish_seen_subcommand_from list" -s n -d 'Only the newest N' -r
complete -c mvault -n "__fish_mvault_using_subcommand events; and __fish_seen_subcommand_from list" -s C -d 'Act as if started in DIR' -r -F
complete -c mvault -n "__fish_mvault_using_subcommand events; and __fish_seen_subcommand_from list" -l color -d 'When to colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c mvault -n "__fish_mvault_using_subcommand events; and __fish_seen_subcommand_from list" -l all -d 'Also what is held back, and lines that are no events of ours'
complete -c mvault -n "__fish_mvault_using_subcommand events; and __fish_seen_subcommand_from list" -l json -d 'Tell everything as JSON: one object, or one a line'
complete -c mvault -n "__fish_mvault_using_subcommand events; and __fish_seen_subcommand_from list" -s q -l quiet -d 'Say nothing but data and errors'
complete -c mvault -n "__fish_mvault_using_subcommand events; and __fish_seen_subcommand_from list" -l no-pager -d 'Never start a pager'
complete -c mvault -n "__fish_mvault_using_subcommand events; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help'
complete -c mvault -n "__fish_mvault_using_subcommand events; and __fish_seen_subcommand_from verify" -s C -d 'Act as if started in DIR' -r -F
complete -c mvault -n "__fish_mvault_using_subcommand events; and __fish_seen_subcommand_from verify" -l color -d 'When to colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c mvault -n "__fish_mvault_using_subcommand events; and __fish_seen_subcommand_from verify" -l json -d 'Tell everything as JSON: one object, or one a line'
complete -c mvault -n "__fish_mvault_using_subcommand events; and __fish_seen_subcommand_from verify" -s q -l quiet -d 'Say nothing but data and errors'
complete -c mvault -n "__fish_mvault_using_subcommand events; and __fish_seen_subcommand_from verify" -l no-pager -d 'Never start a pager'
complete -c mvault -n "__fish_mvault_using_subcommand events; and __fish_seen_subcommand_from verify" -s h -l help -d 'Print help'
complete -c mvault -n "__fish_mvault_using_subcommand events; and __fish_seen_subcommand_from export" -l stream -d 'Only this stream; may be given more than once' -r
complete -c mvault -n "__fish_mvault_using_subcommand events; and __fish_seen_subcommand_from export" -l device -d 'Only events of this device' -r
complete -c mvault -n "__fish_mvault_using_subcommand events; and __fish_seen_subcommand_from export" -l kind -d 'Only events of this kind' -r
complete -c mvault -n "__fish_mvault_using_subcommand events; and __fish_seen_subcommand_from export" -l session -d 'Only events of this session' -r
complete -c mvault -n "__fish_mvault_using_subcommand events; and __fish_seen_subcommand_from export" -l since -d 'Only events at or after a time: `yesterday`, `2 hours ago`, `2026-11-22T08:00`' -r
complete -c mvault -n "__fish_mvault_using_subcommand events; and __fish_seen_subcommand_from export" -s o -l output -d 'Write to FILE instead of standard output' -r -F
complete -c mvault -n "__fish_mvault_using_subcommand events; and __fish_seen_subcommand_from export" -s C -d 'Act as if started in DIR' -r -F
complete -c mvault -n "__fish_mvault_using_subcommand events; and __fish_seen_subcommand_from export" -l color -d 'When to colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c mvault -n "__fish_mvault_using_subcommand events; and __fish_seen_subcommand_from export" -l json -d 'Tell everything as JSON: one object, or one a line'
complete -c mvault -n "__fish_mvault_using_subcommand events; and __fish_seen_subcommand_from export" -s q -l quiet -d 'Say nothing but data and errors'
complete -c mvault -n "__fish_mvault_using_subcommand events; and __fish_seen_subcommand_from export" -l no-pager -d 'Never start a pager'
complete -c mvault -n "__fish_mvault_using_subcommand events; and __fish_seen_subcommand_from export" -s h -l help -d 'Print help'
complete -c mvault -n "__fish_mvault_using_subcommand events; and __fish_seen_subcommand_from import" -l stream -d 'Add everything to this stream' -r
complete -c mvault -n "__fish_mvault_using_subcommand events; and __fish_seen_subcommand_from import" -l allow -d 'Let a reason for refusal not count this once, for one path or for all' -r
complete -c mvault -n "__fish_mvault_using_subcommand events; and __fish_seen_subcommand_from import" -s C -d 'Act as if started in DIR' -r -F
complete -c mvault -n "__fish_mvault_using_subcommand events; and __fish_seen_subcommand_from import" -l color -d 'When to colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c mvault -n "__fish_mvault_using_subcommand events; and __fish_seen_subcommand_from import" -l json -d 'Tell everything as JSON: one object, or one a line'
complete -c mvault -n "__fish_mvault_using_subcommand events; and __fish_seen_subcommand_from import" -s q -l quiet -d 'Say nothing but data and errors'
complete -c mvault -n "__fish_mvault_using_subcommand events; and __fish_seen_subcommand_from import" -l no-pager -d 'Never start a pager'
complete -c mvault -n "__fish_mvault_using_subcommand events; and __fish_seen_subcommand_from import" -s h -l help -d 'Print help'
complete -c mvault -n "__fish_mvault_using_subcommand write" -l if-match -d 'Write only if the file has this SHA-256 now; `none`: only if there is no such file' -r
complete -c mvault -n "__fish_mvault_using_subcommand write" -l session -d 'The agent\'s session' -r
complete -c mvault -n "__fish_mvault_using_subcommand write" -l allow -d 'Let a reason for refusal not count this once, for one path or for all' -r
complete -c mvault -n "__fish_mvault_using_subcommand write" -s C -d 'Act as if started in DIR' -r -F
complete -c mvault -n "__fish_mvault_using_subcommand write" -l color -d 'When to colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c mvault -n "__fish_mvault_using_subcommand write" -l append -d 'Add whole lines to an event stream'
complete -c mvault -n "__fish_mvault_using_subcommand write" -l json -d 'Tell everything as JSON: one object, or one a line'
complete -c mvault -n "__fish_mvault_using_subcommand write" -s q -l quiet -d 'Say nothing but data and errors'
complete -c mvault -n "__fish_mvault_using_subcommand write" -l no-pager -d 'Never start a pager'
complete -c mvault -n "__fish_mvault_using_subcommand write" -s h -l help -d 'Print help'
complete -c mvault -n "__fish_mvault_using_subcommand seal" -l allow -d 'Let a reason for refusal not count this once, for one path or for all' -r
complete -c mvault -n "__fish_mvault_using_subcommand seal" -s C -d 'Act as if started in DIR' -r -F
complete -c mvault -n "__fish_mvault_using_subcommand seal" -l color -d 'When to colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c mvault -n "__fish_mvault_using_subcommand seal" -l json -d 'Tell everything as JSON: one object, or one a line'
complete -c mvault -n "__fish_mvault_using_subcommand seal" -s q -l quiet -d 'Say nothing but data and errors'
complete -c mvault -n "__fish_mvault_using_subcommand seal" -l no-pager -d 'Never start a pager'
complete -c mvault -n "__fish_mvault_using_subcommand seal" -s h -l help -d 'Print help'
complete -c mvault -n "__fish_mvault_using_subcommand rejections" -l session -d 'Of this session; `none` for what happened outside of any' -r
complete -c mvault -n "__fish_mvault_using_subcommand rejections" -s C -d 'Act as if started in DIR' -r -F
complete -c mvault -n "__fish_mvault_using_subcommand rejections" -l color -d 'When to colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c mvault -n "__fish_mvault_using_subcommand rejections" -l all -d 'Of all sessions'
complete -c mvault -n "__fish_mvault_using_subcommand rejections" -l json -d 'Tell everything as JSON: one object, or one a line'
complete -c mvault -n "__fish_mvault_using_subcommand rejections" -s q -l quiet -d 'Say nothing but data and errors'
complete -c mvault -n "__fish_mvault_using_subcommand rejections" -l no-pager -d 'Never start a pager'
complete -c mvault -n "__fish_mvault_using_subcommand rejections" -s h -l help -d 'Print help'
complete -c mvault -n "__fish_mvault_using_subcommand quarantine; and not __fish_seen_subcommand_from list show restore drop" -s C -d 'Act as if started in DIR' -r -F
complete -c mvault -n "__fish_mvault_using_subcommand quarantine; and not __fish_seen_subcommand_from list show restore drop" -l color -d 'When to colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c mvault -n "__fish_mvault_using_subcommand quarantine; and not __fish_seen_subcommand_from list show restore drop" -l json -d 'Tell everything as JSON: one object, or one a line'
complete -c mvault -n "__fish_mvault_using_subcommand quarantine; and not __fish_seen_subcommand_from list show restore drop" -s q -l quiet -d 'Say nothing but data and errors'
complete -c mvault -n "__fish_mvault_using_subcommand quarantine; and not __fish_seen_subcommand_from list show restore drop" -l no-pager -d 'Never start a pager'
complete -c mvault -n "__fish_mvault_using_subcommand quarantine; and not __fish_seen_subcommand_from list show restore drop" -s h -l help -d 'Print help'
complete -c mvault -n "__fish_mvault_using_subcommand quarantine; and not __fish_seen_subcommand_from list show restore drop" -f -a "list" -d 'List what is kept'
complete -c mvault -n "__fish_mvault_using_subcommand quarantine; and not __fish_seen_subcommand_from list show restore drop" -f -a "show" -d 'Print the bytes of one'
complete -c mvault -n "__fish_mvault_using_subcommand quarantine; and not __fish_seen_subcommand_from list show restore drop" -f -a "restore" -d 'Put one back where it was refused'
complete -c mvault -n "__fish_mvault_using_subcommand quarantine; and not __fish_seen_subcommand_from list show restore drop" -f -a "drop" -d 'Remove one for good'
complete -c mvault -n "__fish_mvault_using_subcommand quarantine; and __fish_seen_subcommand_from list" -s C -d 'Act as if started in DIR' -r -F
complete -c mvault -n "__fish_mvault_using_subcommand quarantine; and __fish_seen_subcommand_from list" -l color -d 'When to colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c mvault -n "__fish_mvault_using_subcommand quarantine; and __fish_seen_subcommand_from list" -l json -d 'Tell everything as JSON: one object, or one a line'
complete -c mvault -n "__fish_mvault_using_subcommand quarantine; and __fish_seen_subcommand_from list" -s q -l quiet -d 'Say nothing but data and errors'
complete -c mvault -n "__fish_mvault_using_subcommand quarantine; and __fish_seen_subcommand_from list" -l no-pager -d 'Never start a pager'
complete -c mvault -n "__fish_mvault_using_subcommand quarantine; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help'
complete -c mvault -n "__fish_mvault_using_subcommand quarantine; and __fish_seen_subcommand_from show" -s C -d 'Act as if started in DIR' -r -F
complete -c mvault -n "__fish_mvault_using_subcommand quarantine; and __fish_seen_subcommand_from show" -l color -d 'When to colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c mvault -n "__fish_mvault_using_subcommand quarantine; and __fish_seen_subcommand_from show" -l json -d 'Tell everything as JSON: one object, or one a line'
complete -c mvault -n "__fish_mvault_using_subcommand quarantine; and __fish_seen_subcommand_from show" -s q -l quiet -d 'Say nothing but data and errors'
complete -c mvault -n "__fish_mvault_using_subcommand quarantine; and __fish_seen_subcommand_from show" -l no-pager -d 'Never start a pager'
complete -c mvault -n "__fish_mvault_using_subcommand quarantine; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help'
complete -c mvault -n "__fish_mvault_using_subcommand quarantine; and __fish_seen_subcommand_from restore" -l to -d 'To this place instead' -r -F
complete -c mvault -n "__fish_mvault_using_subcommand quarantine; and __fish_seen_subcommand_from restore" -s C -d 'Act as if started in DIR' -r -F
complete -c mvault -n "__fish_mvault_using_subcommand quarantine; and __fish_seen_subcommand_from restore" -l color -d 'When to colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c mvault -n "__fish_mvault_using_subcommand quarantine; and __fish_seen_subcommand_from restore" -l commit -d 'Commit it as well, though it was refused'
complete -c mvault -n "__fish_mvault_using_subcommand quarantine; and __fish_seen_subcommand_from restore" -l json -d 'Tell everything as JSON: one object, or one a line'
complete -c mvault -n "__fish_mvault_using_subcommand quarantine; and __fish_seen_subcommand_from restore" -s q -l quiet -d 'Say nothing but data and errors'
complete -c mvault -n "__fish_mvault_using_subcommand quarantine; and __fish_seen_subcommand_from restore" -l no-pager -d 'Never start a pager'
complete -c mvault -n "__fish_mvault_using_subcommand quarantine; and __fish_seen_subcommand_from restore" -s h -l help -d 'Print help'
complete -c mvault -n "__fish_mvault_using_subcommand quarantine; and __fish_seen_subcommand_from drop" -s C -d 'Act as if started in DIR' -r -F
complete -c mvault -n "__fish_mvault_using_subcommand quarantine; and __fish_seen_subcommand_from drop" -l color -d 'When to colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c mvault -n "__fish_mvault_using_subcommand quarantine; and __fish_seen_subcommand_from drop" -l yes -d 'Yes, for good'
complete -c mvault -n "__fish_mvault_using_subcommand quarantine; and __fish_seen_subcommand_from drop" -l json -d 'Tell everything as JSON: one object, or one a line'
complete -c mvault -n "__fish_mvault_using_subcommand quarantine; and __fish_seen_subcommand_from drop" -s q -l quiet -d 'Say nothing but data and errors'
complete -c mvault -n "__fish_mvault_using_subcommand quarantine; and __fish_seen_subcommand_from drop" -l no-pager -d 'Never start a pager'
complete -c mvault -n "__fish_mvault_using_subcommand quarantine; and __fish_seen_subcommand_from drop" -s h -l help -d 'Print help'
complete -c mvault -n "__fish_mvault_using_subcommand boot" -l budget -d 'At most so many characters' -r
complete -c mvault -n "__fish_mvault_using_subcommand boot" -l agent -d 'Who asks, for the receipt in the audit trail' -r
complete -c mvault -n "__fish_mvault_using_subcommand boot" -s C -d 'Act as if started in DIR' -r -F
complete -c mvault -n "__fish_mvault_using_subcommand boot" -l color -d 'When to colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c mvault -n "__fish_mvault_using_subcommand boot" -l json -d 'Tell everything as JSON: one object, or one a line'
complete -c mvault -n "__fish_mvault_using_subcommand boot" -s q -l quiet -d 'Say nothing but data and errors'
complete -c mvault -n "__fish_mvault_using_subcommand boot" -l no-pager -d 'Never start a pager'
complete -c mvault -n "__fish_mvault_using_subcommand boot" -s h -l help -d 'Print help'
complete -c mvault -n "__fish_mvault_using_subcommand standup" -l since -d 'From when on: `yesterday`, `today`, a date, a time as `log --since` takes it, or a revision' -r
complete -c mvault -n "__fish_mvault_using_subcommand standup" -l format -d 'How to tell it' -r -f -a "text\t'For a terminal'
markdown\t'For a document'
json\t'For programs: one device a line'"
complete -c mvault -n "__fish_mvault_using_subcommand standup" -s C -d 'Act as if started in DIR' -r -F
complete -c mvault -n "__fish_mvault_using_subcommand standup" -l color -d 'When to colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c mvault -n "__fish_mvault_using_subcommand standup" -l json -d 'Tell everything as JSON: one object, or one a line'
complete -c mvault -n "__fish_mvault_using_subcommand standup" -s q -l quiet -d 'Say nothing but data and errors'
complete -c mvault -n "__fish_mvault_using_subcommand standup" -l no-pager -d 'Never start a pager'
complete -c mvault -n "__fish_mvault_using_subcommand standup" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mvault -n "__fish_mvault_using_subcommand handoff; and not __fish_seen_subcommand_from create list accept complete" -s C -d 'Act as if started in DIR' -r -F
complete -c mvault -n "__fish_mvault_using_subcommand handoff; and not __fish_seen_subcommand_from create list accept complete" -l color -d 'When to colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c mvault -n "__fish_mvault_using_subcommand handoff; and not __fish_seen_subcommand_from create list accept complete" -l json -d 'Tell everything as JSON: one object, or one a line'
complete -c mvault -n "__fish_mvault_using_subcommand handoff; and not __fish_seen_subcommand_from create list accept complete" -s q -l quiet -d 'Say nothing but data and errors'
complete -c mvault -n "__fish_mvault_using_subcommand handoff; and not __fish_seen_subcommand_from create list accept complete" -l no-pager -d 'Never start a pager'
complete -c mvault -n "__fish_mvault_using_subcommand handoff; and not __fish_seen_subcommand_from create list accept complete" -s h -l help -d 'Print help'
complete -c mvault -n "__fish_mvault_using_subcommand handoff; and not __fish_seen_subcommand_from create list accept complete" -f -a "create" -d 'Leave a task'
complete -c mvault -n "__fish_mvault_using_subcommand handoff; and not __fish_seen_subcommand_from create list accept complete" -f -a "list" -d 'List tasks that were left'
complete -c mvault -n "__fish_mvault_using_subcommand handoff; and not __fish_seen_subcommand_from create list accept complete" -f -a "accept" -d 'Take a task'
complete -c mvault -n "__fish_mvault_using_subcommand handoff; and not __fish_seen_subcommand_from create list accept complete" -f -a "complete" -d 'Say that a task is done'
complete -c mvault -n "__fish_mvault_using_subcommand handoff; and __fish_seen_subcommand_from create" -l to -d 'For whom: an agent (`codex`), a device (`pixel`), or both (`codex@pixel`); for anyone without it' -r
complete -c mvault -n "__fish_mvault_using_subcommand handoff; and __fish_seen_subcommand_from create" -l context -d 'A file or folder to give along, as the last commit has it' -r -F
complete -c mvault -n "__fish_mvault_using_subcommand handoff; and __fish_seen_subcommand_from create" -l next -d 'What to do next; may be given several times' -r
complete -c mvault -n "__fish_mvault_using_subcommand handoff; and __fish_seen_subcommand_from create" -l notes -d 'Anything else that is worth a word' -r
complete -c mvault -n "__fish_mvault_using_subcommand handoff; and __fish_seen_subcommand_from create" -l from-file -d 'Read the task from a handoff.json as MirrorDNA writes it' -r -F
complete -c mvault -n "__fish_mvault_using_subcommand handoff; and __fish_seen_subcommand_from create" -l agent -d 'Which agent this is; without it, that of the session' -r
complete -c mvault -n "__fish_mvault_using_subcommand handoff; and __fish_seen_subcommand_from create" -l session -d 'The agent\'s session' -r
complete -c mvault -n "__fish_mvault_using_subcommand handoff; and __fish_seen_subcommand_from create" -l allow -d 'Let a reason for refusal not count this once, for one path or for all' -r
complete -c mvault -n "__fish_mvault_using_subcommand handoff; and __fish_seen_subcommand_from create" -s C -d 'Act as if started in DIR' -r -F
complete -c mvault -n "__fish_mvault_using_subcommand handoff; and __fish_seen_subcommand_from create" -l color -d 'When to colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c mvault -n "__fish_mvault_using_subcommand handoff; and __fish_seen_subcommand_from create" -l json -d 'Tell everything as JSON: one object, or one a line'
complete -c mvault -n "__fish_mvault_using_subcommand handoff; and __fish_seen_subcommand_from create" -s q -l quiet -d 'Say nothing but data and errors'
complete -c mvault -n "__fish_mvault_using_subcommand handoff; and __fish_seen_subcommand_from create" -l no-pager -d 'Never start a pager'
complete -c mvault -n "__fish_mvault_using_subcommand handoff; and __fish_seen_subcommand_from create" -s h -l help -d 'Print help'
complete -c mvault -n "__fish_mvault_using_subcommand handoff; and __fish_seen_subcommand_from list" -l agent -d 'Which agent this is; without it, that of the session' -r
complete -c mvault -n "__fish_mvault_using_subcommand handoff; and __fish_seen_subcommand_from list" -l session -d 'The agent\'s session' -r
complete -c mvault -n "__fish_mvault_using_subcommand handoff; and __fish_seen_subcommand_from list" -s C -d 'Act as if started in DIR' -r -F
complete -c mvault -n "__fish_mvault_using_subcommand handoff; and __fish_seen_subcommand_from list" -l color -d 'When to colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c mvault -n "__fish_mvault_using_subcommand handoff; and __fish_seen_subcommand_from list" -l all -d 'Those that are done as well'
complete -c mvault -n "__fish_mvault_using_subcommand handoff; and __fish_seen_subcommand_from list" -l json -d 'Tell everything as JSON: one object, or one a line'
complete -c mvault -n "__fish_mvault_using_subcommand handoff; and __fish_seen_subcommand_from list" -s q -l quiet -d 'Say nothing but data and errors'
complete -c mvault -n "__fish_mvault_using_subcommand handoff; and __fish_seen_subcommand_from list" -l no-pager -d 'Never start a pager'
complete -c mvault -n "__fish_mvault_using_subcommand handoff; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help'
complete -c mvault -n "__fish_mvault_using_subcommand handoff; and __fish_seen_subcommand_from accept" -l agent -d 'Which agent this is; without it, that of the session' -r
complete -c mvault -n "__fish_mvault_using_subcommand handoff; and __fish_seen_subcommand_from accept" -l session -d 'The agent\'s session' -r
complete -c mvault -n "__fish_mvault_using_subcommand handoff; and __fish_seen_subcommand_from accept" -s C -d 'Act as if started in DIR' -r -F
complete -c mvault -n "__fish_mvault_using_subcommand handoff; and __fish_seen_subcommand_from accept" -l color -d 'When to colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c mvault -n "__fish_mvault_using_subcommand handoff; and __fish_seen_subcommand_from accept" -l take-over -d 'Take it although another one has it'
complete -c mvault -n "__fish_mvault_using_subcommand handoff; and __fish_seen_subcommand_from accept" -l json -d 'Tell everything as JSON: one object, or one a line'
complete -c mvault -n "__fish_mvault_using_subcommand handoff; and __fish_seen_subcommand_from accept" -s q -l quiet -d 'Say nothing but data and errors'
complete -c mvault -n "__fish_mvault_using_subcommand handoff; and __fish_seen_subcommand_from accept" -l no-pager -d 'Never start a pager'
complete -c mvault -n "__fish_mvault_using_subcommand handoff; and __fish_seen_subcommand_from accept" -s h -l help -d 'Print help'
complete -c mvault -n "__fish_mvault_using_subcommand handoff; and __fish_seen_subcommand_from complete" -s m -l message -d 'What came of it' -r
complete -c mvault -n "__fish_mvault_using_subcommand handoff; and __fish_seen_subcommand_from complete" -l agent -d 'Which agent this is; without it, that of the session' -r
complete -c mvault -n "__fish_mvault_using_subcommand handoff; and __fish_seen_subcommand_from complete" -l session -d 'The agent\'s session' -r
complete -c mvault -n "__fish_mvault_using_subcommand handoff; and __fish_seen_subcommand_from complete" -l allow -d 'Let a reason for refusal not count this once, for one path or for all' -r
complete -c mvault -n "__fish_mvault_using_subcommand handoff; and __fish_seen_subcommand_from complete" -s C -d 'Act as if started in DIR' -r -F
complete -c mvault -n "__fish_mvault_using_subcommand handoff; and __fish_seen_subcommand_from complete" -l color -d 'When to colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c mvault -n "__fish_mvault_using_subcommand handoff; and __fish_seen_subcommand_from complete" -l json -d 'Tell everything as JSON: one object, or one a line'
complete -c mvault -n "__fish_mvault_using_subcommand handoff; and __fish_seen_subcommand_from complete" -s q -l quiet -d 'Say nothing but data and errors'
complete -c mvault -n "__fish_mvault_using_subcommand handoff; and __fish_seen_subcommand_from complete" -l no-pager -d 'Never start a pager'
complete -c mvault -n "__fish_mvault_using_subcommand handoff; and __fish_seen_subcommand_from complete" -s h -l help -d 'Print help'
complete -c mvault -n "__fish_mvault_using_subcommand mcp; and not __fish_seen_subcommand_from token" -l scope -d 'Offer only the tools of these scopes, of those that are granted' -r -f -a "read\t''
note\t''
handoff\t''
memory\t''"
complete -c mvault -n "__fish_mvault_using_subcommand mcp; and not __fish_seen_subcommand_from token" -s C -d 'Act as if started in DIR' -r -F
complete -c mvault -n "__fish_mvault_using_subcommand mcp; and not __fish_seen_subcommand_from token" -l color -d 'When to colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c mvault -n "__fish_mvault_using_subcommand mcp; and not __fish_seen_subcommand_from token" -l json -d 'Tell everything as JSON: one object, or one a line'
complete -c mvault -n "__fish_mvault_using_subcommand mcp; and not __fish_seen_subcommand_from token" -s q -l quiet -d 'Say nothing but data and errors'
complete -c mvault -n "__fish_mvault_using_subcommand mcp; and not __fish_seen_subcommand_from token" -l no-pager -d 'Never start a pager'
complete -c mvault -n "__fish_mvault_using_subcommand mcp; and not __fish_seen_subcommand_from token" -s h -l help -d 'Print help'
complete -c mvault -n "__fish_mvault_using_subcommand mcp; and not __fish_seen_subcommand_from token" -f -a "token" -d 'Make, list and revoke the tokens of agents'
complete -c mvault -n "__fish_mvault_using_subcommand mcp; and __fish_seen_subcommand_from token" -s C -d 'Act as if started in DIR' -r -F
complete -c mvault -n "__fish_mvault_using_subcommand mcp; and __fish_seen_subcommand_from token" -l color -d 'When to colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c mvault -n "__fish_mvault_using_subcommand mcp; and __fish_seen_subcommand_from token" -l json -d 'Tell everything as JSON: one object, or one a line'
complete -c mvault -n "__fish_mvault_using_subcommand mcp; and __fish_seen_subcommand_from token" -s q -l quiet -d 'Say nothing but data and errors'
complete -c mvault -n "__fish_mvault_using_subcommand mcp; and __fish_seen_subcommand_from token" -l no-pager -d 'Never start a pager'
complete -c mvault -n "__fish_mvault_using_subcommand mcp; and __fish_seen_subcommand_from token" -s h -l help -d 'Print help'
complete -c mvault -n "__fish_mvault_using_subcommand mcp; and __fish_seen_subcommand_from token" -f -a "create" -d 'Make a token and print it, this once'
complete -c mvault -n "__fish_mvault_using_subcommand mcp; and __fish_seen_subcommand_from token" -f -a "list" -d 'List the tokens'
complete -c mvault -n "__fish_mvault_using_subcommand mcp; and __fish_seen_subcommand_from token" -f -a "revoke" -d 'Take a token out of force'
complete -c mvault -n "__fish_mvault_using_subcommand memory" -l session -d 'The agent\'s session' -r
complete -c mvault -n "__fish_mvault_using_subcommand memory" -s C -d 'Act as if started in DIR' -r -F
complete -c mvault -n "__fish_mvault_using_subcommand memory" -l color -d 'When to colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c mvault -n "__fish_mvault_using_subcommand memory" -l json -d 'Tell everything as JSON: one object, or one a line'
complete -c mvault -n "__fish_mvault_using_subcommand memory" -s q -l quiet -d 'Say nothing but data and errors'
complete -c mvault -n "__fish_mvault_using_subcommand memory" -l no-pager -d 'Never start a pager'
complete -c mvault -n "__fish_mvault_using_subcommand memory" -s h -l help -d 'Print help'
complete -c mvault -n "__fish_mvault_using_subcommand import; and not __fish_seen_subcommand_from mirrordna" -s C -d 'Act as if started in DIR' -r -F
complete -c mvault -n "__fish_mvault_using_subcommand import; and not __fish_seen_subcommand_from mirrordna" -l color -d 'When to colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c mvault -n "__fish_mvault_using_subcommand import; and not __fish_seen_subcommand_from mirrordna" -l json -d 'Tell everything as JSON: one object, or one a line'
complete -c mvault -n "__fish_mvault_using_subcommand import; and not __fish_seen_subcommand_from mirrordna" -s q -l quiet -d 'Say nothing but data and errors'
complete -c mvault -n "__fish_mvault_using_subcommand import; and not __fish_seen_subcommand_from mirrordna" -l no-pager -d 'Never start a pager'
complete -c mvault -n "__fish_mvault_using_subcommand import; and not __fish_seen_subcommand_from mirrordna" -s h -l help -d 'Print help'
complete -c mvault -n "__fish_mvault_using_subcommand import; and not __fish_seen_subcommand_from mirrordna" -f -a "mirrordna" -d 'What MirrorDNA keeps: continuity, bus, handoffs, ledger, reports, chains, rejections, signatures'
complete -c mvault -n "__fish_mvault_using_subcommand import; and __fish_seen_subcommand_from mirrordna" -l allow -d 'Let a reason for refusal not count this once, for one path or for all' -r
complete -c mvault -n "__fish_mvault_using_subcommand import; and __fish_seen_subcommand_from mirrordna" -s C -d 'Act as if started in DIR' -r -F
complete -c mvault -n "__fish_mvault_using_subcommand import; and __fish_seen_subcommand_from mirrordna" -l color -d 'When to colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c mvault -n "__fish_mvault_using_subcommand import; and __fish_seen_subcommand_from mirrordna" -l dry-run -d 'Only tell what would happen'
complete -c mvault -n "__fish_mvault_using_subcommand import; and __fish_seen_subcommand_from mirrordna" -l json -d 'Tell everything as JSON: one object, or one a line'
complete -c mvault -n "__fish_mvault_using_subcommand import; and __fish_seen_subcommand_from mirrordna" -s q -l quiet -d 'Say nothing but data and errors'
complete -c mvault -n "__fish_mvault_using_subcommand import; and __fish_seen_subcommand_from mirrordna" -l no-pager -d 'Never start a pager'
complete -c mvault -n "__fish_mvault_using_subcommand import; and __fish_seen_subcommand_from mirrordna" -s h -l help -d 'Print help'
complete -c mvault -n "__fish_mvault_using_subcommand session; and not __fish_seen_subcommand_from start end list show" -s C -d 'Act as if started in DIR' -r -F
complete -c mvault -n "__fish_mvault_using_subcommand session; and not __fish_seen_subcommand_from start end list show" -l color -d 'When to colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c mvault -n "__fish_mvault_using_subcommand session; and not __fish_seen_subcommand_from start end list show" -l json -d 'Tell everything as JSON: one object, or one a line'
complete -c mvault -n "__fish_mvault_using_subcommand session; and not __fish_seen_subcommand_from start end list show" -s q -l quiet -d 'Say nothing but data and errors'
complete -c mvault -n "__fish_mvault_using_subcommand session; and not __fish_seen_subcommand_from start end list show" -l no-pager -d 'Never start a pager'
complete -c mvault -n "__fish_mvault_using_subcommand session; and not __fish_seen_subcommand_from start end list show" -s h -l help -d 'Print help'
complete -c mvault -n "__fish_mvault_using_subcommand session; and not __fish_seen_subcommand_from start end list show" -f -a "start" -d 'Begin a session, and print its id'
complete -c mvault -n "__fish_mvault_using_subcommand session; and not __fish_seen_subcommand_from start end list show" -f -a "end" -d 'Close a session: commit what is on disk in its name'
complete -c mvault -n "__fish_mvault_using_subcommand session; and not __fish_seen_subcommand_from start end list show" -f -a "list" -d 'List the sessions of this device'
complete -c mvault -n "__fish_mvault_using_subcommand session; and not __fish_seen_subcommand_from start end list show" -f -a "show" -d 'Show one'
complete -c mvault -n "__fish_mvault_using_subcommand session; and __fish_seen_subcommand_from start" -l agent -d 'Which agent' -r
complete -c mvault -n "__fish_mvault_using_subcommand session; and __fish_seen_subcommand_from start" -s C -d 'Act as if started in DIR' -r -F
complete -c mvault -n "__fish_mvault_using_subcommand session; and __fish_seen_subcommand_from start" -l color -d 'When to colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c mvault -n "__fish_mvault_using_subcommand session; and __fish_seen_subcommand_from start" -l json -d 'Tell everything as JSON: one object, or one a line'
complete -c mvault -n "__fish_mvault_using_subcommand session; and __fish_seen_subcommand_from start" -s q -l quiet -d 'Say nothing but data and errors'
complete -c mvault -n "__fish_mvault_using_subcommand session; and __fish_seen_subcommand_from start" -l no-pager -d 'Never start a pager'
complete -c mvault -n "__fish_mvault_using_subcommand session; and __fish_seen_subcommand_from start" -s h -l help -d 'Print help'
complete -c mvault -n "__fish_mvault_using_subcommand session; and __fish_seen_subcommand_from end" -s C -d 'Act as if started in DIR' -r -F
complete -c mvault -n "__fish_mvault_using_subcommand session; and __fish_seen_subcommand_from end" -l color -d 'When to colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c mvault -n "__fish_mvault_using_subcommand session; and __fish_seen_subcommand_from end" -l json -d 'Tell everything as JSON: one object, or one a line'
complete -c mvault -n "__fish_mvault_using_subcommand session; and __fish_seen_subcommand_from end" -s q -l quiet -d 'Say nothing but data and errors'
complete -c mvault -n "__fish_mvault_using_subcommand session; and __fish_seen_subcommand_from end" -l no-pager -d 'Never start a pager'
complete -c mvault -n "__fish_mvault_using_subcommand session; and __fish_seen_subcommand_from end" -s h -l help -d 'Print help'
complete -c mvault -n "__fish_mvault_using_subcommand session; and __fish_seen_subcommand_from list" -s C -d 'Act as if started in DIR' -r -F
complete -c mvault -n "__fish_mvault_using_subcommand session; and __fish_seen_subcommand_from list" -l color -d 'When to colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c mvault -n "__fish_mvault_using_subcommand session; and __fish_seen_subcommand_from list" -l json -d 'Tell everything as JSON: one object, or one a line'
complete -c mvault -n "__fish_mvault_using_subcommand session; and __fish_seen_subcommand_from list" -s q -l quiet -d 'Say nothing but data and errors'
complete -c mvault -n "__fish_mvault_using_subcommand session; and __fish_seen_subcommand_from list" -l no-pager -d 'Never start a pager'
complete -c mvault -n "__fish_mvault_using_subcommand session; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help'
complete -c mvault -n "__fish_mvault_using_subcommand session; and __fish_seen_subcommand_from show" -s C -d 'Act as if started in DIR' -r -F
complete -c mvault -n "__fish_mvault_using_subcommand session; and __fish_seen_subcommand_from show" -l color -d 'When to colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c mvault -n "__fish_mvault_using_subcommand session; and __fish_seen_subcommand_from show" -l json -d 'Tell everything as JSON: one object, or one a line'
complete -c mvault -n "__fish_mvault_using_subcommand session; and __fish_seen_subcommand_from show" -s q -l quiet -d 'Say nothing but data and errors'
complete -c mvault -n "__fish_mvault_using_subcommand session; and __fish_seen_subcommand_from show" -l no-pager -d 'Never start a pager'
complete -c mvault -n "__fish_mvault_using_subcommand session; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help'
complete -c mvault -n "__fish_mvault_using_subcommand hook" -s C -d 'Act as if started in DIR' -r -F
complete -c mvault -n "__fish_mvault_using_subcommand hook" -l color -d 'When to colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c mvault -n "__fish_mvault_using_subcommand hook" -l json -d 'Tell everything as JSON: one object, or one a line'
complete -c mvault -n "__fish_mvault_using_subcommand hook" -s q -l quiet -d 'Say nothing but data and errors'
complete -c mvault -n "__fish_mvault_using_subcommand hook" -l no-pager -d 'Never start a pager'
complete -c mvault -n "__fish_mvault_using_subcommand hook" -s h -l help -d 'Print help'
complete -c mvault -n "__fish_mvault_using_subcommand hooks; and not __fish_seen_subcommand_from install uninstall status" -s C -d 'Act as if started in DIR' -r -F
complete -c mvault -n "__fish_mvault_using_subcommand hooks; and not __fish_seen_subcommand_from install uninstall status" -l color -d 'When to colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c mvault -n "__fish_mvault_using_subcommand hooks; and not __fish_seen_subcommand_from install uninstall status" -l json -d 'Tell everything as JSON: one object, or one a line'
complete -c mvault -n "__fish_mvault_using_subcommand hooks; and not __fish_seen_subcommand_from install uninstall status" -s q -l quiet -d 'Say nothing but data and errors'
complete -c mvault -n "__fish_mvault_using_subcommand hooks; and not __fish_seen_subcommand_from install uninstall status" -l no-pager -d 'Never start a pager'
complete -c mvault -n "__fish_mvault_using_subcommand hooks; and not __fish_seen_subcommand_from install uninstall status" -s h -l help -d 'Print help'
complete -c mvault -n "__fish_mvault_using_subcommand hooks; and not __fish_seen_subcommand_from install uninstall status" -f -a "install" -d 'Put mvault\'s hooks into an agent\'s settings'
complete -c mvault -n "__fish_mvault_using_subcommand hooks; and not __fish_seen_subcommand_from install uninstall status" -f -a "uninstall" -d 'Take mvault\'s hooks out of an agent\'s settings'
complete -c mvault -n "__fish_mvault_using_subcommand hooks; and not __fish_seen_subcommand_from install uninstall status" -f -a "status" -d 'Tell what is wired'
complete -c mvault -n "__fish_mvault_using_subcommand hooks; and __fish_seen_subcommand_from install" -l scope -d 'For all sessions of this user, or for those in this folder' -r -f -a "user\t''
project\t''"
complete -c mvault -n "__fish_mvault_using_subcommand hooks; and __fish_seen_subcommand_from install" -s C -d 'Act as if started in DIR' -r -F
complete -c mvault -n "__fish_mvault_using_subcommand hooks; and __fish_seen_subcommand_from install" -l color -d 'When to colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c mvault -n "__fish_mvault_using_subcommand hooks; and __fish_seen_subcommand_from install" -l dry-run -d 'Only show what would change, as a diff'
complete -c mvault -n "__fish_mvault_using_subcommand hooks; and __fish_seen_subcommand_from install" -l mcp -d 'Register `mvault mcp` with the agent as well'
complete -c mvault -n "__fish_mvault_using_subcommand hooks; and __fish_seen_subcommand_from install" -l json -d 'Tell everything as JSON: one object, or one a line'
complete -c mvault -n "__fish_mvault_using_subcommand hooks; and __fish_seen_subcommand_from install" -s q -l quiet -d 'Say nothing but data and errors'
complete -c mvault -n "__fish_mvault_using_subcommand hooks; and __fish_seen_subcommand_from install" -l no-pager -d 'Never start a pager'
complete -c mvault -n "__fish_mvault_using_subcommand hooks; and __fish_seen_subcommand_from install" -s h -l help -d 'Print help'
complete -c mvault -n "__fish_mvault_using_subcommand hooks; and __fish_seen_subcommand_from uninstall" -l scope -d 'For all sessions of this user, or for those in this folder' -r -f -a "user\t''
project\t''"
complete -c mvault -n "__fish_mvault_using_subcommand hooks; and __fish_seen_subcommand_from uninstall" -s C -d 'Act as if started in DIR' -r -F
complete -c mvault -n "__fish_mvault_using_subcommand hooks; and __fish_seen_subcommand_from uninstall" -l color -d 'When to colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c mvault -n "__fish_mvault_using_subcommand hooks; and __fish_seen_subcommand_from uninstall" -l dry-run -d 'Only show what would change, as a diff'
complete -c mvault -n "__fish_mvault_using_subcommand hooks; and __fish_seen_subcommand_from uninstall" -l json -d 'Tell everything as JSON: one object, or one a line'
complete -c mvault -n "__fish_mvault_using_subcommand hooks; and __fish_seen_subcommand_from uninstall" -s q -l quiet -d 'Say nothing but data and errors'
complete -c mvault -n "__fish_mvault_using_subcommand hooks; and __fish_seen_subcommand_from uninstall" -l no-pager -d 'Never start a pager'
complete -c mvault -n "__fish_mvault_using_subcommand hooks; and __fish_seen_subcommand_from uninstall" -s h -l help -d 'Print help'
complete -c mvault -n "__fish_mvault_using_subcommand hooks; and __fish_seen_subcommand_from status" -l scope -d 'Only the settings of this user, or only those of this folder' -r -f -a "user\t''
project\t''"
complete -c mvault -n "__fish_mvault_using_subcommand hooks; and __fish_seen_subcommand_from status" -s C -d 'Act as if started in DIR' -r -F
complete -c mvault -n "__fish_mvault_using_subcommand hooks; and __fish_seen_subcommand_from status" -l color -d 'When to colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c mvault -n "__fish_mvault_using_subcommand hooks; and __fish_seen_subcommand_from status" -l json -d 'Tell everything as JSON: one object, or one a line'
complete -c mvault -n "__fish_mvault_using_subcommand hooks; and __fish_seen_subcommand_from status" -s q -l quiet -d 'Say nothing but data and errors'
complete -c mvault -n "__fish_mvault_using_subcommand hooks; and __fish_seen_subcommand_from status" -l no-pager -d 'Never start a pager'
complete -c mvault -n "__fish_mvault_using_subcommand hooks; and __fish_seen_subcommand_from status" -s h -l help -d 'Print help'
complete -c mvault -n "__fish_mvault_using_subcommand hash" -s C -d 'Act as if started in DIR' -r -F
complete -c mvault -n "__fish_mvault_using_subcommand hash" -l color -d 'When to colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c mvault -n "__fish_mvault_using_subcommand hash" -l json -d 'Tell everything as JSON: one object, or one a line'
complete -c mvault -n "__fish_mvault_using_subcommand hash" -s q -l quiet -d 'Say nothing but data and errors'
complete -c mvault -n "__fish_mvault_using_subcommand hash" -l no-pager -d 'Never start a pager'
complete -c mvault -n "__fish_mvault_using_subcommand hash" -s h -l help -d 'Print help'
complete -c mvault -n "__fish_mvault_using_subcommand git; and not __fish_seen_subcommand_from export" -s C -d 'Act as if started in DIR' -r -F
complete -c mvault -n "__fish_mvault_using_subcommand git; and not __fish_seen_subcommand_from export" -l color -d 'When to colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c mvault -n "__fish_mvault_using_subcommand git; and not __fish_seen_subcommand_from export" -l json -d 'Tell everything as JSON: one object, or one a line'
complete -c mvault -n "__fish_mvault_using_subcommand git; and not __fish_seen_subcommand_from export" -s q -l quiet -d 'Say nothing but data and errors'
complete -c mvault -n "__fish_mvault_using_subcommand git; and not __fish_seen_subcommand_from export" -l no-pager -d 'Never start a pager'
complete -c mvault -n "__fish_mvault_using_subcommand git; and not __fish_seen_subcommand_from export" -s h -l help -d 'Print help'
complete -c mvault -n "__fish_mvault_using_subcommand git; and not __fish_seen_subcommand_from export" -f -a "export" -d 'Write the history as a bare git repository'
complete -c mvault -n "__fish_mvault_using_subcommand git; and __fish_seen_subcommand_from export" -s C -d 'Act as if started in DIR' -r -F
complete -c mvault -n "__fish_mvault_using_subcommand git; and __fish_seen_subcommand_from export" -l color -d 'When to colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c mvault -n "__fish_mvault_using_subcommand git; and __fish_seen_subcommand_from export" -l rewrite-purged -d 'Rewrite commits that have purged files (what happens unless --keep-ids is given)'
complete -c mvault -n "__fish_mvault_using_subcommand git; and __fish_seen_subcommand_from export" -l keep-ids -d 'Keep the ids of commits that have purged files; git cannot clone, push or rewrite such a repository'
complete -c mvault -n "__fish_mvault_using_subcommand git; and __fish_seen_subcommand_from export" -l json -d 'Tell everything as JSON: one object, or one a line'
complete -c mvault -n "__fish_mvault_using_subcommand git; and __fish_seen_subcommand_from export" -s q -l quiet -d 'Say nothing but data and errors'
complete -c mvault -n "__fish_mvault_using_subcommand git; and __fish_seen_subcommand_from export" -l no-pager -d 'Never start a pager'
complete -c mvault -n "__fish_mvault_using_subcommand git; and __fish_seen_subcommand_from export" -s h -l help -d 'Print help'
complete -c mvault -n "__fish_mvault_using_subcommand completions" -s C -d 'Act as if started in DIR' -r -F
complete -c mvault -n "__fish_mvault_using_subcommand completions" -l color -d 'When to colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c mvault -n "__fish_mvault_using_subcommand completions" -l json -d 'Tell everything as JSON: one object, or one a line'
complete -c mvault -n "__fish_mvault_using_subcommand completions" -s q -l quiet -d 'Say nothing but data and errors'
complete -c mvault -n "__fish_mvault_using_subcommand completions" -l no-pager -d 'Never start a pager'
complete -c mvault -n "__fish_mvault_using_subcommand completions" -s h -l help -d 'Print help'
complete -c mvault -n "__fish_mvault_using_subcommand man" -s C -d 'Act as if started in DIR' -r -F
complete -c mvault -n "__fish_mvault_using_subcommand man" -l color -d 'When to colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c mvault -n "__fish_mvault_using_subcommand man" -l json -d 'Tell everything as JSON: one object, or one a line'
complete -c mvault -n "__fish_mvault_using_subcommand man" -s q -l quiet -d 'Say nothing but data and errors'
complete -c mvault -n "__fish_mvault_using_subcommand man" -l no-pager -d 'Never start a pager'
complete -c mvault -n "__fish_mvault_using_subcommand man" -s h -l help -d 'Print help'
