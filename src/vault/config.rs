//! Local settings: `.mvault/config.toml` (this device, its remotes, what its file system can do) and
//! `~/.config/mvault/config.toml` (the default vault). Neither is ever sent anywhere.
//!
//! Files are edited in place: comments and unknown keys of the user's stay.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use toml_edit::{DocumentMut, Item, Table, value};

use crate::fs::{self, Abilities, Dir, Disk};
use crate::object::{DeviceName, VaultId};

/// The folder of the user's settings, below the home folder.
pub(super) const CONFIG_FOLDER: &str = ".config/mvault";
const CONFIG: &str = "config.toml";
const CONFIG_BYTES_MAX: u64 = 1 << 20;
const LOCK_WAIT_S: i64 = 60;

/// What is wrong with a settings file.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It cannot be read or written.
    #[error(transparent)]
    Disk(#[from] fs::Error),
    /// It is no TOML.
    #[error("{} is not valid TOML", crate::fs::shown(path))]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Where and why.
        #[source]
        source: Box<toml_edit::TomlError>,
    },
    /// A value is missing or of another form than it must be.
    #[error("{}: {key} {problem}", crate::fs::shown(path))]
    Value {
        /// The file.
        path: PathBuf,
        /// The key, dotted.
        key: String,
        /// What is wrong with it.
        problem: &'static str,
    },
}

/// A remote as it was added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remote {
    /// Its name here.
    pub name: String,
    /// `HOST:[PATH]`, a local path or a bundle file.
    pub url: String,
    /// The far program, if it is not `mvault` on the far PATH.
    pub binary: Option<String>,
    /// The far device's name, once it was seen.
    pub device: Option<DeviceName>,
}

/// The settings of one vault on one device.
#[derive(Clone, Debug)]
pub struct Config {
    path: PathBuf,
    document: DocumentMut,
    /// This device's name.
    pub device: DeviceName,
    /// Random, new for every copy of a vault: tells two devices of one name apart. 16 hex digits.
    pub epoch: String,
    /// The vault's id; none only in a clone that has not met its source yet.
    pub vault: Option<VaultId>,
    /// What the file system can do.
    pub abilities: Abilities,
}

impl ConfigError {
    /// Tells whether the file is gone, or lacks what the program itself wrote into it.
    pub fn is_lost(&self) -> bool {
        match self {
            ConfigError::Disk(error) => error.is_not_found(),
            ConfigError::Syntax { .. } => true,
            ConfigError::Value { key, .. } => key.starts_with("device.") || key == "the file",
        }
    }
}

impl Config {
    /// Makes the settings of a new vault or clone; nothing is written before [`Config::save`].
    pub fn new(
        dot: &Dir,
        device: DeviceName,
        epoch: String,
        vault: Option<VaultId>,
        abilities: Abilities,
    ) -> Config {
        let mut document = DocumentMut::new();
        document["device"] = Item::Table(Table::new());
        document["device"]["name"] = value(device.as_str());
        document["device"]["epoch"] = value(&epoch);
        if let Some(vault) = vault {
            document["device"]["vault"] = value(vault.to_string());
        }
        document["disk"] = Item::Table(Table::new());
        for (key, ability) in [
            ("symlinks", abilities.symlinks),
            ("executable", abilities.executable),
            ("folds-case", abilities.folds_case),
            ("folds-unicode", abilities.folds_unicode),
            ("locks", abilities.locks),
        ] {
            document["disk"][key] = value(ability);
        }
        Config { path: dot.path().join(CONFIG), document, device, epoch, vault, abilities }
    }

    /// Reads the settings.
    pub fn load(dot: &Dir) -> Result<Config, ConfigError> {
        let path = dot.path().join(CONFIG);
        let document = parse(&path, &dot.read(CONFIG, CONFIG_BYTES_MAX)?)?;
        let fail = |key: &str, problem| ConfigError::Value { path: path.clone(), key: key.into(), problem };
        let text = |key: &str| document.get("device").and_then(|d| d.get(key)).and_then(Item::as_str);
        let device = text("name")
            .and_then(DeviceName::parse)
            .ok_or_else(|| fail("device.name", "is missing or no device name"))?;
        let epoch = text("epoch")
            .filter(|e| e.len() == 16 && e.bytes().all(|b| b.is_ascii_hexdigit()))
            .ok_or_else(|| fail("device.epoch", "is missing or not 16 hexadecimal digits"))?
            .to_owned();
        let vault = match text("vault") {
            None => None,
            Some(id) => {
                Some(VaultId::parse(id).ok_or_else(|| fail("device.vault", "is not 32 hexadecimal digits"))?)
            }
        };
        let ability = |key: &str| -> Result<bool, ConfigError> {
            let item = document.get("disk").and_then(|d| d.get(key));
            let absent = matches!(key, "symlinks" | "executable" | "locks");
            item.map_or(Ok(absent), |item| {
                item.as_bool().ok_or_else(|| fail(&format!("disk.{key}"), "is not true or false"))
            })
        };
        let abilities = Abilities {
            symlinks: ability("symlinks")?,
            executable: ability("executable")?,
            folds_case: ability("folds-case")?,
            folds_unicode: ability("folds-unicode")?,
            locks: ability("locks")?,
        };
        let config = Config { device, epoch, vault, abilities, path: path.clone(), document };
        config.lock_wait()?;
        config.remotes()?;
        Ok(config)
    }

