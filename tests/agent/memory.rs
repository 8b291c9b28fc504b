//! The memory tool: each row of its contract, byte for byte, and that nothing is ever lost.

use serde_json::{Value, json};

use crate::support::Place;

fn vault() -> Place {
    let place = Place::new();
    place.mvault(["init", "--device", "mac"]).ok();
    place
}

/// Carries out one input and returns the text; `ok` says whether it should be a success.
fn run(place: &Place, input: &Value, is_error: bool) -> String {
    let run = place.mvault(["memory", "--json"]).stdin(input.to_string());
    let told = run.code(i32::from(is_error)).json();
    assert_eq!(told["is_error"], is_error, "{told}");
    assert_eq!(told.as_object().expect("an object").len(), 2, "{told}");
    told["content"].as_str().expect("a text").to_owned()
}

fn good(place: &Place, input: Value) -> String {
    run(place, &input, false)
}

fn bad(place: &Place, input: Value) -> String {
    run(place, &input, true)
}

fn create(place: &Place, path: &str, text: &str) {
    let told = good(place, json!({"command": "create", "path": path, "file_text": text}));
    assert_eq!(told, format!("File created successfully at: {path}"));
}

fn view(place: &Place, path: &str) -> String {
    good(place, json!({"command": "view", "path": path}))
}

fn commits(place: &Place) -> Vec<Value> {
    place.mvault(["log"]).json_lines()
}

/// What the file system says a folder's length is.
fn folder_size(place: &Place, path: &str) -> String {
    let bytes = std::fs::metadata(place.work().join(path)).expect("it is there").len();
    match bytes {
        0..1024 => format!("{bytes}B"),
        _ => {
            #[allow(clippy::cast_precision_loss)]
            let kib = bytes as f64 / 1024.0;
            format!("{kib:.1}K")
        }
    }
}

#[test]
fn view_lists_two_levels_with_sizes_and_hides_what_is_hidden() {
    let place = vault();
    let head = "Here're the files and directories up to 2 levels deep in /memories, excluding hidden items and \
                node_modules:\n";
    assert_eq!(view(&place, "/memories"), format!("{head}0B\t/memories"), "before anything was put into it");
    create(&place, "/memories/customer_service_guidelines.xml", &"x".repeat(1536));
    create(&place, "/memories/refund_policies.xml", &"x".repeat(2048));
    create(&place, "/memories/a/b/c/deep.txt", "deep");
    create(&place, "/memories/a/short.txt", "five\n");
    create(&place, "/memories/.hidden", "x");
    place.write("memories/node_modules/x.txt", "x");
    let (root, a, b) = (
        folder_size(&place, "memories"),
        folder_size(&place, "memories/a"),
        folder_size(&place, "memories/a/b"),
    );
    let rows = format!(
        "{root}\t/memories\n{a}\t/memories/a/\n{b}\t/memories/a/b/\n5B\t/memories/a/short.txt\n\
         1.5K\t/memories/customer_service_guidelines.xml\n2.0K\t/memories/refund_policies.xml"
    );
    assert_eq!(view(&place, "/memories"), format!("{head}{rows}"));
    let head = head.replace("in /memories", "in /memories/a/b");
    let c = folder_size(&place, "memories/a/b/c");
    let rows = format!("{b}\t/memories/a/b\n{c}\t/memories/a/b/c/\n4B\t/memories/a/b/c/deep.txt");
    assert_eq!(view(&place, "/memories/a/b"), format!("{head}{rows}"));
}

#[test]
fn view_numbers_lines() {
    let place = vault();
    let lines: Vec<String> = (1..=100).map(|n| format!("line {n}")).collect();
    create(&place, "/memories/notes.txt", &lines.join("\n"));
    let told = view(&place, "/memories/notes.txt");
    let head = "Here's the content of /memories/notes.txt with line numbers:\n";
    assert!(told.starts_with(&format!("{head}     1\tline 1\n     2\tline 2\n")), "{told}");
    assert!(told.contains("\n    10\tline 10\n") && told.ends_with("\n   100\tline 100"), "{told}");
    let ranged = |range: Value| {
        good(&place, json!({"command": "view", "path": "/memories/notes.txt", "view_range": range}))
    };
    assert_eq!(ranged(json!([2, 3])), format!("{head}     2\tline 2\n     3\tline 3"));
    assert_eq!(ranged(json!([99, -1])), format!("{head}    99\tline 99\n   100\tline 100"));
    assert_eq!(ranged(json!([100, 4000])), format!("{head}   100\tline 100"));
    assert_eq!(ranged(json!([4000, 5000])), head);
    for range in [json!("x"), json!([1]), json!([1, "x"]), json!([1.5, 2]), json!({})] {
        let told =
            bad(&place, json!({"command": "view", "path": "/memories/notes.txt", "view_range": range}));
        assert_eq!(told, "Error: Invalid `view_range` parameter: it should be a list of two whole numbers");
    }
    create(&place, "/memories/ends.txt", "one\n");
    let told = view(&place, "/memories/ends.txt");
    assert_eq!(told, "Here's the content of /memories/ends.txt with line numbers:\n     1\tone\n     2\t");
    let missing = bad(&place, json!({"command": "view", "path": "/memories/none"}));
    assert_eq!(missing, "The path /memories/none does not exist. Please provide a valid path.");
}

