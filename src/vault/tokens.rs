//! Tokens of agents: what a program that speaks for an agent may ask of this vault on this device.
//!
//! - `tokens.jsonl` has a line a token: its name, what it is for, and the SHA-256 of its text. The text itself
//!   is told once, when it is made, and kept nowhere.
//! - It lies in `.mvault`, readable by its owner alone, is in no history and never sent. That a token was made or
//!   revoked is in the operation log, by its name.
//!
//! Limit: whoever can read and write the vault's files needs no token. A token narrows what a program that is
//! given it does by itself; it is no wall against one that lies.

use serde::{Deserialize, Serialize};

use super::admission::Finding;
use super::refusal::{Door, Refused};
use super::{Error, ErrorKind, Result, Vault};
use crate::fs::replace_file;
use crate::gateway::Reason;
use crate::gateway::sidecar::Digest256;
use crate::object::{read_line, seal_line, typed};

pub(super) const TOKENS: &str = "tokens.jsonl";
const TOKENS_BYTES_MAX: u64 = 1 << 20;
/// What the text of a token begins with, so that it is known for one where it leaks.
const PREFIX: &str = "mvt_";
/// The longest name, in bytes.
const NAME_BYTES_MAX: usize = 64;

/// A token as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// Its name.
    pub name: String,
    /// The SHA-256 of its text, in hexadecimal.
    pub sha256: String,
    /// What it is for, in words.
    pub scopes: Vec<String>,
    /// When it was made, RFC 3339.
    pub created: String,
}

impl Vault {
    /// Returns the tokens, by name.
    pub fn tokens(&self) -> Result<Vec<Token>> {
        let bytes = self.dot.try_read(TOKENS, TOKENS_BYTES_MAX)?.unwrap_or_default();
        let lines = bytes.split(|b| *b == b'\n').filter(|line| !line.is_empty());
        lines
            .map(|line| {
                read_line(line).ok_or_else(|| {
                    Error::refused(
                        ErrorKind::Damage,
                        format!(".mvault/{TOKENS} has a damaged line"),
                        "`mvault repair` moves it to quarantine; then make that token again",
                    )
                })
            })
            .collect()
    }

    /// Returns the token of a text.
    pub fn find_token(&self, text: &str) -> Result<Option<Token>> {
        let sha256 = Digest256::of(text.as_bytes()).to_string();
        Ok(self.tokens()?.into_iter().find(|token| token.sha256 == sha256))
    }

    fn write_tokens(&self, tokens: &[Token]) -> Result<()> {
        let mut bytes = Vec::new();
        for token in tokens {
            bytes.extend(seal_line(token).0);
        }
        Ok(replace_file(&self.dot, TOKENS, &bytes, 0o600)?)
    }

    /// Notes in the session's rejection log that something was asked for which the asker may not have.
    pub fn log_out_of_scope(&self, what: &str, detail: String) -> Result<()> {
        let finding = Finding::new(Reason::OutOfScope).detail(detail);
        self.log_rejections(&[Refused::by(Door::Agent, what.as_bytes(), finding)])
    }
}

/// Makes a token and returns its text, which is told this once.
pub fn create_token(vault: &mut Vault, name: &str, scopes: &[String]) -> Result<(Token, String)> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.chars().all(is_plain) {
        return Err(Error::refused(
            ErrorKind::Refused,
            format!("{:?} is no name for a token; none was made", name.chars().take(80).collect::<String>()),
            "take letters, digits, dots, dashes and underscores, for example the agent's name",
        ));
    }
    let lock = vault.lock("token")?;
    let mut tokens = vault.tokens()?;
    if tokens.iter().any(|token| token.name == name) {
        return Err(Error::refused(
            ErrorKind::Refused,
            format!("there is a token called {name}; none was made"),
            format!("{} first, or take another name", typed("mcp token revoke").path(name)),
        ));
    }
    let dice = [vault.env.random16(), vault.env.random16()].concat();
    let text = format!("{PREFIX}{}", hex::encode(dice));
    let token = Token {
        name: name.to_owned(),
        sha256: Digest256::of(text.as_bytes()).to_string(),
        scopes: scopes.to_vec(),
        created: vault.env.clock.now().rfc3339(),
    };
    tokens.push(token.clone());
    tokens.sort_by(|a, b| a.name.cmp(&b.name));
    let operation = vault.operation("token-create").detail("name", name).detail("scopes", scopes.to_vec());
    vault.publish(&lock, None, operation)?;
    vault.write_tokens(&tokens)?;
    Ok((token, text))
}

/// Takes a token out of force.
pub fn revoke_token(vault: &mut Vault, name: &str) -> Result<Token> {
    let lock = vault.lock("token")?;
    let mut tokens = vault.tokens()?;
    let Some(at) = tokens.iter().position(|token| token.name == name) else {
        return Err(Error::refused(
            ErrorKind::UnknownRevision,
            format!("there is no token called {:?}", name.chars().take(80).collect::<String>()),
            "`mvault mcp token list` shows them",
        ));
    };
    let token = tokens.remove(at);
    let operation = vault.operation("token-revoke").detail("name", token.name.clone());
    vault.publish(&lock, None, operation)?;
    vault.write_tokens(&tokens)?;
    Ok(token)
}
