//! What comes over the wire, and what is answered.

use std::collections::BTreeSet;
use std::io::BufReader;

use super::*;

/// Answers every call with its name and notes what was refused.
#[derive(Default)]
struct Fake {
    scopes: BTreeSet<Scope>,
    refused: Vec<&'static str>,
    is_broken: bool,
}

impl Toolbox for Fake {
    fn granted(&mut self) -> Result<Granted, String> {
        if self.is_broken {
            return Err("the vault is gone".to_owned());
        }
        Ok(Granted { scopes: self.scopes.clone(), agent: None })
    }

    fn call(&mut self, tool: &'static Tool, arguments: &Map<String, Value>, _granted: &Granted) -> Outcome {
        match tool.words(arguments) {
            Ok(words) => Outcome { text: format!("{} {}", tool.name, words.join(" ")), is_error: false },
            Err(why) => Outcome::error(why),
        }
    }

    fn refuse(&mut self, tool: &'static Tool, _granted: &Granted) -> Result<(), String> {
        self.refused.push(tool.name);
        Ok(())
    }

    fn diagnose(&mut self, _message: &str) {}
}

fn talk(fake: &mut Fake, lines: &[u8]) -> Vec<Value> {
    let mut output = Vec::new();
    serve(&mut BufReader::with_capacity(7, lines), &mut output, fake).expect("memory takes all");
    let text = String::from_utf8(output).expect("JSON is UTF-8");
    text.lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect()
}

fn all() -> Fake {
    Fake { scopes: Scope::ALL.into_iter().collect(), ..Fake::default() }
}

fn modern(method: &str, params: &Value) -> Vec<u8> {
    let mut params = params.clone();
    params["_meta"] = json!({VERSION_KEY: MODERN, CAPABILITIES_KEY: {}});
    let line = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
    format!("{line}\n").into_bytes()
}

fn code(answer: &Value) -> i64 {
    answer["error"]["code"].as_i64().unwrap_or_else(|| panic!("no error: {answer}"))
}

#[test]
fn the_handshake_names_a_version_that_both_speak() {
    for (asked, told) in
        [("2025-11-25", "2025-11-25"), ("2025-06-18", "2025-06-18"), ("1999-01-01", "2025-11-25")]
    {
        let line = json!({"jsonrpc": "2.0", "id": "a", "method": "initialize", "params": {
            "protocolVersion": asked, "capabilities": {}, "clientInfo": {"name": "x", "version": "1"}}});
        let answers = talk(&mut all(), line.to_string().as_bytes());
        assert_eq!(answers.len(), 1);
        assert_eq!(
            (&answers[0]["id"], &answers[0]["result"]["protocolVersion"]),
            (&"a".into(), &told.into())
        );
        assert!(answers[0]["result"]["capabilities"]["tools"].is_object());
        assert!(answers[0]["result"].get("resultType").is_none(), "that is of a later revision");
    }
}

#[test]
fn a_request_that_says_no_version_before_a_handshake_is_malformed() {
    let list = b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\"}\n";
    assert_eq!(code(&talk(&mut all(), list)[0]), INVALID_PARAMS);
    let ping = b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}\n";
    assert_eq!(talk(&mut all(), ping)[0]["result"], json!({}));
}