#[test]
fn view_refuses_more_lines_than_six_digits_number() {
    let place = vault();
    place.write("memories/most.txt", "\n".repeat(999_998));
    assert!(view(&place, "/memories/most.txt").ends_with("\n999999\t"));
    place.write("memories/huge.txt", "\n".repeat(999_999));
    let told = bad(&place, json!({"command": "view", "path": "/memories/huge.txt"}));
    assert_eq!(told, "File /memories/huge.txt exceeds maximum line limit of 999,999 lines.");
}

#[test]
fn create_writes_once_and_commits() {
    let place = vault();
    let before = commits(&place).len();
    create(&place, "/memories/notes.txt", "Meeting notes:\n- one\n");
    assert_eq!(place.read("memories/notes.txt"), b"Meeting notes:\n- one\n");
    assert_eq!(commits(&place).len(), before + 1);
    let again = json!({"command": "create", "path": "/memories/notes.txt", "file_text": "other"});
    assert_eq!(bad(&place, again), "Error: File /memories/notes.txt already exists");
    let folder = json!({"command": "create", "path": "/memories", "file_text": "other"});
    assert_eq!(bad(&place, folder), "Error: File /memories already exists");
    assert_eq!(place.read("memories/notes.txt"), b"Meeting notes:\n- one\n");
    assert_eq!(commits(&place).len(), before + 1);
}

#[test]
fn str_replace_shows_what_changed() {
    let place = vault();
    create(&place, "/memories/p.txt", "one\ntwo\nFavorite color: blue\nfour\nfive\nsix\n");
    let input = json!({"command": "str_replace", "path": "/memories/p.txt",
        "old_str": "Favorite color: blue", "new_str": "Favorite color: green"});
    assert_eq!(
        good(&place, input.clone()),
        "The memory file has been edited. Here is the snippet showing the change (with line numbers):\n     \
         1\tone\n     2\ttwo\n     3\tFavorite color: green\n     4\tfour\n     5\tfive"
    );
    assert_eq!(place.read("memories/p.txt"), b"one\ntwo\nFavorite color: green\nfour\nfive\nsix\n");
    assert_eq!(
        bad(&place, input),
        "No replacement was performed, old_str `Favorite color: blue` did not appear verbatim in /memories/p.txt."
    );
    let without = json!({"command": "str_replace", "path": "/memories/p.txt", "old_str": "one\n"});
    assert!(good(&place, without).ends_with("\n     1\ttwo\n     2\tFavorite color: green\n     3\tfour"));
    let null =
        json!({"command": "str_replace", "path": "/memories/p.txt", "old_str": "two\n", "new_str": null});
    assert!(good(&place, null).contains("\n     1\tFavorite color: green\n"));
    create(&place, "/memories/d.txt", "a\nx\nb x x\n\nx\n");
    let twice = json!({"command": "str_replace", "path": "/memories/d.txt", "old_str": "x", "new_str": "y"});
    assert_eq!(
        bad(&place, twice),
        "No replacement was performed. Multiple occurrences of old_str `x` in lines: 2, 3, 5. Please ensure it is \
         unique"
    );
    for path in ["/memories/none.txt", "/memories", "/memories/none/deeper"] {
        let told =
            bad(&place, json!({"command": "str_replace", "path": path, "old_str": "x", "new_str": "y"}));
        assert_eq!(told, format!("Error: The path {path} does not exist. Please provide a valid path."));
    }
}

