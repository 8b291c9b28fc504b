//! Fuzz targets: one function per parser of bytes that come from a disk, a wire, a host or a person.
//!
//! - A target takes any bytes and must return. It panics where a claim about the parser does not hold: what was
//!   parsed is written back bit for bit, a canonical form is its own, a merge does not depend on the sides' order.
//! - Checksums are made right again before the bytes are handed over, so that what lies behind them is reached.
//! - The same functions run under libFuzzer (`tests/fuzz/run.sh`) and, for a few seconds each and without coverage,
//!   in the test suite on the stable toolchain (`tests/fuzzing.rs`).

mod plain;
mod vaults;

/// A function over bytes and inputs to begin with.
pub struct Target {
    /// The name of its program and of its folder under testdata/fuzz.
    pub name: &'static str,
    /// Runs it on one input.
    pub run: fn(&[u8]),
    /// Makes sound inputs, from which the others are derived.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// All targets.
pub const TARGETS: &[Target] = &[
    Target { name: "commit", run: plain::commit, seeds: plain::commit_seeds },
    Target { name: "tree", run: plain::tree, seeds: plain::tree_seeds },
    Target { name: "canonical_json", run: plain::canonical_json, seeds: plain::json_seeds },
    Target { name: "event", run: plain::event, seeds: plain::stream_seeds },
    Target { name: "stream", run: plain::stream, seeds: plain::stream_seeds },
    Target { name: "refs", run: plain::refs, seeds: plain::ref_seeds },
    Target { name: "rules", run: plain::rules, seeds: plain::rules_seeds },
    Target { name: "config", run: vaults::config, seeds: vaults::config_seeds },
    Target { name: "ignore", run: plain::ignore, seeds: plain::ignore_seeds },
    Target { name: "wire", run: plain::wire, seeds: vaults::wire_seeds },
    Target { name: "remote", run: plain::remote, seeds: plain::remote_seeds },
    Target { name: "hooks", run: plain::hooks, seeds: plain::hook_seeds },
    Target { name: "mcp", run: plain::mcp, seeds: plain::mcp_seeds },
    Target { name: "secrets", run: plain::secrets, seeds: plain::secret_seeds },
    Target { name: "index", run: vaults::index, seeds: vaults::index_seeds },
    Target { name: "frame", run: vaults::frame, seeds: vaults::frame_seeds },
    Target { name: "pack", run: vaults::pack, seeds: vaults::pack_seeds },
    Target { name: "log", run: vaults::log, seeds: vaults::log_seeds },
    Target { name: "bundle", run: vaults::bundle, seeds: vaults::bundle_seeds },
    Target { name: "revision", run: vaults::revision, seeds: vaults::revision_seeds },
];

/// Runs the target called `name`.
pub fn run(name: &str, data: &[u8]) {
    let target = TARGETS.iter().find(|target| target.name == name);
    (target.expect("each program is named after a target").run)(data);
}
