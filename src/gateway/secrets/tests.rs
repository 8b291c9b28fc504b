//! Every shape is drawn when the test runs, so that no file of the project looks as if it held a credential.

mod corpus;
mod values;

use proptest::prelude::*;

use super::rules::RULES;
use super::*;
use values::Dice;

/// A rule, and its shape as [`Dice::shape`] draws it: what is in braces is drawn, what is in brackets frames it.
const SHAPES: &[(&str, &str)] = &[
    ("aws-access-key", "AKIA{2:16}"),
    ("aws-access-key", "ASIA{2:16}"),
    ("aws-bedrock-key", "ABSK{B:120}"),
    ("azure-storage-key", "[DefaultEndpointsProtocol=https;AccountName=a1;]AccountKey={B:86}=="),
    ("azure-sas", "[https://a1.blob.core.windows.net/c?sv=2022-11-02]&sig={A:43}%3D"),
    ("azure-client-secret", "{A:3}8Q~{A:34}"),
    ("azure-devops-token", "{A:76}AZDO{A:4}"),
    ("alibaba-access-key", "LTAI{A:20}"),
    ("cloudflare-origin-key", "v1.0-{H:24}-{H:146}"),
    ("digitalocean-token", "dop_v1_{H:64}"),
    ("fly-token", "fo1_{U:43}"),
    ("fly-token", "fm2_{B:160}"),
    ("google-api-key", "AIza{U:35}"),
    ("google-oauth-secret", "GOCSPX-{U:28}"),
    ("google-oauth-token", "ya29.{U:160}"),
    ("heroku-api-key", "HRKU-AA{U:58}"),
    ("netlify-token", "nfp_{A:36}"),
    ("planetscale-secret", "pscale_tkn_{U:43}"),
    ("supabase-secret", "sbp_{H:40}"),
    ("supabase-secret", "sb_secret_{U:31}"),
    ("tailscale-key", "tskey-auth-{A:12}CNTRL-{A:32}"),
    ("terraform-token", "{A:14}.atlasv1.{A:67}"),
    ("pulumi-token", "pul-{H:40}"),
    ("atlassian-token", "ATATT3xFfGF0{U:170}={u:8}"),
    ("bitbucket-password", "ATBB{A:32}"),
    ("cratesio-token", "cio{A:32}"),
    ("docker-token", "dckr_pat_{U:27}"),
    ("github-token", "ghp_{C:30}"),
    ("github-token", "gho_{C:30}"),
    ("github-token", "ghs_{A:90}"),
    ("github-token", "github_pat_{A:22}_{A:59}"),
    ("gitlab-token", "glpat-{U:20}"),
    ("gitlab-token", "glpat-{U:44}.01.{l:9}"),
    ("gitlab-token", "glcbt-64_{U:20}"),
    ("npm-token", "npm_{A:36}"),
    ("nuget-key", "oy2{l:43}"),
    ("pypi-token", "pypi-AgEIcHlwaS5vcmc{U:150}"),
    ("rubygems-key", "rubygems_{H:48}"),
    ("anthropic-key", "sk-ant-api03-{U:93}AA"),
    ("cerebras-key", "csk-{l:48}"),
    ("e2b-key", "e2b_{H:40}"),
    ("elevenlabs-key", "sk_{H:48}"),
    ("groq-key", "gsk_{A:52}"),
    ("huggingface-token", "hf_{L:34}"),
    ("jina-key", "jina_{A:60}"),
    ("langfuse-key", "sk-lf-{H:8}-{H:4}-{H:4}-{H:4}-{H:12}"),
    ("langsmith-key", "lsv2_pt_{H:32}_{H:10}"),
    ("nvidia-key", "nvapi-{U:64}"),
    ("openai-key", "sk-proj-{U:74}T3BlbkFJ{U:74}"),
    ("openai-key", "sk-{A:20}T3BlbkFJ{A:20}"),
    ("model-key", "sk-{H:32}"),
    ("openrouter-key", "sk-or-v1-{H:64}"),
    ("perplexity-key", "pplx-{A:48}"),
    ("pinecone-key", "pcsk_{A:6}_{A:63}"),
    ("replicate-token", "r8_{A:37}"),
    ("tavily-key", "tvly-dev-{A:32}"),
    ("xai-key", "xai-{A:80}"),
    ("brevo-key", "xkeysib-{H:64}-{A:16}"),
    ("discord-token", "MTA3{A:20}.{U:6}.{U:38}"),
    ("discord-webhook", "[https://]discord.com/api/webhooks/{D:18}/{U:68}"),
    ("mailchimp-key", "{H:32}-us14"),
    ("mailgun-key", "key-{H:32}"),
    ("resend-key", "re_{A:8}_{A:24}"),
    ("sendgrid-key", "SG.{U:22}.{U:43}"),
    ("slack-token", "xoxb-{D:12}-{D:13}-{A:24}"),
    ("slack-token", "xapp-1-A{u:10}-{D:13}-{H:64}"),
    ("slack-webhook", "[https://]hooks.slack.com/services/T{u:10}/B{u:10}/{A:24}"),
    ("teams-webhook", "[https://t1].webhook.office.com/webhookb2/{V:0}@{V:0}[/IncomingWebhook]"),
    ("telegram-token", "{D:10}:AA{U:33}"),
    ("twilio-key", "SK{H:32}"),
    ("shopify-token", "shpat_{H:32}"),
    ("square-token", "sq0atp-{U:22}"),
    ("stripe-key", "sk_live_{A:24}"),
    ("stripe-key", "rk_live_{A:99}"),
    ("stripe-webhook-secret", "whsec_{A:32}"),
    ("age-key", "AGE-SECRET-KEY-1{K:52}"),
    ("airtable-token", "pat{A:14}.{H:64}"),
    ("databricks-token", "dapi{H:32}"),
    ("doppler-token", "dp.pt.{A:43}"),
    ("figma-token", "figd_{U:40}"),
    ("grafana-token", "glsa_{A:32}_{H:8}"),
    ("grafana-token", "glc_eyJ{B:100}"),
    ("linear-key", "lin_api_{A:40}"),
    ("newrelic-key", "NRAK-{u:27}"),
    ("notion-token", "ntn_{D:11}{A:35}"),
    ("notion-token", "secret_{A:43}"),
    ("onepassword-token", "ops_eyJ{B:300}"),
    ("postman-key", "PMAK-{H:24}-{H:34}"),
    ("sentry-token", "sntryu_{H:64}"),
    ("sentry-token", "sntrys_eyJ{B:120}_{B:43}"),
    ("sourcegraph-token", "sgp_{H:40}"),
    ("vault-token", "hvs.{U:95}"),
    ("google-oauth-refresh-token", "1//0{U:100}"),
    ("openshift-token", "sha256~{U:43}"),
    ("scalingo-token", "tk-us-{U:48}"),
    ("vercel-token", "vercel_blob_rw_{A:16}_{A:30}"),
    ("yandex-key", "AQVN{U:36}"),
    ("harness-token", "pat.{U:22}.{A:24}.{A:20}"),
    ("infracost-key", "ico-{A:32}"),
    ("prefect-key", "pnu_{A:36}"),
    ("octopus-key", "API-{u:26}"),
    ("dynatrace-token", "dt0c01.{u:24}.{u:64}"),
    ("artifactory-key", "AKCp{A:69}"),
    ("artifactory-key", "cmVmd{A:59}"),
    ("clojars-token", "CLOJARS_{l:60}"),
    ("gitlab-runner-token", "GR1348941{U:20}"),
    ("gitlab-session", "_gitlab_session={l:32}"),
    ("readme-key", "rdme_{l:70}"),
    ("square-token", "EAAA{U:60}"),
    ("stripe-test-key", "sk_test_{A:24}"),
    ("duffel-token", "duffel_live_{U:43}"),
    ("easypost-key", "EZAK{l:54}"),
    ("flutterwave-key", "FLWSECK_TEST-{H:32}-X"),
    ("flutterwave-key", "FLWSECK_TEST{H:12}"),
    ("gocardless-token", "live_{U:40}"),
    ("lob-key", "live_{H:35}"),
    ("plaid-token", "access-production-{V:0}"),
    ("shippo-token", "shippo_live_{H:40}"),
    ("settlemint-token", "sm_pat_{A:16}"),
    ("onepassword-key", "A3-{u:6}-{u:6}-{u:5}-{u:5}-{u:5}-{u:5}"),
    ("onepassword-key", "A3-{u:6}-{u:11}-{u:5}-{u:5}-{u:5}"),
    ("adobe-secret", "p8e-{A:32}"),
    ("authress-key", "sc_{l:20}.{l:4}.acc_{l:16}.{B:80}"),
    ("clickhouse-key", "4b1d{A:38}"),
    ("defined-key", "dnkey-{l:26}-{l:52}"),
    ("dropbox-token", "sl.{U:135}"),
    ("dropbox-token", "{l:11}AAAAAAAAAA{U:43}"),
    ("facebook-token", "EAAM{A:120}"),
    ("frameio-token", "fio-u-{U:64}"),
    ("grafana-key", "eyJrIjoi{A:90}"),
    ("hubspot-token", "pat-na1-{V:0}"),
    ("intra42-secret", "s-s4t2ud-{H:64}"),
    ("mapbox-token", "sk.eyJ1{A:80}.{A:22}"),
    ("maxmind-key", "{A:6}_{A:29}_mmk"),
    ("newrelic-key", "NRII-{A:32}"),
    ("putty-key", "Private-Lines: 14\n{B:64}"),
    ("sourcegraph-token", "sgp_{H:16}_{H:40}"),
    ("sourcegraph-token", "slk_{H:64}"),
    ("typeform-token", "tfp_{U:59}"),
    ("private-key-base64", "LS0tLS1CRUdJTiBQUklWQVRFIEtFW{B:300}"),
    ("command-login", "[curl -u deploy:]{A:16}[ https://x.io]"),
    ("command-login", "[curl --user 'deploy:]{A:20}[' https://x.io]"),
    ("netrc-password", "[machine x.io login me password ]{A:16}"),
    ("netrc-password", "[machine x.io\n login me\n password ]{S:14}"),
    ("pgpass-password", "[db.internal:5432:app:me:]{A:16}[\n]"),
    ("password", "[<add key=\"ClearTextPassword\" value=\"]{A:20}[\" />]"),
    ("password", "[| password | ]{S:14}[ |]"),
    ("password", "[Password:\n  ]{S:14}[\n]"),
    ("token", "[Cookie: a=b; sessionid=]{l:32}[; c=d]"),
    ("token", "[SNYK_TOKEN=]{V:0}"),
    ("key", "[HUBSPOT_API_KEY=]{V:0}"),
    ("key", "[squarespace_api_key: ]{V:0}"),
    ("secret", "[kucoin_secret: ']{V:0}[']"),
    ("token", "[//registry.npmjs.org/:_authToken=]{V:0}"),
    ("jwt", "{J:0}"),
    ("url-password", "[postgres://app:]{A:16}[@db.internal:5432/app]"),
    ("url-password", "[https://deploy:]{A:24}[@git.company.io/x.git]"),
    ("aws-secret-key", "[aws_secret_access_key = ]{B:40}"),
    ("heroku-api-key", "[HEROKU_API_KEY=]{V:0}"),
    ("basic-auth", "[Authorization: Basic ]{P:0}"),
    ("basic-auth", "[\"auth\": \"]{P:0}[\"]"),
    ("bearer-token", "[Authorization: Bearer ]{A:40}"),
    ("password", "[DB_PASSWORD=]{S:14}"),
    ("password", "[\"password\": \"]{S:18}[\"]"),
    ("password", "[- **Password:** `]{S:16}[`]"),
    ("secret", "[client_secret: ']{A:32}[']"),
    ("secret", "[JWT_SECRET=]{H:64}"),
    ("token", "[export CI_TOKEN=\"]{A:40}[\"]"),
    ("token", "[\\\"token\\\": \\\"]{A:40}[\\\"]"),
    ("token", "[let token: &str = \"]{A:32}[\"]"),
    ("token", "[deploy --token ]{A:32}"),
    ("token", "[<token>]{A:32}[</token>]"),
    ("key", "[CLOUD_API_KEY: ]{l:40}"),
    ("key", "[setenv(\"MODEL_API_KEY\", \"]{A:32}[\")]"),
    ("key", "[x-api-key: ]{H:32}"),
];

