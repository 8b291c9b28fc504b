//! JSON-RPC 2.0 on lines: one message a line, at most so long, at most so deep.

use std::io::{self, BufRead, Read};

use serde_json::{Map, Value, json};

use crate::object::LenientJson;

/// The longest line that is read, in bytes. What is longer is skipped to its end and answered by an error.
pub const LINE_BYTES_MAX: usize = 16 << 20;

/// How much of both ends of a longer line is kept.
const ENDS_BYTES: usize = 4 << 10;

/// JSON-RPC: the line is no JSON.
pub const PARSE_ERROR: i64 = -32700;
/// JSON-RPC: it is JSON, but no request.
pub const INVALID_REQUEST: i64 = -32600;
/// JSON-RPC: there is no such method.
pub const METHOD_NOT_FOUND: i64 = -32601;
/// JSON-RPC: the method takes something else.
pub const INVALID_PARAMS: i64 = -32602;
/// JSON-RPC: something went wrong here.
pub const INTERNAL_ERROR: i64 = -32603;
/// MCP 2026-07-28: the version of a request is not spoken here.
pub const UNSUPPORTED_VERSION: i64 = -32022;

/// A line as it came.
#[derive(Debug, PartialEq, Eq)]
pub enum Line {
    /// Its bytes, without the end.
    Whole(Vec<u8>),
    /// It was too long. Its beginning and its end are kept: one of them holds the message's id.
    TooLong(Vec<u8>, Vec<u8>),
    /// There are no more.
    End,
}

/// Reads a line.
pub fn read_line(input: &mut dyn BufRead, bytes_max: usize) -> io::Result<Line> {
    let mut bytes = Vec::new();
    let read = (&mut *input).take(bytes_max as u64 + 1).read_until(b'\n', &mut bytes)?;
    if read == 0 {
        return Ok(Line::End);
    }
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
        return Ok(Line::Whole(bytes));
    }
    if bytes.len() <= bytes_max {
        return Ok(Line::Whole(bytes)); // the last one, without an end
    }
    bytes.truncate(ENDS_BYTES);
    let mut tail = Vec::new();
    loop {
        let block = input.fill_buf()?;
        let (used, is_end) = match block.iter().position(|b| *b == b'\n') {
            Some(at) => (at + 1, true),
            None => (block.len(), block.is_empty()),
        };
        tail.extend_from_slice(&block[..used]);
        tail.drain(..tail.len().saturating_sub(ENDS_BYTES));
        input.consume(used);
        if is_end {
            return Ok(Line::TooLong(bytes, tail));
        }
    }
}

/// An error as the protocol tells it.
#[derive(Clone, Debug, PartialEq)]
pub struct RpcError {
    /// Its number.
    pub code: i64,
    /// What happened, in a sentence.
    pub message: String,
    /// More for programs.
    pub data: Option<Value>,
}

impl RpcError {
    /// Makes one.
    pub fn new(code: i64, message: impl Into<String>) -> RpcError {
        RpcError { code, message: message.into(), data: None }
    }

    /// Writes it as an answer to a request, or to a line that was none.
    pub fn answer(self, id: Option<Value>) -> Value {
        let mut error = json!({"code": self.code, "message": self.message});
        if let Some(data) = self.data {
            error["data"] = data;
        }
        let mut answer = json!({"jsonrpc": "2.0", "error": error});
        if let Some(id) = id {
            answer["id"] = id;
        }
        answer
    }
}

/// A message from the client.
#[derive(Debug, PartialEq)]
pub enum Message {
    /// It wants an answer.
    Request {
        /// Text or number.
        id: Value,
        /// What is asked for.
        method: String,
        /// With what.
        params: Map<String, Value>,
    },
    /// It wants none: a notification, or an answer to something that was never asked.
    Unanswered,
    /// It makes no sense.
    Invalid {
        /// Its id, as far as there is one.
        id: Option<Value>,
        /// Why.
        error: RpcError,
    },
}

impl Message {
    fn invalid(id: Option<Value>, code: i64, why: &str) -> Message {
        Message::Invalid { id, error: RpcError::new(code, why) }
    }
}

/// Finds the id of a message of which only the beginning and the end are known. Clients write it before the
/// parameters or behind them.
pub fn id_of_ends(head: &[u8], tail: &[u8]) -> Option<Value> {
    let of_head = LenientJson::read(head).into_object().and_then(|mut message| message.remove("id"));
    let of_tail = || {
        let at = tail.windows(5).rposition(|window| window == b",\"id\"" || window == b" \"id\"")?;
        let read = LenientJson::read(&[b"{", &tail[at + 1..]].concat());
        read.is_whole.then(|| read.into_object()?.remove("id"))?
    };
    of_head.or_else(of_tail).filter(|id| id.is_string() || id.is_number())
}

/// Reads a message.
pub fn parse(line: &[u8]) -> Message {
    let read = LenientJson::read(line);
    let fault = read.fault_words();
    let Some(mut message) = read.into_object() else {
        return match fault {
            Some(why) => Message::invalid(None, PARSE_ERROR, &format!("the line is not JSON: {why}")),
            None => {
                Message::invalid(None, INVALID_REQUEST, "a message is one JSON object, not a batch of them")
            }
        };
    };
    let id = message.remove("id");
    let known = id.clone().filter(|id| id.is_string() || id.is_number());
    // Whoever waits for this id gets an answer, though half a message is not carried out.
    if let Some(why) = fault {
        return Message::invalid(known, PARSE_ERROR, &format!("the line is not JSON: {why}"));
    }
    if message.get("jsonrpc").and_then(Value::as_str) != Some("2.0") {
        return Message::invalid(known, INVALID_REQUEST, "\"jsonrpc\" must be \"2.0\"");
    }
    let method = match message.remove("method") {
        Some(Value::String(method)) => method,
        None if message.contains_key("result") || message.contains_key("error") => {
            return Message::Unanswered;
        }
        _ => return Message::invalid(known, INVALID_REQUEST, "\"method\" must be a text"),
    };
    let id = match (id, known) {
        (None, _) => return Message::Unanswered,
        (Some(_), None) => {
            return Message::invalid(None, INVALID_REQUEST, "\"id\" must be a text or a whole number");
        }
        (Some(_), Some(id)) => id,
    };
    match message.remove("params") {
        None => Message::Request { id, method, params: Map::new() },
        Some(Value::Object(params)) => Message::Request { id, method, params },
        Some(_) => Message::invalid(Some(id), INVALID_PARAMS, "\"params\" must be an object"),
    }
}
