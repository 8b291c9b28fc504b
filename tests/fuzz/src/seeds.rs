//! Writes the sound inputs of a target into a folder: `seeds TARGET FOLDER`.

use std::path::Path;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, name, folder] = &arguments[..] else { panic!("usage: seeds TARGET FOLDER") };
    let target = mvault_fuzz::TARGETS.iter().find(|target| target.name == name);
    for (number, seed) in (target.expect("a target's name").seeds)().iter().enumerate() {
        std::fs::write(Path::new(folder).join(format!("seed-{number}")), seed).expect("the folder takes files");
    }
}
