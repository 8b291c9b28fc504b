//! What this device remembers of others: their epochs, and the last line of their logs it saw.
//!
//! Kept in `.mvault/peers.json`. It is memory and no part of the truth: without it a peer is a stranger
//! again, and a log of its that went backwards is not noticed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Result, Vault};
use crate::env::Moment;
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
    /// What was odd about it when it came, for a person to read: nobody may have been there to see it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oddity: Option<Oddity>,
}

/// Something odd about another device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Oddity {
    /// What it is.
    pub text: String,
    /// When it was noticed, RFC 3339.
    pub noticed: String,
}

/// For so long what was odd is shown.
const SHOWN_SECONDS: i64 = 30 * 24 * 60 * 60;

impl Vault {
    /// Returns what is remembered of other devices; what is damaged counts as forgotten, and `verify` names it.
    pub fn peers(&self) -> Result<BTreeMap<String, PeerMemory>> {
        let bytes = self.dot.try_read(PEERS, PEERS_BYTES_MAX)?;
        Ok(bytes.and_then(|bytes| read_line(bytes.trim_ascii_end())).unwrap_or_default())
    }

    /// Returns what was odd about other devices of late, by device.
    pub fn oddities(&self) -> Result<Vec<(String, Oddity)>> {
        let now = self.env.clock.now().seconds();
        let is_late = |oddity: &Oddity| {
            Moment::parse_rfc3339(&oddity.noticed).is_some_and(|then| now - then.seconds() < SHOWN_SECONDS)
        };
        let peers = self.peers()?.into_iter();
        let odd = peers.filter_map(|(device, memory)| Some((device, memory.oddity?)));
        Ok(odd.filter(|(_, oddity)| is_late(oddity)).collect())
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