    /// Writes the settings, atomically.
    pub fn save(&self, dot: &Dir) -> Result<(), ConfigError> {
        Ok(fs::replace_file(dot, CONFIG, self.document.to_string().as_bytes(), 0o600)?)
    }

    fn bad(&self, key: String, problem: &'static str) -> ConfigError {
        ConfigError::Value { path: self.path.clone(), key, problem }
    }

    /// Names the vault that a clone is of.
    pub fn set_vault(&mut self, vault: VaultId) {
        self.vault = Some(vault);
        self.document["device"]["vault"] = value(vault.to_string());
    }

    /// Returns where this vault is being cloned from, as long as the clone is not finished.
    pub fn unfinished_clone(&self) -> Option<&str> {
        self.document.get("clone").and_then(|clone| clone.get("source")).and_then(Item::as_str)
    }

    /// Notes where this vault is being cloned from; nothing once the clone is finished.
    pub fn set_unfinished_clone(&mut self, source: Option<&str>) {
        match source {
            Some(source) => {
                self.document["clone"] = Item::Table(Table::new());
                self.document["clone"]["source"] = value(source);
            }
            None => {
                self.document.remove("clone");
            }
        }
    }

    /// Returns the epoch as bytes, as it goes over the wire.
    pub fn epoch_bytes(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        hex::decode_to_slice(&self.epoch, &mut bytes[..8]).expect("the epoch was checked to be 16 digits");
        bytes
    }

    /// Returns how long to wait for the vault's lock.
    pub fn lock_wait(&self) -> Result<Duration, ConfigError> {
        let item = self.document.get("limits").and_then(|l| l.get("lock-wait-s"));
        let seconds = item.map_or(Some(LOCK_WAIT_S), Item::as_integer);
        match seconds.and_then(|s| u64::try_from(s).ok()).filter(|s| *s <= 86_400) {
            Some(seconds) => Ok(Duration::from_secs(seconds)),
            None => Err(self.bad("limits.lock-wait-s".into(), "is not a number from 0 to 86400")),
        }
    }

    /// Returns which `vault.toml` was last accepted on this device, as a blob id or a word; none yet if the
    /// defaults are all that was ever accepted.
    pub fn accepted_rules(&self) -> Option<&str> {
        self.document.get("rules").and_then(|rules| rules.get("accepted")).and_then(Item::as_str)
    }

    /// Notes which `vault.toml` is accepted on this device.
    pub fn set_accepted_rules(&mut self, mark: &str) {
        if self.document.get("rules").and_then(Item::as_table_like).is_none() {
            self.document["rules"] = Item::Table(Table::new());
        }
        self.document["rules"]["accepted"] = value(mark);
    }

    /// Returns the remotes in the order they were added.
    pub fn remotes(&self) -> Result<Vec<Remote>, ConfigError> {
        let Some(item) = self.document.get("remote") else { return Ok(Vec::new()) };
        let table = item.as_table_like().ok_or_else(|| self.bad("remote".into(), "is not a table"))?;
        let mut remotes = Vec::new();
        for (name, item) in table.iter() {
            let text = |key: &str| item.get(key).and_then(Item::as_str).map(str::to_owned);
            let url = text("url")
                .ok_or_else(|| self.bad(format!("remote.{name}.url"), "is missing or not a string"))?;
            let device = text("device").as_deref().and_then(DeviceName::parse);
            remotes.push(Remote { name: name.to_owned(), url, binary: text("binary"), device });
        }
        Ok(remotes)
    }

    /// Adds or replaces a remote.
    pub fn set_remote(&mut self, remote: &Remote) {
        if self.document.get("remote").is_none() {
            let mut table = Table::new();
            table.set_implicit(true);
            self.document["remote"] = Item::Table(table);
        }
        let entry = &mut self.document["remote"][&remote.name];
        if entry.as_table_like().is_none() {
            *entry = Item::Table(Table::new());
        }
        entry["url"] = value(&remote.url);
        if let Some(binary) = &remote.binary {
            entry["binary"] = value(binary);
        }
        if let Some(device) = &remote.device {
            entry["device"] = value(device.as_str());
        }
    }

