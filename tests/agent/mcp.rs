//! The Model Context Protocol: both handshakes, tools that do what the verbs do, tokens that narrow them.

use serde_json::{Value, json};

use crate::support::{Outcome, Place, Run};

const MODERN: &str = "2026-07-28";

fn vault() -> Place {
    let place = Place::new();
    place.write("continuity.md", "# Continuity\n\n## Now\n\nThe parser.\n");
    place.mvault(["init", "--device", "mac"]).ok();
    place.mvault(["commit", "-m", "first"]).ok();
    place
}

/// Lines in, lines out; the server ends when its input does.
fn talk(run: Run, lines: &[Value]) -> (Vec<Value>, Outcome) {
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let outcome = run.stdin(text).code(0);
    (outcome.json_lines(), outcome)
}

fn modern(id: u64, method: &str, params: &Value) -> Value {
    let mut params = params.clone();
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})
}

fn call(name: &str, arguments: &Value) -> Value {
    modern(1, "tools/call", &json!({"name": name, "arguments": arguments}))
}

/// Calls one tool and returns its text; it must succeed.
#[track_caller]
fn text_of(place: &Place, name: &str, arguments: &Value) -> String {
    let (answers, outcome) = talk(place.mvault(["mcp"]), &[call(name, arguments)]);
    let result = &answers[0]["result"];
    assert_eq!(result["isError"], false, "{}\n{}", answers[0], outcome.stderr());
    assert_eq!(result["resultType"], "complete");
    result["content"][0]["text"].as_str().expect("a text").to_owned()
}

#[track_caller]
fn failure_of(place: &Place, name: &str, arguments: &Value) -> String {
    let (answers, _) = talk(place.mvault(["mcp"]), &[call(name, arguments)]);
    assert_eq!(answers[0]["result"]["isError"], true, "{}", answers[0]);
    answers[0]["result"]["content"][0]["text"].as_str().expect("a text").to_owned()
}

fn names(answer: &Value) -> Vec<String> {
    let tools = answer["result"]["tools"].as_array().unwrap_or_else(|| panic!("no tools: {answer}"));
    tools.iter().map(|tool| tool["name"].as_str().expect("a name").to_owned()).collect()
}

fn token(place: &Place, name: &str, scopes: &str) -> String {
    let told = place.mvault(["mcp", "token", "create", name, "--scope", scopes]).json();
    told["token"].as_str().expect("a token").to_owned()
}

#[test]
fn the_handshake_of_2025_11_25_and_a_call() {
    let place = vault();
    let hello = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}});
    let (answers, outcome) = talk(
        place.mvault(["mcp"]),
        &[
            hello,
            json!({"jsonrpc": "2.0", "method": "notifications/initialized"}),
            json!({"jsonrpc": "2.0", "id": 1, "method": "ping"}),
            json!({"jsonrpc": "2.0", "id": 2, "method": "tools/list"}),
            json!({"jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": {
                "name": "note", "arguments": {"text": "from an agent"}}}),
            json!({"jsonrpc": "2.0", "id": 4, "method": "prompts/list"}),
        ],
    );
    let ids: Vec<&Value> = answers.iter().map(|answer| &answer["id"]).collect();
    assert_eq!(ids, [0, 1, 2, 3, 4], "one answer a request, none to the notification");
    let first = &answers[0]["result"];
    assert_eq!(
        (&first["protocolVersion"], &first["serverInfo"]["name"]),
        (&"2025-11-25".into(), &"mvault".into())
    );
    assert!(first["capabilities"]["tools"].is_object() && first["instructions"].is_string());
    assert_eq!(answers[1]["result"], json!({}));
    assert_eq!(names(&answers[2]).len(), 10);
    for tool in answers[2]["result"]["tools"].as_array().expect("a list") {
        assert_eq!(tool["inputSchema"]["type"], "object");
        assert!(tool["description"].as_str().is_some_and(|text| !text.is_empty()));
    }
    assert_eq!(answers[3]["result"]["isError"], false);
    assert_eq!(answers[4]["error"]["code"], -32601);
    assert_eq!(outcome.stderr(), "");
    let events = place.mvault(["events", "list"]).json_lines();
    assert!(events.iter().any(|event| event.to_string().contains("from an agent")), "{events:?}");
}