/// What may stand round a credential.
const FRAMES: [(&str, &str); 5] =
    [("", ""), ("see ", " there."), ("\n", "\n"), ("{\"text\":\"so:\\n", "\\nand on\"}"), ("| ", " |")];

/// Of what is drawn, chance makes a little look like something else: a series, a word.
const MISSED_MAX: usize = 2;
const DRAWS: u64 = 20;

#[test]
fn every_shape_is_found_where_it_is_and_as_what_it_is() {
    for (rule, shape) in SHAPES {
        let mut missed = 0;
        for seed in 0..DRAWS {
            let (text, range) = Dice::new(seed).shape(shape);
            let (before, after) = FRAMES[seed as usize % FRAMES.len()];
            let whole = [before, &text, after].concat();
            let want = (before.len() + range.start) as u64;
            let found = scan(whole.as_bytes());
            match found.as_slice() {
                [one] => {
                    assert_eq!((one.rule, one.offset), (*rule, want), "{shape}, draw {seed}: {whole}");
                    assert_eq!(one.length, range.len() as u64, "{shape}, draw {seed}: {whole}");
                }
                [] => missed += 1,
                more => panic!("{shape}, draw {seed}: {more:?} in {whole}"),
            }
        }
        assert!(missed <= MISSED_MAX, "{shape}: {missed} of {DRAWS} missed");
    }
}

