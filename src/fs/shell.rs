//! Paths in suggested commands: what a person copies must name the same file to a shell, and run nothing.

use std::ffi::OsStr;

/// Returns `word` as one word of a POSIX shell. What a terminal would act on or not show is written as `$'\xNN'`,
/// which bash, zsh and ksh read.
pub fn shell_word(word: impl AsRef<OsStr>) -> String {
    let bytes = word.as_ref().as_encoded_bytes();
    let is_plain = |b: &u8| b.is_ascii_alphanumeric() || b"/._-+,:@%=".contains(b);
    if !bytes.is_empty() && !bytes.starts_with(b"-") && bytes.iter().all(is_plain) {
        return String::from_utf8_lossy(bytes).into_owned();
    }
    let is_visible = |c: char| c.is_alphanumeric() || c == ' ' || c.is_ascii_graphic();
    match std::str::from_utf8(bytes) {
        Ok(text) if text.chars().all(is_visible) => format!("'{}'", text.replace('\'', r"'\''")),
        _ => {
            let escape = |b: &u8| match b {
                b'\'' | b'\\' => format!("\\{}", char::from(*b)),
                b if b.is_ascii_graphic() || *b == b' ' => char::from(*b).to_string(),
                b => format!("\\x{b:02x}"),
            };
            format!("$'{}'", bytes.iter().map(escape).collect::<String>())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    #[test]
    fn a_shell_reads_back_the_same_bytes_and_runs_nothing() {
        let words: [&[u8]; 10] = [
            b"/home/a/notes",
            b"",
            b"-rf",
            b"a b",
            b"it's",
            b"a;touch PWNED;$(id)`id`",
            "caf\u{e9}".as_bytes(),
            b"\x1b]52;c;YQ==\x07",
            "\u{202e}x".as_bytes(),
            b"\xff\\'x\n",
        ];
        for bytes in words {
            let word = shell_word(OsStr::from_bytes(bytes));
            assert!(!word.bytes().any(|b| b < b' '), "{word}");
            let script = format!("printf %s {word}");
            let output = std::process::Command::new("bash").args(["-c", &script]).output().expect("bash");
            assert_eq!(output.stdout, bytes, "{word}");
        }
    }
}