#[test]
fn server_discover_of_2026_07_28_and_requests_without_a_handshake() {
    let place = vault();
    let (answers, _) = talk(
        place.mvault(["mcp"]),
        &[
            modern(1, "server/discover", &json!({})),
            modern(2, "tools/list", &json!({})),
            modern(3, "tools/call", &json!({"name": "boot"})),
            json!({"jsonrpc": "2.0", "id": 4, "method": "tools/list", "params": {"_meta": {
                "io.modelcontextprotocol/protocolVersion": "1900-01-01",
                "io.modelcontextprotocol/clientCapabilities": {}}}}),
            json!({"jsonrpc": "2.0", "id": 5, "method": "tools/list"}),
        ],
    );
    let discovered = &answers[0]["result"];
    assert_eq!(discovered["supportedVersions"][0], MODERN);
    assert!(discovered["supportedVersions"].as_array().is_some_and(|all| all.contains(&"2025-11-25".into())));
    assert_eq!(
        (&discovered["resultType"], &discovered["cacheScope"]),
        (&"complete".into(), &"private".into())
    );
    assert_eq!(names(&answers[1]).len(), 10);
    assert!(
        answers[2]["result"]["content"][0]["text"].as_str().is_some_and(|text| text.contains("The parser."))
    );
    assert_eq!(answers[3]["error"]["code"], -32022);
    assert_eq!(answers[4]["error"]["code"], -32602);
}

#[test]
fn each_tool_does_what_its_verb_does() {
    let place = vault();
    assert!(
        text_of(&place, "note", &json!({"text": "--kind is no option", "kind": "decision"}))
            .contains("decision 1 of mac")
    );
    assert!(text_of(&place, "standup", &json!({"since": "today"})).contains("--kind is no option"));
    let log = text_of(&place, "log", &json!({"count": 1}));
    assert!(log.contains("decision 1 of mac") && !log.contains("first"), "{log}");
    assert!(text_of(&place, "log", &json!({"path": "continuity.md"})).contains("first"));
    assert_eq!(
        text_of(&place, "read", &json!({"path": "continuity.md"})),
        "# Continuity\n\n## Now\n\nThe parser.\n"
    );
    assert_eq!(text_of(&place, "read", &json!({"path": ""})), "continuity.md\nevents/\n");
    let old = place.mvault(["log", "-n", "1", "--json", "--", "continuity.md"]).code(0).json()["id"].clone();
    assert_eq!(text_of(&place, "read", &json!({"path": "/", "revision": old})), "continuity.md\n");
    let made = text_of(
        &place,
        "handoff_create",
        &json!({"summary": "finish", "to": "codex", "next": ["a", "b"], "context": ["continuity.md"]}),
    );
    let id = made.split(' ').next().expect("an id").to_owned();
    let listed = text_of(&place, "handoff_list", &json!({}));
    assert!(listed.contains("next: a") && listed.contains("context: continuity.md"), "{listed}");
    text_of(&place, "handoff_accept", &json!({"id": id}));
    text_of(&place, "handoff_complete", &json!({"id": id, "message": "done"}));
    assert_eq!(text_of(&place, "handoff_list", &json!({})), "nothing to tell\n");
    assert!(text_of(&place, "handoff_list", &json!({"all": true})).contains("done by"));
    let file = json!({"command": "create", "path": "/memories/a.md", "file_text": "x"});
    assert_eq!(text_of(&place, "memory", &file), "File created successfully at: /memories/a.md");
    assert_eq!(failure_of(&place, "memory", &file), "Error: File /memories/a.md already exists");
    place.mvault(["verify"]).ok();
}

