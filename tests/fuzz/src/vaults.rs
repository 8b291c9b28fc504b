//! Targets that need files: they stand on a simulated disk. Checksums are made right again first.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use sha2::{Digest, Sha256};

use mvault::env::{Env, Moment};
use mvault::fs::{Dir, Disk, SimDisk};
use mvault::object::{DeviceName, Kind, hash_object};
use mvault::oplog::{Label, OpLog};
use mvault::store::{Extent, Store};
use mvault::sync;
use mvault::vault::config::Config;
use mvault::vault::{
    Access, BundleRequest, CommitRequest, InitOptions, OpenOptions, Origin, Trust, Vault, VaultEndpoint,
    Verb, commit, create_bundle, create_tag, init,
};
use mvault::worktree::Index;

const ROOT: &str = "/v";

fn options(disk: &SimDisk) -> OpenOptions {
    let moment = Moment { unix_ns: 1_764_000_000_000_000_000, offset_minutes: 60 };
    OpenOptions {
        disk: Arc::new(disk.clone()),
        env: Env::fixed(moment, "fuzz"),
        actor: "eve".to_owned(),
        args: Vec::new(),
        session: None,
        access: Access::Tree,
        trust: Trust::Given,
    }
}

fn write(dir: &Dir, name: &str, bytes: &[u8]) {
    let file = dir.create_new(name, 0o644).expect("the name is free");
    file.write_at(bytes, 0).expect("a simulated disk has room");
}

/// A vault with three commits, a stream, a file above the size of a record, and a tag.
fn template() -> &'static SimDisk {
    static MADE: OnceLock<SimDisk> = OnceLock::new();
    MADE.get_or_init(|| {
        let disk = SimDisk::new();
        let device = DeviceName::parse("mac").expect("a name");
        let mut vault = init(Path::new(ROOT), InitOptions { device, origin: Origin::New }, options(&disk))
            .expect("a vault");
        let root = disk.open_dir(Path::new(ROOT)).expect("the vault's folder");
        let events = root.open_or_create_dir("events").expect("a folder");
        let noise: Vec<u8> = (0..40_000u32).flat_map(|n| Sha256::digest(n.to_le_bytes())).collect();
        write(&root, "continuity.md", b"# Now\nfirst\n");
        write(&root, "large.bin", &noise[..600_000]);
        write(&events, "mac.jsonl", b"{\"t\":1}\n");
        for round in 0..3u8 {
            write(&root, &format!("note-{round}.md"), &noise[usize::from(round) * 100..][..900]);
            let request = CommitRequest { operation: "commit", ..CommitRequest::default() };
            commit(&mut vault, &request).expect("a commit");
        }
        let head = vault.resolve("main").expect("there is a head");
        create_tag(&mut vault, &Label::parse("v1").expect("a label"), head).expect("a tag");
        disk
    })
}

/// Returns the template's files below `.mvault` in `folder`.
fn files_of(folder: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(ROOT).join(".mvault").join(folder);
    template().files().into_iter().filter(|(path, _)| path.starts_with(&folder)).collect()
}

fn sum(parts: &[&[u8]]) -> [u8; 16] {
    let mut hasher = Sha256::new();
    parts.iter().for_each(|part| hasher.update(part));
    hasher.finalize()[..16].try_into().expect("a hash is longer")
}

fn number(bytes: &[u8], at: usize) -> usize {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes")).try_into().unwrap_or(usize::MAX)
}

/// Makes the checksums of a pack right, as far as its own lengths can be followed (docs/format.md, "Packs").
fn seal_pack(pack: &mut [u8]) {
    let Some(footer) = pack.len().checked_sub(128) else { return };
    pack[footer..footer + 8].copy_from_slice(b"mvfoot1\n");
    pack[footer + 120..].copy_from_slice(b"mvpackE\n");
    let (table, directory) = (number(pack, footer + 8), number(pack, footer + 16));
    let buckets = 1usize << pack[footer + 48].min(10);
    if table <= directory && directory.checked_add(buckets * 4).is_some_and(|end| end <= footer) {
        let mut start = table;
        for bucket in 0..buckets {
            let at = directory + bucket * 4;
            let end = u32::from_le_bytes(pack[at..at + 4].try_into().expect("four bytes")) as usize;
            let Some(end) = table.checked_add(end).filter(|end| *end >= start + 16 && *end <= directory)
            else {
                break;
            };
            let check = sum(&[&(bucket as u32).to_le_bytes(), &pack[start..end - 16]]);
            pack[end - 16..end].copy_from_slice(&check);
            start = end;
        }
        let check = sum(&[&pack[directory..directory + buckets * 4]]);
        pack[footer + 56..footer + 72].copy_from_slice(&check);
    }
    let body = Sha256::digest(&pack[..footer]);
    pack[footer + 72..footer + 104].copy_from_slice(&body);
    let check = sum(&[&pack[footer..footer + 104]]);
    pack[footer + 104..footer + 120].copy_from_slice(&check);
}

