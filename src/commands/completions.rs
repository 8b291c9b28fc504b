//! `completions`: a script that completes mvault's verbs and options in a shell. Needs no vault.

use super::{CommandResult, Context, Exit};

/// Arguments of `completions`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mvault completions bash > ~/.local/share/bash-completion/completions/mvault
  mvault completions zsh > ~/.zfunc/_mvault       (with ~/.zfunc in fpath)
  mvault completions fish > ~/.config/fish/completions/mvault.fish")]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_name = "SHELL")]
    shell: clap_complete::Shell,
}

/// Prints the script.
pub fn run(cx: &mut Context<'_>, args: &CompletionsArgs) -> CommandResult {
    // Generated into memory: the generator panics when its writer fails.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut (cx.definition)(), "mvault", &mut script);
    if cx.ui.is_json() {
        let script = String::from_utf8_lossy(&script);
        cx.ui.json(&serde_json::json!({"shell": args.shell.to_string(), "script": script}))?;
    } else {
        cx.ui.bytes(&script)?;
    }
    Ok(Exit::Done)
}