#[test]
fn failures_are_told_to_the_model_and_end_nothing() {
    let place = vault();
    let bad = |name: &str, arguments: Value| failure_of(&place, name, &arguments);
    assert!(bad("read", json!({"path": "none.md"})).contains("none.md is not in"));
    assert!(bad("read", json!({"path": "a", "revision": "nonsense"})).contains("nonsense"));
    assert!(bad("read", json!({})).contains("needs the argument"));
    assert!(bad("note", json!({"text": "   "})).contains("empty"));
    assert!(bad("note", json!({"text": "x", "fly": 1})).contains("takes no argument"));
    assert!(bad("handoff_accept", json!({"id": "abcdef"})).contains("no handoff"));
    assert!(
        bad("handoff_create", json!({"summary": "x", "context": ["../outside"]}))
            .contains("outside of the vault")
    );
    assert!(bad("log", json!({"since": "never ever"})).contains("no time"));
    place.write("big.bin", vec![b'x'; (1 << 20) + 1]);
    place.mvault(["commit"]).ok();
    assert!(bad("read", json!({"path": "big.bin"})).contains("more than are given at once"));
    let text = format!(
        "nonsense\n[1]\n\u{1}\n{}\n{}\n",
        "x".repeat(100_000),
        modern(9, "server/discover", &json!({}))
    );
    let outcome = place.mvault(["mcp"]).stdin(text).code(0);
    let answers = outcome.json_lines();
    assert_eq!((answers.len(), &answers[4]["id"]), (5, &json!(9)));
    assert!(!outcome.stderr().is_empty());
    let long = [
        vec![b' '; (16 << 20) + 1],
        b"\n".to_vec(),
        modern(9, "server/discover", &json!({})).to_string().into_bytes(),
    ]
    .concat();
    let answers = place.mvault(["mcp"]).stdin(long).code(0).json_lines();
    assert_eq!((&answers[0]["error"]["code"], &answers[1]["id"]), (&json!(-32700), &json!(9)));
}

#[test]
fn a_token_narrows_the_tools_and_a_hidden_one_is_refused_and_logged_once() {
    let place = vault();
    let text = token(&place, "codex", "read,note");
    assert!(text.starts_with("mvt_") && text.len() == 68, "{text}");
    let run = || place.mvault(["mcp"]).env("MVAULT_MCP_TOKEN", &text).env("MVAULT_SESSION", "s1");
    let hidden = call("handoff_create", &json!({"summary": "x"}));
    let (answers, _) = talk(
        run(),
        &[modern(0, "tools/list", &json!({})), hidden.clone(), hidden, call("note", &json!({"text": "a"}))],
    );
    assert_eq!(names(&answers[0]), ["boot", "standup", "log", "read", "handoff_list", "note"]);
    assert_eq!(answers[1]["error"], json!({"code": -32602, "message": "Unknown tool: handoff_create"}));
    assert_eq!(answers[3]["result"]["isError"], false);
    let log = place.mvault(["rejections", "--session", "s1"]).json_lines();
    assert_eq!(log.len(), 1, "{log:?}");
    assert_eq!(
        (&log[0]["path"], &log[0]["reason"], &log[0]["session"]),
        (&"mcp:handoff_create".into(), &"out-of-scope".into(), &"s1".into())
    );
    assert!(
        log[0]["detail"]
            .as_str()
            .is_some_and(|detail| detail.contains("codex") && detail.contains("read,note"))
    );
    assert!(place.mvault(["handoff", "list"]).json_lines().is_empty());
    let told = place.mvault(["rejections", "--session", "s1"]).ok();
    assert!(told.contains("mcp:handoff_create  out-of-scope"), "{told}");
    // A hidden tool and one that is not there look the same.
    let (answers, _) = talk(run(), &[call("fly", &json!({}))]);
    assert_eq!(answers[0]["error"], json!({"code": -32602, "message": "Unknown tool: fly"}));
    // The session that Claude Code gives its servers counts where no other is named.
    let run = place.mvault(["mcp"]).env("MVAULT_MCP_TOKEN", &text).env("CLAUDE_CODE_SESSION_ID", "s2");
    talk(run, &[call("memory", &json!({"command": "view", "path": "/memories"}))]);
    assert_eq!(place.mvault(["rejections", "--session", "s2"]).json_lines().len(), 1);
}