#[test]
fn the_stateless_revision_needs_its_fields_with_each_request() {
    let answers = talk(&mut all(), &modern("server/discover", &json!({})));
    let result = &answers[0]["result"];
    assert_eq!(result["supportedVersions"][0], MODERN);
    assert_eq!((&result["resultType"], &result["cacheScope"]), (&"complete".into(), &"private".into()));
    assert!(result["ttlMs"].is_u64() && result["capabilities"]["tools"].is_object());
    assert_eq!(result["_meta"][SERVER_KEY]["name"], "mvault");
    let list = &talk(&mut all(), &modern("tools/list", &json!({})))[0]["result"];
    assert_eq!(list["tools"].as_array().map(Vec::len), Some(TOOLS.len()));
    assert_eq!((&list["resultType"], &list["cacheScope"]), (&"complete".into(), &"private".into()));
    assert_eq!(code(&talk(&mut all(), &modern("ping", &json!({})))[0]), METHOD_NOT_FOUND);
    for meta in [
        json!({VERSION_KEY: MODERN}),
        json!({VERSION_KEY: MODERN, CAPABILITIES_KEY: 1}),
        json!({VERSION_KEY: 7}),
    ] {
        let line = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": meta}});
        assert_eq!(code(&talk(&mut all(), line.to_string().as_bytes())[0]), INVALID_PARAMS);
    }
    let meta = json!({VERSION_KEY: "1900-01-01", CAPABILITIES_KEY: {}});
    let line = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": meta}});
    let answer = &talk(&mut all(), line.to_string().as_bytes())[0];
    assert_eq!(code(answer), UNSUPPORTED_VERSION);
    assert_eq!(answer["error"]["data"]["requested"], "1900-01-01");
    assert_eq!(answer["error"]["data"]["supported"][0], MODERN);
}

#[test]
fn a_tool_that_is_not_granted_is_not_there_and_the_call_is_noted() {
    let mut fake = Fake { scopes: [Scope::Read].into(), ..Fake::default() };
    let list = &talk(&mut fake, &modern("tools/list", &json!({})))[0]["result"]["tools"];
    let names: Vec<&str> =
        list.as_array().expect("a list").iter().filter_map(|tool| tool["name"].as_str()).collect();
    assert_eq!(names, ["boot", "standup", "log", "read", "handoff_list"]);
    let answer =
        &talk(&mut fake, &modern("tools/call", &json!({"name": "note", "arguments": {"text": "x"}})))[0];
    assert_eq!((code(answer), &answer["error"]["message"]), (INVALID_PARAMS, &"Unknown tool: note".into()));
    let answer = &talk(&mut fake, &modern("tools/call", &json!({"name": "fly"})))[0];
    assert_eq!((code(answer), &answer["error"]["message"]), (INVALID_PARAMS, &"Unknown tool: fly".into()));
    assert_eq!(fake.refused, ["note"]);
    let mut broken = Fake { is_broken: true, ..all() };
    assert_eq!(code(&talk(&mut broken, &modern("tools/list", &json!({})))[0]), INTERNAL_ERROR);
}

#[test]
fn a_bad_line_is_answered_and_ends_nothing() {
    let deep = [b"{\"jsonrpc\":\"2.0\",\"id\":1,\"params\":".as_slice(), &[b'['; 5_000]].concat();
    let cases: [(&[u8], Option<i64>); 16] = [
        (b"nonsense", Some(PARSE_ERROR)),
        (b"\xff\xfe", Some(PARSE_ERROR)),
        (b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"pi", Some(PARSE_ERROR)),
        (&deep, Some(PARSE_ERROR)),
        (b"[]", Some(wire::INVALID_REQUEST)),
        (b"[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}]", Some(wire::INVALID_REQUEST)),
        (b"7", Some(wire::INVALID_REQUEST)),
        (b"{}", Some(wire::INVALID_REQUEST)),
        (b"{\"jsonrpc\":\"1.0\",\"id\":1,\"method\":\"ping\"}", Some(wire::INVALID_REQUEST)),
        (b"{\"jsonrpc\":\"2.0\",\"id\":null,\"method\":\"ping\"}", Some(wire::INVALID_REQUEST)),
        (b"{\"jsonrpc\":\"2.0\",\"id\":{},\"method\":\"ping\"}", Some(wire::INVALID_REQUEST)),
        (b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":7}", Some(wire::INVALID_REQUEST)),
        (b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\",\"params\":[]}", Some(INVALID_PARAMS)),
        (b"{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}", None),
        (b"{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}", None),
        (b"   \r", None),
    ];
    for (line, wanted) in cases {
        let lines = [line, b"\n{\"jsonrpc\":\"2.0\",\"id\":9,\"method\":\"ping\"}\n"].concat();
        let answers = talk(&mut all(), &lines);
        let shown = String::from_utf8_lossy(&line[..line.len().min(60)]).into_owned();
        assert_eq!(answers.last().map(|last| &last["id"]), Some(&json!(9)), "{shown}");
        match wanted {
            Some(wanted) => assert_eq!((answers.len(), code(&answers[0])), (2, wanted), "{shown}"),
            None => assert_eq!(answers.len(), 1, "{shown}"),
        }
    }
}

