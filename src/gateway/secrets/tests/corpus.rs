//! How many alarms real text gives, and how fast: for a folder of documents that the caller names.

#![allow(clippy::print_stdout)] // the figures are what it is for

use std::path::PathBuf;
use std::time::Instant;

use super::super::{Scanner, scan};

/// Reads `MVAULT_SECRETS_CORPUS` (folders, as PATH has them) and `MVAULT_SECRETS_ENDINGS` (`md`), and lists each
/// alarm with its place. Nothing of what was found is printed.
#[test]
#[ignore = "needs a folder of documents in MVAULT_SECRETS_CORPUS"]
fn alarms_in_a_corpus_are_listed_with_their_places() {
    let folders = std::env::var_os("MVAULT_SECRETS_CORPUS").expect("MVAULT_SECRETS_CORPUS names folders");
    let endings = std::env::var("MVAULT_SECRETS_ENDINGS").unwrap_or_else(|_| "md,mdx".to_owned());
    let start = Instant::now();
    scan(b"");
    println!("first look {:?}", start.elapsed());
    let is_document = |path: &PathBuf| {
        let ending = path.extension().unwrap_or_default().to_string_lossy().into_owned();
        endings.split(',').any(|known| known == ending || known == "*")
    };
    let walks = std::env::split_paths(&folders).flat_map(walkdir::WalkDir::new);
    let files = walks.filter_map(Result::ok).filter(|entry| entry.file_type().is_file());
    let mut paths: Vec<PathBuf> = files.map(walkdir::DirEntry::into_path).filter(is_document).collect();
    paths.sort();
    let texts: Vec<Vec<u8>> = paths.iter().map(|path| std::fs::read(path).unwrap_or_default()).collect();
    let mut alarms = 0;
    for (path, text) in paths.iter().zip(&texts) {
        for secret in scan(text) {
            let line = 1 + text[..secret.offset as usize].iter().filter(|b| **b == b'\n').count();
            println!("{}:{line}: {} ({} bytes)", path.display(), secret.rule, secret.length);
            alarms += 1;
        }
    }
    let bytes: usize = texts.iter().map(Vec::len).sum();
    println!("{} documents, {bytes} bytes, {alarms} alarms", texts.len());
    let whole = best(|| texts.iter().map(|text| scan(text).len()).sum());
    let pieces = best(|| {
        let mut sum = 0;
        for text in &texts {
            let mut scanner = Scanner::new();
            text.chunks(512 * 1024).for_each(|piece| scanner.update(piece));
            sum += scanner.finish().len();
        }
        sum
    });
    println!(
        "{:.0} MB/s whole, {:.0} MB/s in pieces",
        bytes as f64 / whole / 1e6,
        bytes as f64 / pieces / 1e6
    );
}

/// Returns the shortest of ten runs, in seconds.
fn best(mut run: impl FnMut() -> usize) -> f64 {
    let runs = (0..10).map(|_| {
        let start = Instant::now();
        std::hint::black_box(run());
        start.elapsed().as_secs_f64()
    });
    runs.fold(f64::MAX, f64::min)
}