/// Opens a store that holds this one pack and reads all of it.
fn read_pack(pack: &[u8]) {
    let disk = SimDisk::new();
    let dot = disk.create_dir_all(Path::new("/s")).expect("a folder");
    Store::create(&dot).expect("an empty store");
    let objects = dot.open_dir("objects").expect("its folder");
    write(&objects, &format!("{}.pack", hex::encode(Sha256::digest(pack))), pack);
    let Ok(store) = Store::open(&dot) else { return };
    for (id, _) in store.ids().unwrap_or_default() {
        if let Ok(Some(object)) = store.try_find(id) {
            assert_eq!(hash_object(object.kind, &object.data), id, "what is handed out was hashed");
        }
        let _any_answer = store.read_to(id, &mut std::io::sink());
    }
    let _problems = store.verify(Extent::All, &|_| {});
}

/// A pack whose checksums fit yields objects that hash to their ids, or errors.
pub fn pack(data: &[u8]) {
    let mut pack = data.to_vec();
    seal_pack(&mut pack);
    read_pack(&pack);
}

pub fn pack_seeds() -> Vec<Vec<u8>> {
    let packs = files_of("objects").into_iter().map(|(_, bytes)| bytes);
    packs.filter(|bytes| bytes.len() < 60_000).collect()
}

/// A frame of zstd behind a sound table: two bytes of length as the table says it, then the frame.
pub fn frame(data: &[u8]) {
    let Some((length, frame)) = data.split_first_chunk::<2>() else { return };
    let plain = u64::from(u16::from_le_bytes(*length));
    let id = hash_object(Kind::Blob, frame);
    let mut pack = b"mvpack1\n".to_vec();
    pack.extend_from_slice(frame);
    let table = pack.len() as u64;
    pack.extend_from_slice(&[1, 0, 0, 0, 0, 0, 0, 0]);
    pack.extend_from_slice(id.as_bytes());
    pack.extend_from_slice(&8u64.to_le_bytes());
    pack.extend_from_slice(&plain.to_le_bytes());
    pack.extend_from_slice(&(frame.len() as u32).to_le_bytes());
    pack.extend_from_slice(&[1, 0, 0, 0, 0, 0, 0, 0]);
    pack.extend_from_slice(&[0; 16]);
    let directory = pack.len() as u64;
    pack.extend_from_slice(&((directory - table) as u32).to_le_bytes());
    let mut footer = [0; 128];
    for (at, value) in [(8, table), (16, directory), (24, 1), (32, 1), (40, plain)] {
        footer[at..at + 8].copy_from_slice(&value.to_le_bytes());
    }
    pack.extend_from_slice(&footer);
    seal_pack(&mut pack);
    read_pack(&pack);
}

pub fn frame_seeds() -> Vec<Vec<u8>> {
    // A record of a real pack is a frame; its length is in the frame's own header.
    let packs = pack_seeds();
    let frames = packs.iter().filter_map(|pack| {
        let table = number(pack, pack.len() - 128 + 8);
        let at = number(pack, table + 8 + 32);
        let plain = u16::try_from(number(pack, table + 8 + 40)).ok()?;
        let stored = u32::from_le_bytes(pack[table + 56..table + 60].try_into().ok()?) as usize;
        Some([&plain.to_le_bytes()[..], pack.get(at..at + stored)?].concat())
    });
    frames.collect()
}

/// Makes the hashes of a log's lines right and lets each name the one before it.
fn seal_log(data: &[u8]) -> Vec<u8> {
    let mut last = "0".repeat(64);
    let mut log = Vec::new();
    for line in data.split_inclusive(|byte| *byte == b'\n') {
        let mark = b",\"hash\":\"";
        let cut = line.windows(mark.len()).rposition(|window| window == mark);
        let Some(cut) = cut.filter(|_| line.ends_with(b"\"}\n")) else {
            log.extend_from_slice(line);
            continue;
        };
        let mut body = line[..cut].to_vec();
        let prev = b"\"prev\":\"";
        let at = body.windows(prev.len()).position(|window| window == prev);
        if let Some(digits) = at.and_then(|at| body.get_mut(at + prev.len()..at + prev.len() + 64)) {
            digits.copy_from_slice(last.as_bytes());
        }
        let hash = hex::encode(Sha256::digest(&body));
        log.extend_from_slice(&[&body[..], mark, hash.as_bytes(), b"\"}\n"].concat());
        if !body.starts_with(b"{\"checkpoint\"") {
            last = hash;
        }
    }
    log
}

/// A log whose hashes fit opens or is damaged; all its operations can be asked for.
pub fn log(data: &[u8]) {
    let disk = SimDisk::new();
    let dot = disk.create_dir_all(Path::new("/s")).expect("a folder");
    let folder = dot.open_or_create_dir("oplog").expect("a folder");
    write(&folder, "0000000000000001.jsonl", &seal_log(data));
    let Ok(log) = OpLog::open(&dot, None) else { return };
    for operation in log.operations().flatten() {
        let _refs = log.refs_at(operation.seq);
    }
    let _problems = log.verify();
}