#[test]
fn every_rule_has_a_shape_in_the_table() {
    for rule in RULES {
        assert!(SHAPES.iter().any(|(id, _)| *id == rule.id), "{} has none", rule.id);
        let is_id = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        assert!(rule.id.chars().all(is_id), "{}", rule.id);
        assert!(rule.starts.iter().all(|start| start.len() > rule.needle_at), "{}", rule.id);
    }
}

#[test]
fn checksum_of_a_token_that_a_vendor_shows_is_right() {
    // From GitHub's own account of its format; revoked, and split so that nobody takes it for one in use.
    assert_eq!(&shape::crc_digits(b"zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ"), b"0mLq17");
    let drawn = Dice::new(3).of('A', 36);
    assert!(
        scan(format!("{}_{drawn}", "ghp").as_bytes()).is_empty(),
        "thirty-six letters without the checksum"
    );
}

#[test]
fn private_keys_are_found_with_a_body_alone() {
    let dashes = "-----";
    for (label, frame) in [
        ("RSA PRIVATE KEY", "\n"),
        ("PRIVATE KEY", "\\n"),
        ("OPENSSH PRIVATE KEY", "\r\n"),
        ("EC PRIVATE KEY", "\n    "),
        ("ENCRYPTED PRIVATE KEY", "\n> "),
        ("PGP PRIVATE KEY BLOCK", "\n"),
    ] {
        let lines: Vec<String> = (0..4).map(|n| Dice::new(n).of('B', 64)).collect();
        let body = lines.join(frame);
        let block = format!("{dashes}BEGIN {label}{dashes}{frame}{body}{frame}{dashes}END {label}{dashes}");
        let found = scan(format!("key: {block}\nrest").as_bytes());
        assert_eq!(found.len(), 1, "{block}");
        assert_eq!((found[0].rule, found[0].offset, found[0].length), ("private-key", 5, block.len() as u64));
        let json = format!("\"private_key\": \"{block}\"");
        assert_eq!(scan(json.as_bytes())[0].rule, "gcp-service-account");
        let public = block.replace("PRIVATE", "PUBLIC");
        assert_eq!(scan(public.as_bytes()), [], "{public}");
        for stand_in in ["...", "MIIEvQIBADANBgkq...", "<your key>", "(the body goes here and is left out)"] {
            let block =
                format!("{dashes}BEGIN {label}{dashes}{frame}{stand_in}{frame}{dashes}END {label}{dashes}");
            assert_eq!(scan(block.as_bytes()), [], "{block}");
        }
    }
}

