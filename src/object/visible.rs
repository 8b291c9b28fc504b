//! Characters that nobody sees, and what is shown in their place.
//!
//! One judgement for terminals, messages and models: what steers a terminal, turns the direction of what is read, or
//! shows nothing never leaves as it is, unless a script or an emoji needs it where it stands.
//!
//! Limits: letters that look like others pass; blanks of any width are blanks.

use super::is_ignorable;

/// Returns `true` for a character that steers a terminal, reorders its neighbours, separates lines or shows nothing.
pub fn is_hidden(c: char) -> bool {
    c.is_control() || is_ignorable(c) || matches!(c, '\u{2028}' | '\u{2029}' | '\u{fff9}'..='\u{fffb}')
}

/// Returns `true` if a character must be made visible where it stands, between what was shown `before` it and what
/// comes `after` it.
pub fn must_show(before: Option<char>, c: char, after: Option<char>) -> bool {
    is_hidden(c) && !is_needed(before, c, after)
}

/// Adds text with an escape in place of each character that must be made visible; those that `stay` stay.
pub fn push_visible(out: &mut String, text: &str, stay: impl Fn(char) -> bool) {
    let mut before = None;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if stay(c) || !must_show(before, c, chars.peek().copied()) {
            out.push(c);
            before = Some(c);
        } else {
            out.extend(c.escape_default());
            before = None;
        }
    }
}

/// Returns bytes that may not be text as one line of it, with everything that is hidden made visible.
pub fn visible_line(bytes: &[u8]) -> String {
    let mut line = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        push_visible(&mut line, chunk.valid(), |_| false);
        line.extend(chunk.invalid().iter().map(|byte| format!("\\x{byte:02x}")));
    }
    line
}

/// Returns `true` if a hidden character makes its neighbours what they are: an emoji of several parts, the coloured
/// form of a sign, a joining script.
fn is_needed(before: Option<char>, c: char, after: Option<char>) -> bool {
    let joined = |c: Option<char>| {
        c.is_some_and(
            |c| matches!(c, '\u{620}'..='\u{6ff}' | '\u{900}'..='\u{dff}' | '\u{1820}'..='\u{18aa}'),
        )
    };
    let follows_picture = before.is_some_and(is_pictograph);
    match c {
        '\u{200d}' => {
            (follows_picture || before == Some('\u{fe0f}')) && after.is_some_and(is_pictograph)
                || joined(before) && joined(after)
        }
        '\u{200c}' => joined(before) && joined(after),
        '\u{fe0e}' | '\u{fe0f}' => {
            let is_key = |c: char| c.is_ascii_digit() || matches!(c, '#' | '*');
            follows_picture || before.is_some_and(is_key) && after == Some('\u{20e3}')
        }
        _ => false,
    }
}

fn is_pictograph(c: char) -> bool {
    matches!(c, '\u{2190}'..='\u{2bff}' | '\u{1f000}'..='\u{1faff}' | '©' | '®' | '‼' | '⁉' | '™' | 'ℹ' | '〰')
        && !matches!(c, '\u{2400}'..='\u{243f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn visible(text: &str) -> String {
        let mut out = String::new();
        push_visible(&mut out, text, |c| c == '\n');
        out
    }

    // Terminals, paths and models each had a list of their own of characters to escape, and each list lacked others:
    // U+200B, U+00AD and the tag characters reached terminals, U+061C even the path's own form.
    #[test]
    fn what_nobody_sees_is_shown_and_what_belongs_to_a_picture_or_a_script_stays() {
        for hidden in "\u{ad}\u{34f}\u{61c}\u{180e}\u{200b}\u{200e}\u{200f}\u{202a}\u{202e}\u{2028}\u{2060}\u{2066}\u{2069}\
                       \u{3164}\u{feff}\u{fff9}\u{fffb}\u{e0041}\u{e0101}\u{9b}\u{7f}\u{1b}\r"
            .chars()
        {
            let shown = visible(&format!("a{hidden}b\n"));
            assert!(!shown.contains(hidden) && shown.starts_with("a\\"), "{shown:?}");
        }
        for kept in
            ["👩\u{200d}💻 ❤\u{fe0f} 1\u{fe0f}\u{20e3}", "می\u{200c}خواهم", "Zoë 日本語 🏳\u{fe0f}\u{200d}🌈"]
        {
            assert_eq!(visible(kept), kept);
        }
        assert_eq!(visible("1\u{fe0f}.md"), "1\\u{fe0f}.md");
        assert_eq!(visible("❤\u{fe0f}\u{fe0f}"), "❤\u{fe0f}\\u{fe0f}");
    }
}