#[test]
fn tokens_are_kept_as_hashes_here_and_nowhere_else() {
    use std::os::unix::fs::PermissionsExt;
    let place = vault();
    let text = token(&place, "codex", "read");
    let path = place.work().join(".mvault/tokens.jsonl");
    let kept = std::fs::read_to_string(&path).expect("it is there");
    assert!(!kept.contains(&text) && !kept.contains(&text[4..]), "{kept}");
    assert_eq!(std::fs::metadata(&path).expect("it is there").permissions().mode() & 0o777, 0o600);
    let listed = place.mvault(["mcp", "token", "list"]).json_lines();
    assert_eq!((&listed[0]["name"], &listed[0]["scopes"]), (&"codex".into(), &json!(["read"])));
    let all: String = ["audit", "log"].map(|verb| place.mvault([verb, "--json"]).ok()).concat();
    assert!(!all.contains(&text[4..]) && all.contains("token-create"), "{all}");
    place.mvault(["clone", ".", "../phone", "--device", "pixel"]).ok();
    assert!(!place.root().join("phone/.mvault/tokens.jsonl").exists());
    place.mvault(["mcp", "token", "create", "codex", "--scope", "read"]).code(1);
    place.mvault(["mcp", "token", "create", "a b", "--scope", "read"]).code(1);
    place.mvault(["mcp", "token", "create", "x", "--scope", "fly"]).code(2);
    place.mvault(["mcp", "token", "create", "x"]).code(2);
    place.mvault(["mcp", "token", "revoke", "nobody"]).code(1);
    place.mvault(["mcp", "token", "revoke", "codex"]).ok();
    assert!(place.mvault(["mcp", "token", "list"]).json_lines().is_empty());
    let refused = place.mvault(["mcp"]).env("MVAULT_MCP_TOKEN", &text).code(1);
    assert_eq!(refused.stdout(), "");
    assert!(refused.stderr().contains("is not known to this vault"), "{}", refused.stderr());
    place.mvault(["verify"]).ok();
}

#[test]
fn without_a_token_all_is_offered_until_there_is_one() {
    let place = vault();
    let list = [modern(0, "tools/list", &json!({}))];
    assert_eq!(names(&talk(place.mvault(["mcp"]), &list).0[0]).len(), 10);
    let (answers, _) = talk(place.mvault(["mcp", "--scope", "note"]), &list);
    assert_eq!(names(&answers[0]), ["note"]);
    let text = token(&place, "codex", "read,note");
    let (answers, outcome) = talk(place.mvault(["mcp"]), &list);
    assert!(names(&answers[0]).is_empty());
    assert!(outcome.stderr().contains("no tool is offered"), "{}", outcome.stderr());
    let (answers, _) =
        talk(place.mvault(["mcp", "--scope", "note,memory"]).env("MVAULT_MCP_TOKEN", text), &list);
    assert_eq!(names(&answers[0]), ["note"], "a scope on the command line grants nothing");
}

#[test]
fn the_server_finds_the_vault_as_hooks_do() {
    let place = vault();
    std::fs::create_dir(place.root().join("elsewhere")).expect("a folder");
    let run = || place.mvault(["mcp"]).dir("../elsewhere");
    let call = [call("read", &json!({"path": "continuity.md"}))];
    let (answers, _) = talk(run().env("CLAUDE_PROJECT_DIR", place.work()), &call);
    assert_eq!(answers[0]["result"]["isError"], false, "{}", answers[0]);
    let (answers, _) = talk(run(), &call);
    assert_eq!(answers[0]["result"]["isError"], false, "the default vault: {}", answers[0]);
    std::fs::remove_dir_all(place.root().join("home")).expect("it is there");
    let refused = run().code(1);
    assert_eq!(refused.stdout(), "");
}

/// Answers in short: the id, and a word for what it is.
fn sketch(answers: &[Value]) -> Vec<String> {
    let word = |answer: &Value| match answer.get("error") {
        Some(error) => error["code"].to_string(),
        None => "result".to_owned(),
    };
    answers.iter().map(|answer| format!("{} {}", answer["id"], word(answer))).collect()
}

#[test]
fn the_lines_of_clients_of_both_revisions_are_answered() {
    let place = vault();
    let replay = |revision: &str| {
        let path = format!("{}/testdata/mcp/{revision}.jsonl", env!("CARGO_MANIFEST_DIR"));
        let lines = std::fs::read(path).expect("it is there");
        place.mvault(["mcp"]).stdin(lines).code(0).json_lines()
    };
    let answers = replay("2025-11-25");
    assert_eq!(sketch(&answers), ["0 result", "1 result", "2 result", "\"call-1\" result", "3 -32601"]);
    assert!(answers.iter().all(|answer| answer["result"].get("resultType").is_none()), "that came later");
    let answers = replay("2026-07-28");
    let wanted = ["\"d\" result", "1 result", "2 result", "3 -32601", "4 -32602", "5 -32022"];
    assert_eq!(sketch(&answers), wanted);
    for answer in &answers[..3] {
        let result = &answer["result"];
        assert_eq!(result["resultType"], "complete");
        assert_eq!(result["_meta"]["io.modelcontextprotocol/serverInfo"]["name"], "mvault");
    }
}
