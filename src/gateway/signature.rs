//! What other tools keep beside a file to vouch for it, read and never written.
//!
//! - `<file>.sig`: a JSON object `{file, sha256, sig, signer, signed_at}`; `sha256` is that of the file's
//!   bytes, `sig` an Ed25519 signature (64 bytes in hexadecimal) by `signer` (a public key, 32 bytes).
//!   What was signed is not written down anywhere: taken is a signature of the file's bytes, of their
//!   SHA-256, or of that in hexadecimal.
//! - `<file>.sidecar.json`: an object whose `checksum_sha256` is the SHA-256 of the object itself as sorted
//!   compact JSON, with that member blank.
//!
//! A signature says that whoever holds the key signed, not who that is: keys are not known here.

use ed25519_dalek::{Signature, VerifyingKey};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::sidecar::Digest256;

/// The ending of a signature's name.
pub const SIG_ENDING: &str = ".sig";
/// The ending of a described file's sidecar.
pub const DESCRIPTION_ENDING: &str = ".sidecar.json";
/// The longest of either that is read.
pub const VOUCHER_BYTES_MAX: u64 = 1 << 20;

/// What is wrong with what vouches for a file.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum VoucherFault {
    /// It has not the form it must have.
    #[error("it is not in the form of its kind: {0}")]
    Form(&'static str),
    /// It vouches for a file of another name.
    #[error("it vouches for {0:?}")]
    OtherFile(String),
    /// The file has other bytes.
    #[error("the file has other bytes than those it vouches for")]
    OtherContent,
    /// The signature was made with another key or for other bytes.
    #[error("the Ed25519 signature does not hold for the file's bytes, their hash, or that in hexadecimal")]
    BadSignature,
    /// The checksum is that of another description.
    #[error("its checksum is not that of its own content")]
    BadChecksum,
}

/// Checks a `.sig` against the file called `name` with these bytes.
pub fn check_sig(sig: &[u8], name: &str, content: &[u8]) -> Result<(), VoucherFault> {
    let value: Value = serde_json::from_slice(sig).map_err(|_| VoucherFault::Form("it is no JSON"))?;
    let text = |name: &str| value.get(name).and_then(Value::as_str);
    let file = text("file").ok_or(VoucherFault::Form("\"file\" is missing"))?;
    // Some writers put the whole path there.
    if !file.rsplit(['/', '\\']).next().is_some_and(|last| last.eq_ignore_ascii_case(name)) {
        return Err(VoucherFault::OtherFile(file.chars().take(200).collect()));
    }
    let digest = Digest256::of(content);
    let given = text("sha256").ok_or(VoucherFault::Form("\"sha256\" is missing"))?;
    if !bare(given).eq_ignore_ascii_case(&digest.to_string()) {
        return Err(VoucherFault::OtherContent);
    }
    let bytes = |name: &str| text(name).and_then(|text| hex::decode(text).ok());
    let signature: [u8; 64] = bytes("sig")
        .and_then(|sig| sig.try_into().ok())
        .ok_or(VoucherFault::Form("\"sig\" is not 64 bytes in hexadecimal"))?;
    let key: [u8; 32] = bytes("signer")
        .and_then(|key| key.try_into().ok())
        .ok_or(VoucherFault::Form("\"signer\" is not 32 bytes in hexadecimal"))?;
    let key = VerifyingKey::from_bytes(&key).map_err(|_| VoucherFault::Form("\"signer\" is no key"))?;
    let signature = Signature::from_bytes(&signature);
    let hexadecimal = digest.to_string();
    let forms = [content, &digest.0[..], hexadecimal.as_bytes()];
    let holds = forms.iter().any(|form| key.verify_strict(form, &signature).is_ok());
    if holds { Ok(()) } else { Err(VoucherFault::BadSignature) }
}

/// Checks the checksum of a `.sidecar.json` over itself.
pub fn check_description(bytes: &[u8]) -> Result<(), VoucherFault> {
    let mut value: Value = serde_json::from_slice(bytes).map_err(|_| VoucherFault::Form("it is no JSON"))?;
    let member = value.get_mut("checksum_sha256");
    let member = member.ok_or(VoucherFault::Form("\"checksum_sha256\" is missing"))?;
    let given = member.as_str().ok_or(VoucherFault::Form("\"checksum_sha256\" is no text"))?.to_owned();
    *member = Value::String(String::new());
    let holds = [Escapes::Ascii, Escapes::Few].into_iter().any(|escapes| {
        let digest = hex::encode(Sha256::digest(sorted_compact(&value, escapes)));
        digest.eq_ignore_ascii_case(bare(&given))
    });
    if holds { Ok(()) } else { Err(VoucherFault::BadChecksum) }
}

