//! What this device remembers of others: their epochs, and the last line of their logs it saw.
//!
//! Kept in `.mvault/peers.json`. It is memory and no part of the truth: without it a peer is a stranger
//! again, and a log of its that went backwards is not noticed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Result, Vault};
use crate::fs;
use crate::object::{DeviceName, read_line, seal_line};

/// The file in `.mvault`, one sealed line.
pub(super) const PEERS: &str = "peers.json";
const PEERS_BYTES_MAX: u64 = 4 << 20;

/// What is remembered of one device.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerMemory {
    /// What tells it from another device of its name: hexadecimal digits.
    pub epoch: String,
    /// The number of the last line of its log.
    pub seq: u64,
    /// The hash of that line, hexadecimal.
    pub hash: String,
    /// When it was last met, RFC 3339; shown, never compared.
    pub seen: String,
}

impl Vault {
    /// Returns what is remembered of other devices; what is damaged counts as forgotten, and `verify` names it.
    pub fn peers(&self) -> Result<BTreeMap<String, PeerMemory>> {
        let bytes = self.dot.try_read(PEERS, PEERS_BYTES_MAX)?;
        Ok(bytes.and_then(|bytes| read_line(bytes.trim_ascii_end())).unwrap_or_default())
    }

    /// Remembers a device.
    pub fn remember_peer(&mut self, device: &DeviceName, memory: PeerMemory) -> Result<()> {
        let mut peers = self.peers()?;
        if peers.get(device.as_str()) == Some(&memory) {
            return Ok(());
        }
        peers.insert(device.to_string(), memory);
        let (bytes, _) = seal_line(&peers);
        Ok(fs::replace_file(&self.dot, PEERS, &bytes, 0o600)?)
    }
}