#[test]
fn insert_puts_lines_in() {
    let place = vault();
    create(&place, "/memories/todo.txt", "a\nb\n");
    let input = |path: &str, line: i64, text: &str| json!({"command": "insert", "path": path, "insert_line": line, "insert_text": text});
    let told = good(&place, input("/memories/todo.txt", 0, "top\n"));
    assert_eq!(told, "The file /memories/todo.txt has been edited.");
    good(&place, input("/memories/todo.txt", 3, "end"));
    assert_eq!(place.read("memories/todo.txt"), b"top\na\nb\nend\n");
    assert_eq!(
        bad(&place, input("/memories/todo.txt", 5, "x")),
        "Error: Invalid `insert_line` parameter: 5. It should be within the range of lines of the file: [0, 4]"
    );
    assert_eq!(
        bad(&place, input("/memories/todo.txt", -1, "x")),
        "Error: Invalid `insert_line` parameter: -1. It should be within the range of lines of the file: [0, 4]"
    );
    for path in ["/memories/none.txt", "/memories"] {
        assert_eq!(bad(&place, input(path, 0, "x")), format!("Error: The path {path} does not exist"));
    }
}

#[test]
fn delete_is_a_commit_and_everything_stays_in_history() {
    let place = vault();
    create(&place, "/memories/old.txt", "old\n");
    create(&place, "/memories/d/one.txt", "one\n");
    place.write("memories/d/sub/two.txt", "never committed\n");
    place.write("memories/other.txt", "an edit of somebody else\n");
    let told = good(&place, json!({"command": "delete", "path": "/memories/old.txt"}));
    assert_eq!(told, "Successfully deleted /memories/old.txt");
    assert_eq!(
        good(&place, json!({"command": "delete", "path": "/memories/d"})),
        "Successfully deleted /memories/d"
    );
    assert!(!place.work().join("memories/d").exists() && !place.work().join("memories/old.txt").exists());
    assert!(place.work().join("memories/other.txt").exists());
    let log = commits(&place);
    assert_eq!(log[0]["message"].as_str().map(str::trim), Some("remove memories/d"));
    let kept = format!("{}:memories/d/sub/two.txt", log[1]["id"].as_str().expect("an id"));
    assert_eq!(place.mvault(["show", &kept]).ok(), "never committed\n");
    place.mvault(["undo"]).ok();
    assert_eq!(place.read("memories/d/sub/two.txt"), b"never committed\n");
    place.mvault(["verify"]).ok();
    for path in ["/memories/old.txt", "/memories/none/deeper"] {
        let told = bad(&place, json!({"command": "delete", "path": path}));
        assert_eq!(told, format!("Error: The path {path} does not exist"));
    }
    for root in ["/memories", "/memories/", "/memories/."] {
        let told = bad(&place, json!({"command": "delete", "path": root}));
        assert_eq!(told, "Error: Cannot delete the /memories directory itself");
    }
}

#[test]
fn rename_moves_files_and_folders() {
    let place = vault();
    create(&place, "/memories/draft.txt", "text\n");
    create(&place, "/memories/d/one.txt", "one\n");
    let input = |old: &str, new: &str| json!({"command": "rename", "old_path": old, "new_path": new});
    assert_eq!(
        good(&place, input("/memories/draft.txt", "/memories/new/final.txt")),
        "Successfully renamed /memories/draft.txt to /memories/new/final.txt"
    );
    assert_eq!(place.read("memories/new/final.txt"), b"text\n");
    good(&place, input("/memories/d", "/memories/e"));
    assert_eq!(place.read("memories/e/one.txt"), b"one\n");
    assert!(place.mvault(["status"]).json()["changes"].as_array().expect("a list").is_empty());
    assert_eq!(
        bad(&place, input("/memories/draft.txt", "/memories/x")),
        "Error: The path /memories/draft.txt does not exist"
    );
    assert_eq!(
        bad(&place, input("/memories/e", "/memories/new")),
        "Error: The destination /memories/new already exists"
    );
    assert_eq!(
        bad(&place, input("/memories", "/memories/x")),
        "Error: Cannot rename the /memories directory itself"
    );
    assert_eq!(
        bad(&place, input("/memories/e", "/memories")),
        "Error: The destination /memories already exists"
    );
    bad(&place, input("/memories/e", "/memories/e/f"));
    assert_eq!(place.read("memories/e/one.txt"), b"one\n");
}