/// Returns a digest without the name of its kind.
pub fn bare(digest: &str) -> &str {
    digest.trim().strip_prefix("sha256:").unwrap_or(digest.trim())
}

/// Which characters of a JSON text are escaped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Escapes {
    /// All beyond ASCII, as Python writes JSON unless told otherwise.
    Ascii,
    /// Only those that must be.
    Few,
}

/// Writes JSON with sorted keys and no blanks.
pub fn sorted_compact(value: &Value, escapes: Escapes) -> String {
    match value {
        Value::Array(values) => {
            let parts: Vec<String> = values.iter().map(|value| sorted_compact(value, escapes)).collect();
            format!("[{}]", parts.join(","))
        }
        Value::Object(members) => {
            let mut members: Vec<(&String, &Value)> = members.iter().collect();
            members.sort_by_key(|(key, _)| *key);
            let written = members
                .into_iter()
                .map(|(key, value)| format!("{}:{}", quoted(key, escapes), sorted_compact(value, escapes)));
            format!("{{{}}}", written.collect::<Vec<_>>().join(","))
        }
        Value::String(text) => quoted(text, escapes),
        other => other.to_string(),
    }
}

fn quoted(text: &str, escapes: Escapes) -> String {
    let plain = Value::String(text.to_owned()).to_string();
    if escapes == Escapes::Few {
        return plain;
    }
    let mut out = String::with_capacity(plain.len());
    for c in plain.chars() {
        if c.is_ascii() {
            out.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            out.push_str(&format!("\\u{unit:04x}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use ed25519_dalek::{Signer, SigningKey};

    fn sig(name: &str, content: &[u8], signed: &[u8]) -> Vec<u8> {
        let key = SigningKey::from_bytes(&[7; 32]);
        serde_json::json!({
            "file": name,
            "sha256": Digest256::of(content).to_string(),
            "sig": hex::encode(key.sign(signed).to_bytes()),
            "signer": hex::encode(key.verifying_key().to_bytes()),
            "signed_at": "2026-02-24T10:00:00Z",
        })
        .to_string()
        .into_bytes()
    }

    #[test]
    fn a_signature_holds_for_its_file_and_no_other() {
        let content = b"what was learned\n";
        let digest = Digest256::of(content);
        for signed in [&content[..], &digest.0, digest.to_string().as_bytes()] {
            assert_eq!(check_sig(&sig("a.md", content, signed), "a.md", content), Ok(()));
        }
        assert_eq!(check_sig(&sig("/x/a.md", content, content), "a.md", content), Ok(()));
        let fault = |sig: Vec<u8>, name: &str, content: &[u8]| check_sig(&sig, name, content).err();
        assert_eq!(fault(sig("a.md", content, b"else"), "a.md", content), Some(VoucherFault::BadSignature));
        assert_eq!(fault(sig("a.md", content, content), "a.md", b"else"), Some(VoucherFault::OtherContent));
        assert!(matches!(
            fault(sig("b.md", content, content), "a.md", content),
            Some(VoucherFault::OtherFile(_))
        ));
        for form in ["", "[]", "{\"file\":\"a.md\"}"] {
            let fault = fault(form.into(), "a.md", content);
            assert!(matches!(fault, Some(VoucherFault::Form(_))), "{form}");
        }
        let short = String::from_utf8(sig("a.md", content, content))
            .expect("text")
            .replace("\"sig\":\"", "\"sig\":\"0");
        assert!(matches!(fault(short.into_bytes(), "a.md", content), Some(VoucherFault::Form(_))));
    }

    /// `json.dumps(o, sort_keys=True, separators=(",", ":"))` with the checksum blank, hashed by Python.
    #[test]
    fn a_description_vouches_for_itself() {
        let body = r#"{"checksum_sha256":"","file":"caf\u00e9.md","lineage":{"origin":null},"version":1.0}"#;
        let sum = hex::encode(Sha256::digest(body));
        let written = format!(
            "{{\n \"version\": 1.0, \"file\": \"café.md\", \"lineage\": {{\"origin\": null}},\n \"checksum_sha256\": \"{sum}\"}}"
        );
        assert_eq!(check_description(written.as_bytes()), Ok(()));
        let changed = written.replace("null", "\"x\"");
        assert_eq!(check_description(changed.as_bytes()), Err(VoucherFault::BadChecksum));
        assert!(matches!(check_description(b"{}"), Err(VoucherFault::Form(_))));
    }
}
