//! `demo`: two devices in a temporary folder, start to finish on real files.
//!
//! Every step is the program itself, run as a person would run it, and its real output. A step that does
//! not end as it should ends the demo with an error; the temporary folder goes in any case.

use crate::object::shell_word;
use std::path::PathBuf;
use std::process::Command;

use include_dir::{Dir as Bundled, DirEntry, include_dir};
use serde_json::{Value, json};

use super::temporary::TemporaryFolder;
use super::{CommandError, CommandResult, Context, ErrorKind, Exit};
use crate::fs::{self, Dir};
use crate::ui::{Style, harmless};

/// The files of a person's two weeks, as they are in the program.
static TWO_WEEKS: Bundled<'_> = include_dir!("$CARGO_MANIFEST_DIR/testdata/two-weeks");

/// Arguments of `demo`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mvault demo                          watch a laptop and a phone part and come together

Everything happens in a temporary folder that is removed at the end; nothing of yours is touched.")]
pub struct DemoArgs {}

/// Runs the demo.
pub fn run(cx: &mut Context<'_>, _args: &DemoArgs) -> CommandResult {
    let place = TemporaryFolder::make(cx, "demo")?;
    let result = Story { cx, place: &place, device: "mac" }.tell();
    place.remove()?;
    result.map(|()| Exit::Done)
}

/// What a step printed.
struct Told {
    stdout: String,
}

struct Story<'c, 'u> {
    cx: &'c mut Context<'u>,
    place: &'c TemporaryFolder,
    device: &'static str,
}

impl Story<'_, '_> {
    fn tell(&mut self) -> Result<(), CommandError> {
        self.two_devices()?;
        self.a_day_apart()?;
        self.together()?;
        self.looking_back()
    }

    fn two_devices(&mut self) -> Result<(), CommandError> {
        self.chapter("A laptop with two weeks of work becomes a vault; a phone gets its copy")?;
        unpack(&self.folder("mac")?, &TWO_WEEKS)?;
        self.on("mac");
        self.step(&["init", "--device", "mac"], 0)?;
        self.step(&["commit", "-m", "two weeks of work on the archive search"], 0)?;
        self.folder("pixel")?;
        self.on("pixel");
        self.step(&["clone", "../mac", ".", "--device", "pixel"], 0)?;
        Ok(())
    }

    fn a_day_apart(&mut self) -> Result<(), CommandError> {
        self.chapter("Monday: on the laptop an agent's session closes …")?;
        self.on("mac");
        self.edit(
            "continuity.md",
            "with six volunteers in the reading room",
            "with seven volunteers in the reading room",
        )?;
        self.write(
            "distillates/2026-11-23-mac-before-the-pilot.md",
            "---\nsession: 7c1e\ntags: [pilot]\n---\n\n# Before the pilot\n\nA seventh volunteer joined. The page view \
             now opens at the first hit.\n\nLeft undone: undo in the corrections editor.\n",
        )?;
        self.step(&["commit", "--session", "7c1e", "-m", "session: before the pilot"], 0)?;
        self.chapter("… while the phone, offline on the train, takes notes and edits the same paragraph")?;
        self.on("pixel");
        self.step(&["note", "ask the client about Sonntag nach Ostern again"], 0)?;
        self.step(&["note", "the reading room closes at four on Mondays"], 0)?;
        self.edit(
            "continuity.md",
            "The pilot starts on Monday, 23 November, with six",
            "The pilot starts on Tuesday, 24 November, with six",
        )?;
        self.write(
            "notes/train, Monday.md",
            "The reading room closes at four on Mondays: start on Tuesday.\n",
        )?;
        self.step(&["commit"], 0)?;
        Ok(())
    }

    fn together(&mut self) -> Result<(), CommandError> {
        self.chapter("Back at the desk: the phone's day comes in, and one paragraph contradicts itself")?;
        self.on("mac");
        self.step(&["remote", "add", "pixel", "../pixel"], 0)?;
        self.step(&["pull", "pixel"], 4)?;
        self.step(&["conflicts"], 0)?;
        self.say("The file on disk has no markers in it, and work could go on. This time both are right:")?;
        let ours = self.read("continuity.md")?;
        let both = ours.replacen(
            "The pilot starts on Monday, 23 November",
            "The pilot starts on Tuesday, 24 November",
            1,
        );
        self.write("../both.md", &both)?;
        self.step(&["resolve", "continuity.md", "--with", "../both.md"], 0)?;
        self.step(&["sync", "pixel"], 0)?;
        self.same_heads()?;
        let told = self.step(&["events", "list", "--stream", "pixel", "-n", "2"], 0)?;
        self.check(told.stdout.contains("Sonntag nach Ostern"), "the phone's note is on the laptop")
    }

    fn looking_back(&mut self) -> Result<(), CommandError> {
        self.chapter("What happened, and how to go back")?;
        self.on("mac");
        self.step(&["log", "--graph"], 0)?;
        let before = self.read("continuity.md")?;
        self.step(&["rollback", "@{1}"], 0)?;
        self.check(self.read("continuity.md")? != before, "the rollback brought the older page back")?;
        self.step(&["undo"], 0)?;
        self.check(self.read("continuity.md")? == before, "the undo brought the newer page back")?;
        self.step(&["audit", "-n", "4"], 0)?;
        self.step(&["verify"], 0)?;
        self.say("Two devices, one head, nothing lost. `mvault init` makes a vault of your own folder.")
    }

    fn on(&mut self, device: &'static str) {
        self.device = device;
    }