#[test]
fn what_documents_and_programs_write_is_no_secret() {
    for text in values::HARMLESS {
        assert_eq!(scan(text.as_bytes()), [], "{text}");
    }
}

#[test]
fn digests_ids_and_images_are_no_secrets() {
    for seed in 0..50 {
        let mut dice = Dice::new(seed);
        let (sha1, sha256, image) = (dice.of('H', 40), dice.of('H', 64), dice.of('B', 6000));
        let uuid = dice.shape("{V:0}").0;
        for text in [
            format!("commit {sha1}\nparent {sha256}\n{sha256}  notes/day.md\n"),
            format!("{{\"id\":\"{sha256}\",\"prev\":\"{sha256}\",\"session\":\"{uuid}\"}}"),
            format!("![x](data:image/png;base64,{image}=)\n{image}\n"),
            format!("integrity sha512-{image}\ntoken hash: {sha256}\nsecret sha256={sha256}\ntoken={uuid}\n"),
            format!("https://host.org/{sha1}?key={uuid}#L10\npublic_key={image}\ntokens: {sha256}\n"),
            format!("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA{} me@host\n", dice.of('B', 43)),
        ] {
            assert_eq!(scan(text.as_bytes()), [], "{text}");
        }
    }
}

#[test]
fn a_credential_across_a_border_of_pieces_is_found() {
    let token = Dice::new(1).shape("ghp_{C:30}").0;
    let filler = "words of a long note, one after the other\n".repeat(20_000);
    for at in [0, 7_990, 8_192, 262_100, 262_144, 524_270, 524_288, 700_000] {
        let text = [&filler[..at], " ", &token, "\n", &filler[at..]].concat();
        let want = scan(text.as_bytes());
        assert_eq!((want.len(), want[0].offset), (1, at as u64 + 1));
        for size in [1_000, 65_536, 524_288] {
            let mut scanner = Scanner::new();
            text.as_bytes().chunks(size).for_each(|piece| scanner.update(piece));
            assert_eq!(scanner.finish(), want, "at {at} in pieces of {size}");
        }
    }
}