#[test]
fn a_line_that_is_too_long_is_skipped_to_its_end() {
    let mut input = BufReader::with_capacity(3, &b"0123456789\nnext\n0123456789"[..]);
    let too_long = Line::TooLong(b"01234".to_vec(), b"56789\n".to_vec());
    assert_eq!(wire::read_line(&mut input, 4).expect("memory"), too_long);
    assert_eq!(wire::read_line(&mut input, 4).expect("memory"), Line::Whole(b"next".to_vec()));
    let too_long = Line::TooLong(b"01234".to_vec(), b"56789".to_vec());
    assert_eq!(wire::read_line(&mut input, 4).expect("memory"), too_long);
    assert_eq!(wire::read_line(&mut input, 4).expect("memory"), Line::End);
}

/// A text cut in the middle of an emoji, or a number above every double, and the call with that id was never
/// answered: the client waited for ever.
#[test]
fn an_answer_has_the_id_whenever_it_can_be_found() {
    let call = |arguments: &str| {
        format!(
            "{{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"tools/call\",\"params\":{{\"name\":\"note\",\"arguments\":\
             {arguments},\"_meta\":{{\"{VERSION_KEY}\":\"{MODERN}\",\"{CAPABILITIES_KEY}\":{{}}}}}}}}\n"
        )
    };
    for odd in ["{\"text\":\"cut \\ud83d\"}", "{\"text\":\"x\",\"n\":1e400}", "{\"text\":\"x\",\"n\":NaN}"] {
        let answers = talk(&mut all(), call(odd).as_bytes());
        assert_eq!(answers[0]["id"], 7, "{odd}: {answers:?}");
        assert!(answers[0]["result"].is_object(), "{odd}: {answers:?}");
    }
    let broken = [
        "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"pi".to_owned(),
        "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":undefined}".to_owned(),
        "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"ping\"} x".to_owned(),
        call(&"[".repeat(500)),
        call(&format!("{{\"text\":{}{}}}", "[".repeat(500), "]".repeat(500))),
    ];
    for line in broken {
        let answers = talk(&mut all(), line.as_bytes());
        assert_eq!((&answers[0]["id"], code(&answers[0])), (&json!(7), PARSE_ERROR), "{answers:?}");
    }
    for line in [b"{\"id\":7,\"params\":{\"id\":8,\"t\":\"".as_slice(), b"{\"params\":{\"id\":8,\"t\":\""] {
        let (head, tail) = (line, b"xx\"},\"jsonrpc\":\"2.0\",\"id\":7}\n");
        assert_eq!(wire::id_of_ends(head, tail), Some(json!(7)));
    }
    assert_eq!(
        wire::id_of_ends(b"{\"params\":{\"t\":\"", b"xx\",\"id\":8}}\n"),
        None,
        "the id of something else"
    );
}

#[test]
fn arguments_that_do_not_fit_are_told_to_the_model() {
    let call = |params: Value| talk(&mut all(), &modern("tools/call", &params)).remove(0);
    let answer = call(json!({"name": "note", "arguments": {"text": 7}}));
    assert_eq!(
        (&answer["result"]["isError"], &answer["result"]["content"][0]["type"]),
        (&true.into(), &"text".into())
    );
    for params in [json!({}), json!({"name": 7}), json!({"name": "note", "arguments": "x"})] {
        assert_eq!(code(&call(params)), INVALID_PARAMS);
    }
    assert_eq!(code(&talk(&mut all(), &modern("tools/list", &json!({"cursor": "x"})))[0]), INVALID_PARAMS);
}