    fn path(&self) -> PathBuf {
        self.place.path.join(self.device)
    }

    fn folder(&self, name: &str) -> Result<Dir, CommandError> {
        Ok(self.cx.disk.create_dir_all(&self.place.path.join(name))?)
    }

    fn chapter(&mut self, title: &str) -> Result<(), CommandError> {
        if self.cx.ui.is_json() {
            return Ok(self.cx.ui.json(&json!({"chapter": title}))?);
        }
        let title = self.cx.ui.palette().paint(Style::Heading, &format!("# {title}"));
        self.cx.ui.line(format_args!("\n{title}\n"))?;
        Ok(())
    }

    fn say(&mut self, text: &str) -> Result<(), CommandError> {
        if self.cx.ui.is_json() {
            return Ok(self.cx.ui.json(&json!({"chapter": text}))?);
        }
        Ok(self.cx.ui.line(format_args!("\n{text}\n"))?)
    }

    /// Runs the program, shows what was typed and what it printed, and checks how it ended.
    fn step(&mut self, args: &[&str], code: i32) -> Result<Told, CommandError> {
        let typed: Vec<String> = args.iter().map(shell_word).collect();
        let output = self.program(args)?;
        let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        let command = format!("mvault {}", typed.join(" "));
        let [shown, told] =
            [&stdout, &stderr].map(|text| text.replace(&*self.place.path.to_string_lossy(), "~"));
        if self.cx.ui.is_json() {
            let code = output.status.code();
            let step = json!({
                "device": self.device, "command": command, "code": code, "stdout": shown, "stderr": told,
            });
            self.cx.ui.json(&step)?;
        } else {
            let prompt = self.cx.ui.palette().paint(Style::Ref, &format!("{}$ {command}", self.device));
            self.cx.ui.line(prompt)?;
            for line in shown.lines().chain(told.lines()) {
                self.cx.ui.line(harmless(line))?;
            }
        }
        if output.status.code() != Some(code) {
            let text =
                format!("`mvault {}` ended with {}, not with code {code}", typed.join(" "), output.status);
            return Err(
                CommandError::new(ErrorKind::Bug, text).hint("please report this with the output above")
            );
        }
        Ok(Told { stdout })
    }

    fn program(&self, args: &[&str]) -> Result<std::process::Output, CommandError> {
        let failed = |error: std::io::Error| {
            CommandError::new(ErrorKind::Failed, format!("cannot start mvault itself: {error}"))
        };
        let program = std::env::current_exe().map_err(failed)?;
        let mut command = Command::new(program);
        command.args(args).current_dir(self.path());
        command.env("HOME", self.place.path.join(format!("home-{}", self.device)));
        for name in ["MVAULT_DIR", "MVAULT_SESSION", "MVAULT_PAGER"] {
            command.env_remove(name);
        }
        command.output().map_err(failed)
    }

    fn check(&mut self, holds: bool, what: &str) -> Result<(), CommandError> {
        if holds {
            return Ok(());
        }
        Err(CommandError::new(ErrorKind::Bug, format!("this does not hold: {what}"))
            .hint("please report this with the output above"))
    }

    fn same_heads(&mut self) -> Result<(), CommandError> {
        let mut heads = Vec::new();
        for device in ["mac", "pixel"] {
            self.on(device);
            let output = self.program(&["status", "--json"])?;
            let status: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
            let clean = status["changes"].as_array().is_some_and(Vec::is_empty);
            self.check(clean, "the files are those of the head")?;
            heads.push(status["head"].as_str().unwrap_or_default().to_owned());
        }
        self.on("mac");
        self.check(heads[0] == heads[1] && !heads[0].is_empty(), "both devices have the same head")
    }

    fn read(&self, path: &str) -> Result<String, CommandError> {
        let bytes = self.cx.disk.open_dir(&self.path())?.read(path, 1 << 20)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn write(&self, path: &str, text: &str) -> Result<(), CommandError> {
        let path = self.path().join(path);
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(CommandError::new(ErrorKind::Bug, "the demo names no file"));
        };
        Ok(fs::replace_file(&self.cx.disk.create_dir_all(parent)?, name, text.as_bytes(), 0o644)?)
    }

    /// Changes a file as an editor would, and shows how.
    fn edit(&mut self, path: &str, from: &str, to: &str) -> Result<(), CommandError> {
        let text = self.read(path)?;
        self.check(text.contains(from), "the page has the paragraph that is edited")?;
        self.write(path, &text.replacen(from, to, 1))?;
        if self.cx.ui.is_json() {
            let edit = json!({"device": self.device, "edit": path, "from": from, "to": to});
            return Ok(self.cx.ui.json(&edit)?);
        }
        let prompt = format!("{}$ edit {path}", self.device);
        let prompt = self.cx.ui.palette().paint(Style::Ref, &prompt);
        self.cx.ui.line(format_args!("{prompt}\n- … {from} …\n+ … {to} …"))?;
        Ok(())
    }
}

/// Writes the bundled files into a folder.
fn unpack(folder: &Dir, bundled: &Bundled<'_>) -> Result<(), CommandError> {
    for entry in bundled.entries() {
        let name = entry.path().file_name().unwrap_or_default();
        match entry {
            DirEntry::Dir(inner) => unpack(&folder.open_or_create_dir(name)?, inner)?,
            DirEntry::File(file) => fs::replace_file(folder, name, file.contents(), 0o644)?,
        }
    }
    Ok(())
}
