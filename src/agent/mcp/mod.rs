//! The Model Context Protocol over standard input and output: agents ask the vault by calling tools.
//!
//! Spoken are the revisions with a handshake (`initialize`), the last of them 2025-11-25, and the stateless one,
//! 2026-07-28 (`server/discover`; every request says its version), by
//! <https://modelcontextprotocol.io/specification/2025-11-25> and
//! <https://modelcontextprotocol.io/specification/2026-07-28>. Which of the two a request follows is seen
//! from the request itself; both can be mixed.
//!
//! - One line a message, one answer a request, in the order in which they come. A bad line is answered and ends
//!   nothing.
//! - What an agent may do is asked anew with each request, so that a token that is revoked ends at once.
//! - Only tools are offered. Nothing is ever asked of the client.
//!
//! What a call does comes in through [`Toolbox`]. Pure but for the two streams.

mod scope;
mod tools;
mod wire;

pub use scope::{Granted, Scope};
pub use tools::{Runs, TOOLS, Tool};
pub use wire::LINE_BYTES_MAX;

use std::io::{self, BufRead, Write};

use serde_json::{Map, Value, json};

use wire::{
    INTERNAL_ERROR, INVALID_PARAMS, Line, METHOD_NOT_FOUND, Message, PARSE_ERROR, RpcError,
    UNSUPPORTED_VERSION,
};

/// The stateless revision.
const MODERN: &str = "2026-07-28";
/// The revisions with a handshake, the newest first.
const WITH_HANDSHAKE: [&str; 4] = ["2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"];
/// Where a request says its version.
const VERSION_KEY: &str = "io.modelcontextprotocol/protocolVersion";
/// Where it says what the client can do.
const CAPABILITIES_KEY: &str = "io.modelcontextprotocol/clientCapabilities";
/// Where an answer says who gives it.
const SERVER_KEY: &str = "io.modelcontextprotocol/serverInfo";
/// How long a client may keep the list of tools, in milliseconds: a token can be revoked.
const LIST_TTL_MS: u64 = 60_000;
/// What a model is told about the server as a whole.
const INSTRUCTIONS: &str = "mvault keeps the continuity files, notes and event streams of a person on all their \
     devices: every state of them, verified. boot tells what to know at a start; what the tools write is \
     committed at once and can always be taken back.";

/// What came of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// What the model reads.
    pub text: String,
    /// Whether it tells of a failure.
    pub is_error: bool,
}

impl Outcome {
    /// Makes the outcome of a failure.
    pub fn error(text: impl Into<String>) -> Outcome {
        Outcome { text: text.into(), is_error: true }
    }
}

/// What carries out calls.
pub trait Toolbox {
    /// Tells what the agent may do now. The error is in words.
    fn granted(&mut self) -> Result<Granted, String>;

    /// Carries out a call that the agent may make.
    fn call(&mut self, tool: &'static Tool, arguments: &Map<String, Value>, granted: &Granted) -> Outcome;

    /// Notes that the agent called a tool it may not call.
    fn refuse(&mut self, tool: &'static Tool, granted: &Granted) -> Result<(), String>;

    /// Tells a person what was odd.
    fn diagnose(&mut self, message: &str);
}

/// Serves until the input ends or the client is gone.
pub fn serve(input: &mut dyn BufRead, output: &mut dyn Write, toolbox: &mut dyn Toolbox) -> io::Result<()> {
    let mut server = Server { toolbox, is_initialized: false };
    loop {
        let answer = match wire::read_line(input, LINE_BYTES_MAX)? {
            Line::End => return Ok(()),
            Line::TooLong(head, tail) => {
                let message = format!("the line is longer than {LINE_BYTES_MAX} bytes");
                server.toolbox.diagnose(&message);
                Some(RpcError::new(PARSE_ERROR, message).answer(wire::id_of_ends(&head, &tail)))
            }
            Line::Whole(line) if line.trim_ascii().is_empty() => None,
            Line::Whole(line) => server.answer(&line),
        };
        if let Some(answer) = answer {
            let mut line = serde_json::to_vec(&answer).expect("a value can be written as JSON");
            line.push(b'\n');
            output.write_all(&line)?;
            output.flush()?;
        }
    }
}

/// By which revision a request is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Era {
    Modern,
    Handshake,
}

struct Server<'a> {
    toolbox: &'a mut dyn Toolbox,
    /// Whether a client began with a handshake: then its requests say no version.
    is_initialized: bool,
}