#[test]
fn nothing_outside_is_reached_and_no_link_is_followed() {
    let place = vault();
    place.write("secret.txt", "secret\n");
    place.write("memories/in.txt", "in\n");
    std::os::unix::fs::symlink("../secret.txt", place.work().join("memories/link")).expect("a link");
    std::os::unix::fs::symlink("..", place.work().join("memories/up")).expect("a link");
    for path in [
        "/memories/../secret.txt",
        "/memories/%2e%2e/secret.txt",
        "/memories/%2e%2e%2fsecret.txt",
        "/memories/%252e%252e%252fsecret.txt",
        "/memories/..%5csecret.txt",
    ] {
        for input in [
            json!({"command": "view", "path": path}),
            json!({"command": "create", "path": path, "file_text": "x"}),
            json!({"command": "str_replace", "path": path, "old_str": "secret", "new_str": "x"}),
            json!({"command": "insert", "path": path, "insert_line": 0, "insert_text": "x"}),
            json!({"command": "delete", "path": path}),
            json!({"command": "rename", "old_path": path, "new_path": "/memories/x"}),
            json!({"command": "rename", "old_path": "/memories/in.txt", "new_path": path}),
        ] {
            assert_eq!(bad(&place, input), format!("Error: Path {path} would escape /memories directory"));
        }
    }
    let outside = bad(&place, json!({"command": "view", "path": "/etc/passwd"}));
    assert_eq!(outside, "Error: Path must start with /memories, got: /etc/passwd");
    for path in ["/memories/link", "/memories/up/secret.txt", "/memories/up"] {
        let told = bad(&place, json!({"command": "view", "path": path}));
        assert_eq!(told, format!("The path {path} does not exist. Please provide a valid path."));
        bad(&place, json!({"command": "str_replace", "path": path, "old_str": "secret", "new_str": "x"}));
        bad(&place, json!({"command": "delete", "path": path}));
    }
    bad(&place, json!({"command": "create", "path": "/memories/up/new.txt", "file_text": "x"}));
    assert!(!view(&place, "/memories").contains("link"));
    bad(&place, json!({"command": "create", "path": "/memories/.mvault/x", "file_text": "x"}));
    assert_eq!(place.read("secret.txt"), b"secret\n");
    assert!(!place.work().join("new.txt").exists());
}

#[test]
fn what_may_not_enter_is_refused_and_told() {
    let place = vault();
    create(&place, "/memories/a.md", "fine\n");
    let key = ["AKIA", "QYLPMN5HNM4OTZZZ"].concat();
    let text = format!("key {key}\n");
    let input = json!({"command": "insert", "path": "/memories/a.md", "insert_line": 0, "insert_text": text});
    let run = place.mvault(["memory", "--json", "--session", "s1"]).stdin(input.to_string());
    let told = run.code(1).json()["content"].as_str().expect("a text").to_owned();
    assert!(told.starts_with("Error: /memories/a.md was refused by the vault: it holds"), "{told}");
    assert!(!told.contains(&key), "{told}");
    assert_eq!(place.read("memories/a.md"), b"fine\n");
    let rejections = place.mvault(["rejections", "--session", "s1"]).json_lines();
    assert_eq!(rejections.len(), 1);
    assert_eq!(
        (&rejections[0]["path"], &rejections[0]["reason"]),
        (&"memories/a.md".into(), &"secret".into())
    );
    create(&place, "/memories/log.jsonl", "{\"kind\":\"tick\"}\n");
    let told = bad(&place, json!({"command": "delete", "path": "/memories/log.jsonl"}));
    assert!(told.contains("was refused by the vault: the stream lost"), "{told}");
    assert!(place.work().join("memories/log.jsonl").exists());
    place.write(".mvaultignore", "ignored\n");
    place.write("memories/d/ignored", "in no commit\n");
    bad(&place, json!({"command": "delete", "path": "/memories/d"}));
    assert_eq!(place.read("memories/d/ignored"), b"in no commit\n");
}

#[test]
fn a_change_belongs_to_its_session_and_text_goes_without_json() {
    let place = vault();
    let input = json!({"command": "create", "path": "/memories/a.md", "file_text": "x"}).to_string();
    let told = place.mvault(["memory", "--session", "7c1e"]).stdin(&input).ok();
    assert_eq!(told, "File created successfully at: /memories/a.md\n");
    assert_eq!(commits(&place)[0]["session"], "7c1e");
    let told = place.mvault(["memory"]).stdin(&input).code(1);
    assert_eq!(told.stdout(), "Error: File /memories/a.md already exists\n");
    for input in [
        "",
        "x",
        "[]",
        "{}",
        "{\"command\":\"fly\"}",
        "{\"command\":\"view\",\"path\":7}",
        "{\"command\":\"view\"}",
    ] {
        let told = place.mvault(["memory"]).stdin(input).code(1);
        assert!(told.stdout().starts_with("Error: "), "{}", told.stdout());
    }
    let deep = format!("{{\"command\":{}", "[".repeat(100_000));
    place.mvault(["memory"]).stdin(deep).code(1);
}
