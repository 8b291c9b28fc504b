//! How much text a host passes on, and how text is cut to it.
//!
//! Hosts say "characters" and count in their own language, mostly UTF-16 units. A text has never fewer
//! units than characters, so the units are what is held below the cap.

/// How many units of a string value the hosts pass on; one more and the text is parked in a file, or loses
/// its middle.
pub const CONTEXT_UNITS_MAX: usize = 10_000;
/// The budget of a boot unless somebody asks for another: what a host adds around it must fit too.
pub const BOOT_UNITS: usize = 9_500;
/// How long a message to a person may be.
pub const MESSAGE_UNITS_MAX: usize = 500;
/// A cut goes back to a line's end if it loses no more than this.
const LINE_UNITS_LOST_MAX: usize = 500;

/// Counts UTF-16 units.
pub fn units(text: &str) -> usize {
    text.chars().map(char::len_utf16).sum()
}

/// Cuts `text` to `units_max`, at a line's end where one is near, and says that and how much was cut.
pub fn cut(text: &str, units_max: usize) -> String {
    if units(text) <= units_max {
        return text.to_owned();
    }
    let total = text.chars().count();
    let note = |kept: usize| format!("\n[mvault: cut after {kept} of {total} characters]");
    // Counted with the larger number, so that the real one fits.
    let kept = prefix(text, units_max.saturating_sub(units(&note(total))));
    let note = note(kept.chars().count());
    if units(&note) > units_max { prefix(text, units_max).to_owned() } else { format!("{kept}{note}") }
}

/// Returns the longest beginning of at most `units_max` that ends at a line, if one is near, and not within
/// what is read as one character.
fn prefix(text: &str, units_max: usize) -> &str {
    let mut used = 0;
    let mut end = 0;
    let mut line = None;
    for (at, c) in text.char_indices() {
        if used + c.len_utf16() > units_max {
            break;
        }
        if c == '\n' {
            line = Some((at, used));
        }
        used += c.len_utf16();
        end = at + c.len_utf8();
    }
    if let Some((at, units)) = line
        && used - units <= LINE_UNITS_LOST_MAX
    {
        return &text[..at];
    }
    while end > 0 {
        let next = text[end..].chars().next();
        let last = text[..end].chars().next_back();
        if !next.is_some_and(belongs_to_previous) && !last.is_some_and(is_joiner) {
            break;
        }
        end -= last.map_or(end, char::len_utf8);
    }
    &text[..end]
}

fn is_joiner(c: char) -> bool {
    matches!(c, '\u{200c}' | '\u{200d}')
}

/// Tells whether a character is read as part of the one before: accents, selectors, skin tones, joiners.
fn belongs_to_previous(c: char) -> bool {
    is_joiner(c)
        || matches!(c, '\u{300}'..='\u{36f}' | '\u{20d0}'..='\u{20ff}' | '\u{fe00}'..='\u{fe0f}')
        || matches!(c, '\u{1f3fb}'..='\u{1f3ff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_at_the_budget_stays_and_one_more_is_cut_honestly() {
        for unit in ["a", "字", "😀", "é", "e\u{301}", "👩\u{200d}💻", "\n"] {
            for size in [9_499, 9_500, 10_000, 10_001, 25_000] {
                let mut text = unit.repeat(size / units(unit));
                text.push_str(&"x".repeat(size - units(&text)));
                assert_eq!(units(&text), size);
                for units_max in [9_500, 10_000] {
                    let cut = cut(&text, units_max);
                    assert!(units(&cut) <= units_max && cut.chars().count() <= units_max, "{unit:?} {size}");
                    assert_eq!(cut == text, size <= units_max, "{unit:?} {size}");
                    assert_eq!(cut.contains("[mvault: cut after "), size > units_max, "{unit:?} {size}");
                    // A cut wastes little.
                    assert!(size <= units_max || units(&cut) > units_max - 600, "{unit:?} {}", units(&cut));
                }
            }
        }
    }

    #[test]
    fn a_cut_ends_at_a_line_if_one_is_near() {
        let text = "0123456789\n".repeat(2_000);
        let cut = cut(&text, 1_000);
        let body = cut.rsplit_once("\n[mvault").expect("the note").0;
        assert!(body.ends_with("0123456789"), "{body}");
    }

    #[test]
    fn no_room_for_a_note_is_no_reason_to_be_too_long() {
        assert_eq!(cut("abcdef", 3), "abc");
        assert_eq!(cut("😀😀", 3), "😀");
        assert_eq!(cut("x", 0), "");
    }
}
