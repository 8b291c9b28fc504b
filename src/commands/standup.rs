//! `standup`: what each device added.

use serde_json::{Map, Value, json};

use super::{CommandResult, Context, Exit};
use crate::agent::neutral::neutralise;
use crate::agent::standup::{Item, Since, Standup, standup};
use crate::env::{Moment, rfc3339};
use crate::ui::{Style, harmless, json};
use crate::vault::{Access, Vault};

/// Arguments of `standup`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mvault standup                       since the beginning of yesterday
  mvault standup --since 2026-11-20    since that day
  mvault standup --since 'op:40'       since a state: all that came after it
  mvault standup --format markdown     to paste somewhere, or for an agent

What a device wrote while it was offline stands under the day it wrote it, marked as arrived late.")]
pub struct StandupArgs {
    /// From when on: `yesterday`, `today`, a date, a time as `log --since` takes it, or a revision
    #[arg(long, value_name = "T", default_value = "yesterday")]
    since: String,
    /// How to tell it
    #[arg(long, value_name = "FORMAT")]
    format: Option<FormatArg>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum FormatArg {
    /// For a terminal
    Text,
    /// For a document
    Markdown,
    /// For programs: one device a line
    Json,
}

/// Tells what each device added.
pub fn run(cx: &mut Context<'_>, args: &StandupArgs) -> CommandResult {
    let vault = cx.open_vault(Access::Store)?;
    let since = Since::parse(&vault, &args.since)?;
    let told = standup(&vault, since)?;
    let format = match args.format {
        Some(format) => format,
        None if cx.ui.is_json() => FormatArg::Json,
        None => FormatArg::Text,
    };
    if told.commits_left_out > 0 {
        cx.ui.warn(format_args!(
            "the files of {} older commits were not looked at; `mvault log` has them",
            told.commits_left_out
        ));
    }
    if format == FormatArg::Json {
        return as_json(cx, &told);
    }
    cx.ui.page()?;
    as_text(cx, &vault, &told, format == FormatArg::Markdown)
}

fn as_json(cx: &mut Context<'_>, told: &Standup) -> CommandResult {
    for device in &told.devices {
        let items: Vec<Value> = device.items.iter().map(item_json).collect();
        cx.ui.json(&json!({"device": device.device, "items": items}))?;
    }
    Ok(Exit::Done)
}

fn item_json(item: &Item) -> Value {
    let mut object = Map::new();
    object.insert("kind".into(), item.kind.as_str().into());
    object.insert("at".into(), item.at.as_str().into());
    object.insert("day".into(), item.day().into());
    object.insert("text".into(), item.text.as_str().into());
    match &item.path {
        Some(path) => json::put_path(&mut object, "path", path.as_bytes()),
        None => drop(object.insert("path".into(), Value::Null)),
    }
    object.insert("commit".into(), json!(item.commit.map(|id| id.to_string())));
    object.insert("id".into(), json!(item.event.map(|id| id.to_string())));
    object.insert("session".into(), json!(item.session));
    object.insert("lamport".into(), item.lamport.0.into());
    object.insert("arrived".into(), json!(item.arrived.map(|at| at.rfc3339())));
    object.insert("arrived_late".into(), item.arrived_late.into());
    object.insert("waiting".into(), item.is_waiting.into());
    Value::Object(object)
}

fn as_text(cx: &mut Context<'_>, vault: &Vault, told: &Standup, is_markdown: bool) -> CommandResult {
    let viewer = Viewer { now: cx.env.clock.now(), is_markdown };
    let palette = cx.ui.palette();
    let since = viewer.since(&told.since);
    if told.devices.is_empty() {
        cx.ui.note(format_args!("no device added anything since {since}"));
        return Ok(Exit::Done);
    }
    let title = format!("What was added since {since}");
    cx.ui.line(if is_markdown { format!("# {title}") } else { format!("{title}:") })?;
    for device in &told.devices {
        let own = if device.device == vault.config().device.as_str() { " (this device)" } else { "" };
        cx.ui.line("")?;
        let name = neutralise(&device.device);
        cx.ui.line(if is_markdown {
            format!("## {name}{own}")
        } else {
            format!("{}{own}", palette.paint(Style::Id, &name))
        })?;
        let mut day = "";
        for item in &device.items {
            if item.day() != day {
                day = item.day();
                let told = viewer.day(day);
                let line = if is_markdown { format!("\n### {told}\n") } else { format!("  {told}") };
                cx.ui.line(line)?;
            }
            cx.ui.line(viewer.item(item))?;
        }
    }
    Ok(Exit::Done)
}

/// Who reads it, and when.
struct Viewer {
    now: Moment,
    is_markdown: bool,
}

impl Viewer {
    fn since(&self, since: &Since) -> String {
        match since {
            Since::Day { date, .. } => self.day(&date.to_string()),
            Since::Moment(at) => rfc3339(*at, self.now.offset_minutes),
            Since::Commit(id) => id.short(),
        }
    }