    /// Removes a remote; tells whether there was one of that name.
    pub fn remove_remote(&mut self, name: &str) -> bool {
        let table = self.document.get_mut("remote").and_then(Item::as_table_like_mut);
        table.is_some_and(|table| table.remove(name).is_some())
    }
}

fn parse(path: &Path, bytes: &[u8]) -> Result<DocumentMut, ConfigError> {
    let text = std::str::from_utf8(bytes).map_err(|_| ConfigError::Value {
        path: path.to_path_buf(),
        key: "the file".into(),
        problem: "is not UTF-8",
    })?;
    DocumentMut::from_str(text)
        .map_err(|source| ConfigError::Syntax { path: path.to_path_buf(), source: Box::new(source) })
}

/// Returns the default vault that `home`'s settings name, if any.
pub fn default_vault(disk: &dyn Disk, home: &Path) -> Result<Option<PathBuf>, ConfigError> {
    let folder = home.join(CONFIG_FOLDER);
    let dir = match disk.open_dir(&folder) {
        Err(error) if error.is_not_found() => return Ok(None),
        other => other?,
    };
    let Some(bytes) = dir.try_read(CONFIG, CONFIG_BYTES_MAX)? else { return Ok(None) };
    let document = parse(&folder.join(CONFIG), &bytes)?;
    Ok(document.get("default_vault").and_then(Item::as_str).map(PathBuf::from))
}

/// Names `vault` as the default in `home`'s settings unless one is named already.
pub fn offer_default_vault(disk: &dyn Disk, home: &Path, vault: &Path) -> Result<(), ConfigError> {
    if default_vault(disk, home)?.is_some() {
        return Ok(());
    }
    let folder = home.join(CONFIG_FOLDER);
    let dir = disk.create_dir_all(&folder)?;
    let bytes = dir.try_read(CONFIG, CONFIG_BYTES_MAX)?.unwrap_or_default();
    let mut document = parse(&folder.join(CONFIG), &bytes)?;
    document["default_vault"] = value(vault.to_string_lossy().as_ref());
    Ok(fs::replace_file(&dir, CONFIG, document.to_string().as_bytes(), 0o600)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::RealDisk;

    fn abilities() -> Abilities {
        Abilities { symlinks: true, executable: true, folds_case: false, folds_unicode: false, locks: true }
    }

    #[test]
    fn settings_come_back_and_comments_stay() {
        let temp = tempfile::tempdir().expect("a temporary folder");
        let dot = RealDisk.open_dir(temp.path()).expect("opens");
        let device = DeviceName::parse("mac").expect("a name");
        let epoch = "0123456789abcdef".to_owned();
        Config::new(&dot, device, epoch, Some(VaultId::new([7; 16])), abilities()).save(&dot).expect("saves");
        let path = temp.path().join(CONFIG);
        let text = RealDisk.open_dir(temp.path()).expect("opens").read(CONFIG, 10_000).expect("reads");
        let text = format!("# mine\n{}", String::from_utf8(text).expect("UTF-8"));
        fs::replace_file(&dot, CONFIG, text.as_bytes(), 0o600).expect("writes");
        let mut config = Config::load(&dot).expect("loads");
        assert_eq!(config.path, path);
        let pixel = Remote { name: "pixel".into(), url: "pixel:".into(), binary: None, device: None };
        config.set_remote(&pixel);
        config.save(&dot).expect("saves");
        let mut config = Config::load(&dot).expect("loads again");
        assert_eq!(config.remotes().expect("valid"), [pixel]);
        assert!(config.document.to_string().starts_with("# mine\n"));
        assert!(config.remove_remote("pixel") && !config.remove_remote("pixel"));
    }

    #[test]
    fn bad_values_are_named() {
        let temp = tempfile::tempdir().expect("a temporary folder");
        let dot = RealDisk.open_dir(temp.path()).expect("opens");
        let good =
            "[device]\nname='mac'\nepoch='0123456789abcdef'\nvault='00000000000000000000000000000000'\n";
        for (text, key) in [
            ("", "device.name"),
            ("[device]\nname='../x'", "device.name"),
            (&format!("{good}[disk]\nsymlinks='yes'"), "disk.symlinks"),
            (&format!("{good}[limits]\nlock-wait-s=-1"), "limits.lock-wait-s"),
            (&format!("{good}[remote.x]\n"), "remote.x.url"),
        ] {
            fs::replace_file(&dot, CONFIG, text.as_bytes(), 0o600).expect("writes");
            match Config::load(&dot) {
                Err(ConfigError::Value { key: found, .. }) => assert_eq!(found, key),
                other => panic!("{text:?}: {other:?}"),
            }
        }
        fs::replace_file(&dot, CONFIG, b"[[[", 0o600).expect("writes");
        assert!(matches!(Config::load(&dot), Err(ConfigError::Syntax { .. })));
    }
}
