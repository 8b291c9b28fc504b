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
complete -c mvault -n "__fish_mvault_needs_command" -f -a "init" -d 'Make a vault of a folder'
complete -c mvault -n "__fish_mvault_needs_command" -f -a "commit" -d 'Keep what is on disk as the next state'
complete -c mvault -n "__fish_mvault_needs_command" -f -a "status" -d 'Tell what changed and where the branch stands'
complete -c mvault -n "__fish_mvault_needs_command" -f -a "hash" -d 'Print the id that files would have'
complete -c mvault -n "__fish_mvault_needs_command" -f -a "completions" -d 'Print a completion script for a shell'
complete -c mvault -n "__fish_mvault_needs_command" -f -a "man" -d 'Write the manual pages into a folder'
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
complete -c mvault -n "__fish_mvault_using_subcommand hash" -s C -d 'Act as if started in DIR' -r -F
complete -c mvault -n "__fish_mvault_using_subcommand hash" -l color -d 'When to colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c mvault -n "__fish_mvault_using_subcommand hash" -l json -d 'Tell everything as JSON: one object, or one a line'
complete -c mvault -n "__fish_mvault_using_subcommand hash" -s q -l quiet -d 'Say nothing but data and errors'
complete -c mvault -n "__fish_mvault_using_subcommand hash" -l no-pager -d 'Never start a pager'
complete -c mvault -n "__fish_mvault_using_subcommand hash" -s h -l help -d 'Print help'
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