pub fn log_seeds() -> Vec<Vec<u8>> {
    files_of("oplog").into_iter().map(|(_, bytes)| bytes).collect()
}

/// Settings that load are written and load as the same ones.
pub fn config(data: &[u8]) {
    let disk = SimDisk::new();
    let dot = disk.create_dir_all(Path::new("/s")).expect("a folder");
    write(&dot, "config.toml", data);
    if let Ok(config) = Config::load(&dot) {
        config.save(&dot).expect("a simulated disk has room");
        let again = Config::load(&dot).expect("what was loaded and written loads");
        assert_eq!(again.device, config.device);
    }
}

pub fn config_seeds() -> Vec<Vec<u8>> {
    files_of("config.toml").into_iter().map(|(_, bytes)| bytes).collect()
}

/// An index whose hash fits is whole or none; all its entries can be asked for.
pub fn index(data: &[u8]) {
    let mut bytes = data.to_vec();
    if let Some(body) = bytes.len().checked_sub(32) {
        let hash = Sha256::digest(&bytes[..body]);
        bytes[body..].copy_from_slice(&hash);
    }
    if let Some(index) = Index::parse(bytes) {
        for (path, entry) in index.iter() {
            let _found = (index.find(path), entry);
        }
    }
}

pub fn index_seeds() -> Vec<Vec<u8>> {
    files_of("index").into_iter().map(|(_, bytes)| bytes).collect()
}

/// A bundle whose hash fits is refused or holds together.
pub fn bundle(data: &[u8]) {
    let mut bytes = data.to_vec();
    if let Some(body) = bytes.len().checked_sub(32) {
        let hash = Sha256::digest(&bytes[..body]);
        bytes[body..].copy_from_slice(&hash);
    }
    let disk = SimDisk::new();
    let dot = disk.create_dir_all(Path::new("/s")).expect("a folder");
    Store::create(&dot).expect("an empty store");
    write(&dot, "x.bundle", &bytes);
    let file = dot.open("x.bundle").expect("it was written");
    let Ok(bundle) = sync::bundle::Bundle::open(file, &mut |_| {}) else { return };
    let scratch = dot.open_or_create_dir("scratch").expect("a folder");
    let store = Store::open(&dot).expect("an empty store");
    let _any_answer = sync::bundle::check(&bundle, &scratch, &store, &mut |_| {});
}

pub fn bundle_seeds() -> Vec<Vec<u8>> {
    static MADE: OnceLock<Vec<u8>> = OnceLock::new();
    let made = MADE.get_or_init(|| {
        let disk = template().after_kill();
        let vault = Vault::open(Path::new(ROOT), options(&disk)).expect("the vault");
        disk.create_dir_all(Path::new("/out")).expect("a folder");
        let request = BundleRequest {
            file: "/out/x.bundle".into(),
            revisions: vec!["main~2".to_owned()],
            ..BundleRequest::default()
        };
        let mut endpoint = VaultEndpoint::new(vault, Verb::Bundle, false);
        create_bundle(&mut endpoint, &request, &mut |_| {}).expect("a bundle");
        disk.files().remove(Path::new("/out/x.bundle")).expect("it was written")
    });
    vec![made.clone()]
}

/// The frames of a bundle, one an input.
pub fn wire_seeds() -> Vec<Vec<u8>> {
    let bundle = bundle_seeds().remove(0);
    let start = bundle.iter().position(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let mut rest = &bundle[start..bundle.len() - 32];
    let mut seeds = Vec::new();
    while let Some(head) = rest.first_chunk::<5>() {
        let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
        let Some((frame, after)) = rest.split_at_checked(5 + length) else { break };
        if frame.len() < 5000 {
            seeds.push(frame.to_vec());
        }
        rest = after;
    }
    seeds
}

/// Whatever is typed as a revision names commits or is an error.
pub fn revision(data: &[u8]) {
    thread_local! {
        static VAULT: RefCell<Option<Vault>> = const { RefCell::new(None) };
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    VAULT.with_borrow_mut(|vault| {
        let vault = vault.get_or_insert_with(|| {
            Vault::open(Path::new(ROOT), options(&template().after_kill())).expect("the vault")
        });
        let _any_answers = (vault.resolve(text), vault.resolve_heads(text));
    });
}

pub fn revision_seeds() -> Vec<Vec<u8>> {
    let texts = [
        "main~2^1",
        "HEAD",
        "v1~1",
        "op:3",
        "main@{yesterday}",
        "@{2026-11-22 06:00}",
        "saved/1",
        "6ef19b41",
        "pixel/main~é",
    ];
    texts.map(|text| text.as_bytes().to_vec()).to_vec()
}