#[test]
fn what_was_passed_over_is_told_of_only_where_it_reaches_into_new_bytes() {
    let token = Dice::new(1).shape("ghp_{C:30}").0;
    let filler = "words of a long note, one after the other\n".repeat(1000);
    let new = 20_000..30_000;
    for at in [0, 12_000, 19_900, 19_970, 19_999, 20_000, 25_000, 29_970, 29_999, 30_000, 38_000, 40_000] {
        let text = [&filler[..at], " ", &token, " ", &filler[at..]].concat();
        let mut scanner = Scanner::new();
        scanner.pass_over(&text.as_bytes()[..10_000]);
        scanner.pass_over(&text.as_bytes()[10_000..new.start]);
        scanner.update(&text.as_bytes()[new.clone()]);
        scanner.pass_over(&text.as_bytes()[new.end..]);
        let is_new = at + 1 + token.len() > new.start && at + 1 < new.end;
        let want = if is_new { scan(text.as_bytes()) } else { Vec::new() };
        assert_eq!(scanner.finish(), want, "at {at}");
    }
}

#[test]
fn binary_files_are_searched_for_shapes_alone() {
    let mut dice = Dice::new(5);
    let token = dice.shape("gsk_{A:52}").0;
    let text = format!("\0SQLite\0password={}\0{token}\0", dice.of('S', 18));
    let rules: Vec<&str> = scan(text.as_bytes()).iter().map(|secret| secret.rule).collect();
    assert_eq!(rules, ["groq-key"]);
}

#[test]
fn no_more_are_told_of_than_the_bound() {
    let lines: Vec<String> = (0..200).map(|seed| Dice::new(seed).shape("ghp_{C:30}").0).collect();
    let text = lines.join("\n");
    assert_eq!(scan(text.as_bytes()).len(), FOUND_MAX);
    let mut scanner = Scanner::new();
    scanner.update(text.as_bytes());
    assert_eq!(scanner.finish(), scan(text.as_bytes()));
}

#[test]
fn what_is_told_holds_nothing_of_what_was_found() {
    for (_, shape) in SHAPES {
        let (text, range) = Dice::new(2).shape(shape);
        let told = format!("{:?}", scan(text.as_bytes()));
        let secret = &text[range];
        let tail = &secret[secret.len() - 6..];
        assert!(!told.contains(tail), "{shape}: {told}");
    }
}

