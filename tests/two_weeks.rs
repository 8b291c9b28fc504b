//! The material under testdata/two-weeks is what its README says.

use std::fs;
use std::path::PathBuf;

use mvault::events::{Content, Stream, merge_streams, verify};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata/two-weeks")
}

fn stream(device: &str) -> Vec<u8> {
    fs::read(folder().join("events").join(format!("{device}.jsonl"))).expect("the stream is there")
}

fn names(of: &str) -> Vec<String> {
    let entries = fs::read_dir(folder().join(of)).expect("the folder is there");
    let name = |entry: std::io::Result<fs::DirEntry>| {
        entry.expect("readable").file_name().into_string().expect("a name in Unicode")
    };
    entries.map(name).collect()
}

/// The streams were written by another program after docs/format.md: it and our reader agree.
#[test]
fn every_line_of_the_streams_is_an_event_we_would_have_written() {
    for device in ["mac", "pixel"] {
        let text = stream(device);
        let stream = Stream::parse(&text);
        assert!(stream.lines().len() >= 20, "{device}");
        let mut written = Vec::new();
        for line in stream.lines() {
            let event = line.event().unwrap_or_else(|| panic!("{device}, line {} is no event", line.number));
            assert_eq!(event.device.as_str(), device);
            written.extend_from_slice(format!("{}\n", event.line()).as_bytes());
        }
        assert!(written == text, "{device}: written again the bytes are the same");
    }
}

#[test]
fn both_streams_are_whole_chains_apart_and_together() {
    let (mac, pixel) = (stream("mac"), stream("pixel"));
    let both = merge_streams(None, &mac, &pixel).expect("they have no id in common");
    for (text, chains) in [(&mac, 1), (&pixel, 1), (&both, 2)] {
        let report = verify(&Stream::parse(text));
        assert_eq!(report.findings, []);
        assert_eq!((report.chains.len(), report.foreign), (chains, 0));
    }
    let stream = Stream::parse(&both);
    let devices: Vec<bool> = stream
        .lines()
        .iter()
        .filter_map(|line| match &line.content {
            Content::Event(event) => Some(&*event.device == "mac"),
            _ => None,
        })
        .collect();
    let turns = devices.windows(2).filter(|pair| pair[0] != pair[1]).count();
    assert!(turns >= 15, "the two devices take turns over the days: {turns}");
}

#[test]
fn sessions_that_closed_name_a_distillate_that_is_there() {
    let distillates = names("distillates");
    assert!(distillates.len() >= 8);
    let mut closed = 0;
    for device in ["mac", "pixel"] {
        let text = stream(device);
        for event in Stream::parse(&text).lines().iter().filter_map(|line| line.event()) {
            if event.kind == "session_close" {
                let path = event.body.as_object().and_then(|body| body.get("distillate"));
                let path = path.and_then(|path| path.as_str()).expect("a distillate");
                let page = fs::read_to_string(folder().join(path)).expect(path);
                let session = event.session.expect("a session that closes has an id");
                assert!(page.contains(&format!("session: {session}\n")), "{path}");
                closed += 1;
            }
        }
    }
    assert_eq!(closed, distillates.len());
}

#[test]
fn names_are_in_nfc_and_of_many_scripts() {
    use unicode_normalization::UnicodeNormalization;
    let names = names("notes");
    assert!(names.len() >= 15);
    assert!(names.iter().all(|name| name.nfc().eq(name.chars())));
    for script in ['日', 'ü', 'é', '🌱'] {
        assert!(names.iter().any(|name| name.contains(script)), "{script}");
    }
}