impl Server<'_> {
    fn answer(&mut self, line: &[u8]) -> Option<Value> {
        let (id, method, params) = match wire::parse(line) {
            Message::Unanswered => return None,
            Message::Request { id, method, params } => (id, method, params),
            Message::Invalid { id, error } => {
                self.toolbox.diagnose(&error.message);
                return Some(error.answer(id));
            }
        };
        Some(match self.respond(&method, &params) {
            Ok(result) => json!({"jsonrpc": "2.0", "id": id, "result": result}),
            Err(error) => error.answer(Some(id)),
        })
    }

    fn respond(&mut self, method: &str, params: &Map<String, Value>) -> Result<Value, RpcError> {
        if method == "initialize" {
            return Ok(self.initialize(params));
        }
        let era = self.era(method, params)?;
        let mut result = match (method, era) {
            ("ping", Era::Handshake) => json!({}),
            ("server/discover", Era::Modern) => discovered(),
            ("tools/list", _) => self.list(params)?,
            ("tools/call", _) => self.call(params)?,
            _ => {
                let shown: String = method.chars().take(64).collect();
                return Err(RpcError::new(METHOD_NOT_FOUND, format!("there is no method {shown:?} here")));
            }
        };
        if era == Era::Modern {
            result["resultType"] = "complete".into();
            result["_meta"] = json!({SERVER_KEY: server_info()});
            if method != "tools/call" {
                result["ttlMs"] = LIST_TTL_MS.into();
                result["cacheScope"] = "private".into();
            }
        }
        Ok(result)
    }

    /// Tells by which revision a request is to be answered.
    fn era(&self, method: &str, params: &Map<String, Value>) -> Result<Era, RpcError> {
        let meta = params.get("_meta").and_then(Value::as_object);
        let Some(version) = meta.and_then(|meta| meta.get(VERSION_KEY)) else {
            return match method {
                // A client that knows nothing yet asks so what there is to know.
                "server/discover" => Ok(Era::Modern),
                "ping" => Ok(Era::Handshake),
                _ if self.is_initialized => Ok(Era::Handshake),
                _ => Err(RpcError::new(
                    INVALID_PARAMS,
                    format!(
                        "the request says no version: begin with initialize, or put {VERSION_KEY} into _meta"
                    ),
                )),
            };
        };
        match version.as_str() {
            Some(MODERN) => {}
            Some(version) if WITH_HANDSHAKE.contains(&version) && self.is_initialized => {
                return Ok(Era::Handshake);
            }
            Some(version) => {
                let requested: String = version.chars().take(64).collect();
                let mut error = RpcError::new(UNSUPPORTED_VERSION, "Unsupported protocol version");
                error.data = Some(json!({"supported": supported(), "requested": requested}));
                return Err(error);
            }
            None => return Err(RpcError::new(INVALID_PARAMS, format!("{VERSION_KEY} must be a text"))),
        }
        if !meta.and_then(|meta| meta.get(CAPABILITIES_KEY)).is_some_and(Value::is_object) {
            return Err(RpcError::new(
                INVALID_PARAMS,
                format!("_meta must have {CAPABILITIES_KEY}, an object"),
            ));
        }
        Ok(Era::Modern)
    }

    fn initialize(&mut self, params: &Map<String, Value>) -> Value {
        self.is_initialized = true;
        let asked = params.get("protocolVersion").and_then(Value::as_str);
        let version = WITH_HANDSHAKE.iter().find(|version| asked == Some(**version));
        json!({
            "protocolVersion": version.unwrap_or(&WITH_HANDSHAKE[0]),
            "capabilities": capabilities(),
            "serverInfo": server_info(),
            "instructions": INSTRUCTIONS,
        })
    }

    fn granted(&mut self) -> Result<Granted, RpcError> {
        self.toolbox.granted().map_err(|error| {
            self.toolbox.diagnose(&error);
            RpcError::new(INTERNAL_ERROR, error)
        })
    }

    fn list(&mut self, params: &Map<String, Value>) -> Result<Value, RpcError> {
        if params.get("cursor").is_some_and(|cursor| !cursor.is_null()) {
            return Err(RpcError::new(INVALID_PARAMS, "there is no such cursor: the list has one page"));
        }
        let granted = self.granted()?;
        let allowed = TOOLS.iter().filter(|tool| granted.scopes.contains(&tool.scope));
        Ok(json!({"tools": allowed.map(Tool::definition).collect::<Vec<_>>()}))
    }

    fn call(&mut self, params: &Map<String, Value>) -> Result<Value, RpcError> {
        let Some(name) = params.get("name").and_then(Value::as_str) else {
            return Err(RpcError::new(INVALID_PARAMS, "\"name\" must be the name of a tool"));
        };
        let none = Map::new();
        let arguments = match params.get("arguments") {
            None | Some(Value::Null) => &none,
            Some(Value::Object(arguments)) => arguments,
            Some(_) => return Err(RpcError::new(INVALID_PARAMS, "\"arguments\" must be an object")),
        };
        let unknown = || {
            let shown: String = name.chars().take(64).collect();
            RpcError::new(INVALID_PARAMS, format!("Unknown tool: {shown}"))
        };
        let tool = Tool::find(name).ok_or_else(unknown)?;
        let granted = self.granted()?;
        if !granted.scopes.contains(&tool.scope) {
            self.toolbox.diagnose(&format!("{name} was called and is not granted"));
            if let Err(error) = self.toolbox.refuse(tool, &granted) {
                self.toolbox.diagnose(&error);
            }
            // To the client it is as if there were none.
            return Err(unknown());
        }
        let outcome = self.toolbox.call(tool, arguments, &granted);
        Ok(json!({"content": [{"type": "text", "text": outcome.text}], "isError": outcome.is_error}))
    }
}

fn supported() -> Vec<&'static str> {
    std::iter::once(MODERN).chain(WITH_HANDSHAKE).collect()
}

fn capabilities() -> Value {
    json!({"tools": {}})
}

fn server_info() -> Value {
    json!({"name": "mvault", "version": env!("CARGO_PKG_VERSION")})
}

fn discovered() -> Value {
    json!({"supportedVersions": supported(), "capabilities": capabilities(), "instructions": INSTRUCTIONS})
}

#[cfg(test)]
mod tests;