/// Text that is made of what the rules look for.
fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        3 => (0..SHAPES.len(), 0u64..9).prop_map(|(n, seed)| Dice::new(seed).shape(SHAPES[n].1).0.into_bytes()),
        2 => (0..SHAPES.len(), 0usize..40).prop_map(|(n, cut)| {
            let text = Dice::new(7).shape(SHAPES[n].1).0;
            text.as_bytes()[..cut.min(text.len())].to_vec()
        }),
        1 => prop::sample::select(vec!["\n", " ", "=", "\"", "\\", "://", "@", ":", "password", "-----BEGIN ", "eyJh", "."])
            .prop_map(|text| text.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..60),
        1 => (0usize..9_000).prop_map(|length| vec![b'a'; length]),
    ];
    prop::collection::vec(part, 0..24).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn random_bytes_are_no_fault(bytes in prop::collection::vec(any::<u8>(), 0..4000)) {
        scan(&bytes);
    }

    #[test]
    fn pieces_give_what_the_whole_gives(text in hostile(), cuts in prop::collection::vec(1usize..5000, 0..12)) {
        let whole = scan(&text);
        prop_assert!(whole.iter().all(|secret| secret.offset + secret.length <= text.len() as u64));
        let mut scanner = Scanner::new();
        let mut rest = &text[..];
        for cut in cuts {
            let (piece, more) = rest.split_at(cut.min(rest.len()));
            scanner.update(piece);
            rest = more;
        }
        scanner.update(rest);
        prop_assert_eq!(scanner.finish(), whole);
    }
    #[test]
    fn whatever_reaches_into_new_bytes_is_found(
        text in hostile(), pieces in prop::collection::vec((1usize..12_000, any::<bool>()), 1..12),
    ) {
        let mut scanner = Scanner::new();
        let (mut at, mut new) = (0, Vec::new());
        for (length, is_new) in pieces.into_iter().chain([(usize::MAX, true)]) {
            let piece = &text[at..at + length.min(text.len() - at)];
            if is_new {
                scanner.update(piece);
                new.push(at as u64..(at + piece.len()) as u64);
            } else {
                scanner.pass_over(piece);
            }
            at += piece.len();
        }
        let whole = scan(&text);
        let found = scanner.finish();
        if whole.len() < FOUND_MAX {
            for secret in whole {
                let touches = |new: &std::ops::Range<u64>| {
                    secret.offset < new.end && new.start < secret.offset + secret.length
                };
                prop_assert!(!new.iter().any(touches) || found.contains(&secret), "{:?}", secret);
            }
        }
    }
}

/// Every rule was blind in files that Windows programs write in UTF-16.
#[test]
fn credentials_in_utf_16_are_found_in_either_order_with_and_without_a_mark_whole_and_in_pieces() {
    let (secret, _) = Dice::new(3).shape("glpat-{U:20}");
    let text = format!("# Schlüssel für die Wolke, nicht verlieren\ntoken: {secret}\n");
    for (mark, order) in [(true, 0), (false, 0), (true, 1), (false, 1)] {
        let mark = if mark { "\u{feff}" } else { "# Key of the cloud, do not lose it, please\n" };
        let units = format!("{mark}{text}").encode_utf16().collect::<Vec<u16>>();
        let bytes: Vec<u8> = units
            .iter()
            .flat_map(|unit| if order == 0 { unit.to_le_bytes() } else { unit.to_be_bytes() })
            .collect();
        let whole = scan(&bytes);
        assert_eq!(whole.len(), 1, "{order}: {whole:?}");
        assert_eq!((whole[0].rule, whole[0].length), ("gitlab-token", 2 * secret.len() as u64));
        assert_eq!(whole[0].digest, scan(secret.as_bytes())[0].digest, "known as the same one elsewhere");
        for size in [1, 3, 7, 64, 1000] {
            let mut scanner = Scanner::new();
            bytes.chunks(size).for_each(|piece| scanner.update(piece));
            assert_eq!(scanner.finish(), whole, "in pieces of {size}");
        }
    }
}