    /// Returns a day with its name: `Saturday 2026-11-21, yesterday`.
    fn day(&self, day: &str) -> String {
        let Ok(date) = day.parse::<jiff::civil::Date>() else { return harmless(day) };
        let today: Option<jiff::civil::Date> =
            self.now.rfc3339().get(..10).and_then(|today| today.parse().ok());
        let near = match today {
            Some(today) if date == today => ", today",
            Some(today) if Ok(date) == today.yesterday().map_err(drop) => ", yesterday",
            _ => "",
        };
        format!("{} {date}{near}", weekday(date))
    }

    /// Returns an item as lines: when in the viewer's zone, and in the device's own where that differs.
    fn item(&self, item: &Item) -> String {
        // Agents read both forms.
        let clean = neutralise;
        let indent = if self.is_markdown { "  " } else { "           " };
        let text = clean(item.text.trim_end()).replace('\n', &format!("\n{indent}"));
        let kind = if item.kind == "note" { String::new() } else { format!("[{}] ", clean(&item.kind)) };
        let (clock, there) = self.clock(item);
        let mut remarks: Vec<String> = there.into_iter().collect();
        if let (true, Some(arrived)) = (item.arrived_late, item.arrived) {
            let here = rfc3339(arrived.seconds(), self.now.offset_minutes);
            remarks.push(format!("arrived late: {}", here.get(..16).unwrap_or(&here).replace('T', " ")));
        }
        if item.is_waiting {
            remarks.push("waits: not in this device's files yet".to_owned());
        }
        let remarks = match remarks.is_empty() {
            true => String::new(),
            false => format!(" ({})", remarks.join("; ")),
        };
        match self.is_markdown {
            true => format!("- **{clock}** {kind}{text}{remarks}"),
            false => format!("    {clock}  {kind}{text}{remarks}"),
        }
    }

    /// Returns the time of day here, and the time there if the device was in another zone.
    fn clock(&self, item: &Item) -> (String, Option<String>) {
        let Some(made) = Moment::parse_rfc3339(&item.at) else {
            return ("--:--".to_owned(), Some(harmless(&item.at)));
        };
        let here = rfc3339(made.seconds(), self.now.offset_minutes);
        let clock = here.get(11..16).unwrap_or_default().to_owned();
        if made.offset_minutes == self.now.offset_minutes {
            return (clock, None);
        }
        let zone = item.at.get(item.at.len().saturating_sub(6)..).filter(|zone| zone.starts_with(['+', '-']));
        let zone = zone.unwrap_or("UTC");
        let other_day = if here.get(..10) == Some(item.day()) {
            String::new()
        } else {
            format!("{} here, ", here.get(..10).unwrap_or_default())
        };
        (clock, Some(format!("{other_day}{} {zone} there", item.at.get(11..16).unwrap_or_default())))
    }
}

fn weekday(date: jiff::civil::Date) -> &'static str {
    use jiff::civil::Weekday;
    match date.weekday() {
        Weekday::Monday => "Monday",
        Weekday::Tuesday => "Tuesday",
        Weekday::Wednesday => "Wednesday",
        Weekday::Thursday => "Thursday",
        Weekday::Friday => "Friday",
        Weekday::Saturday => "Saturday",
        Weekday::Sunday => "Sunday",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_named_as_the_viewer_counts_them() {
        let now = Moment::parse_rfc3339("2026-11-22T00:30:00+01:00").expect("a moment");
        let viewer = Viewer { now, is_markdown: false };
        assert_eq!(viewer.day("2026-11-22"), "Sunday 2026-11-22, today");
        assert_eq!(viewer.day("2026-11-21"), "Saturday 2026-11-21, yesterday");
        assert_eq!(viewer.day("2026-11-01"), "Sunday 2026-11-01");
        assert_eq!(viewer.day("nonsense"), "nonsense");
    }
}
