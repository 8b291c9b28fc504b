//! Seeded files that grow: a session's stream with what goes with it, and one file of a gigabyte.

use std::fs::{File, OpenOptions};
use std::io::{BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::Done;
use super::workload::{Random, note, word};

/// Returns a line of JSON of about `bytes` bytes.
fn line(random: &mut Random, number: u64, bytes: usize) -> String {
    let mut text = format!("{{\"n\":{number},\"id\":\"{:016x}\",\"text\":\"", random.bits());
    while text.len() + 3 < bytes {
        text.push_str(word(random));
        text.push(' ');
    }
    text.push_str("\"}\n");
    text
}

/// Appends so many lines of about 300 bytes to the stream `sessions.jsonl`.
pub fn add_lines(folder: &Path, round: u64, count: u64) -> Done {
    let mut random = Random::new(7_000_000 + round);
    let text: String = (0..count).map(|n| line(&mut random, round * count + n, 300)).collect();
    let mut stream = OpenOptions::new().create(true).append(true).open(folder.join("sessions.jsonl"))?;
    Ok(stream.write_all(text.as_bytes())?)
}

/// What a session leaves: 20 lines more of the stream, another `continuity.md`, one more distillate.
pub fn grow(folder: &Path, round: u64) -> Done {
    add_lines(folder, round, 20)?;
    std::fs::write(folder.join("continuity.md"), note(2_000_000 + round, 4000))?;
    std::fs::create_dir_all(folder.join("distillates"))?;
    let (month, day, of_day) = (1 + round / 168, 1 + round / 6 % 28, round % 6);
    let name = format!("distillates/2026-{month:02}-{day:02}-{of_day}.md");
    Ok(std::fs::write(folder.join(name), note(3_000_000 + round, 3000))?)
}

fn big(folder: &Path) -> PathBuf {
    folder.join("transcript.txt")
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Writes text of so many bytes that compresses to about 60 %, as transcripts with encoded pictures do.
fn write_text(file: &mut impl Write, seed: u64, bytes: u64) -> Done {
    let mut random = Random::new(seed);
    let mut written = 0;
    let mut text = String::new();
    while written < bytes {
        text.clear();
        for number in 0..24 {
            text.push_str(&line(&mut random, number, 300));
        }
        for _ in 0..720 {
            let bits = random.bits();
            text.extend((0..10).map(|n| char::from(BASE64[(bits >> (6 * n)) as usize % 64])));
        }
        text.push('\n');
        let part = &text.as_bytes()[..text.len().min((bytes - written) as usize)];
        file.write_all(part)?;
        written += part.len() as u64;
    }
    Ok(())
}

/// Writes the big file.
pub fn write_big(folder: &Path, bytes: u64) -> Done {
    let mut file = BufWriter::with_capacity(1 << 20, File::create(big(folder))?);
    write_text(&mut file, 11, bytes)?;
    Ok(file.flush()?)
}

/// Appends to the big file.
pub fn append_big(folder: &Path, seed: u64, bytes: u64) -> Done {
    let mut file = OpenOptions::new().append(true).open(big(folder))?;
    write_text(&mut file, 100 + seed, bytes)
}

/// Overwrites bytes in the middle of the big file.
pub fn edit_big(folder: &Path, seed: u64, bytes: u64) -> Done {
    let mut file = OpenOptions::new().write(true).open(big(folder))?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length / 2 + seed * 4 * bytes))?;
    write_text(&mut file, 200 + seed, bytes)
}

/// Inserts bytes at a third of the big file.
pub fn insert_big(folder: &Path, seed: u64, bytes: u64) -> Done {
    let (path, temporary) = (big(folder), folder.join("transcript.new"));
    let mut old = BufReader::with_capacity(1 << 20, File::open(&path)?);
    let mut new = BufWriter::with_capacity(1 << 20, File::create(&temporary)?);
    let third = old.get_ref().metadata()?.len() / 3;
    std::io::copy(&mut (&mut old).take(third), &mut new)?;
    write_text(&mut new, 300 + seed, bytes)?;
    std::io::copy(&mut old, &mut new)?;
    new.flush()?;
    Ok(std::fs::rename(temporary, path)?)
}
