//! Values drawn from a seed, and texts that hold none.

use super::super::shape::{bech32_step, bech32_sum, crc_digits};

/// A repeatable source of characters (SplitMix64).
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x2545_F491_4F6C_DD1D).wrapping_add(11))
    }

    fn next(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) % below as u64) as usize
    }

    /// Draws so many characters of an alphabet, named by a letter.
    pub(super) fn of(&mut self, alphabet: char, length: usize) -> String {
        let digits = "0123456789";
        let lower = "abcdefghijklmnopqrstuvwxyz";
        let upper = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
        let alphabet = match alphabet {
            'A' => [digits, lower, upper].concat(),
            'B' => [digits, lower, upper, "+/"].concat(),
            'U' => [digits, lower, upper, "-_"].concat(),
            'S' => [digits, lower, upper, "!%^=-_+"].concat(),
            'L' => [lower, upper].concat(),
            'H' => "0123456789abcdef".to_owned(),
            'D' => digits.to_owned(),
            'l' => [digits, lower].concat(),
            'u' => [digits, upper].concat(),
            '2' => [upper, "234567"].concat(),
            'K' => "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L".to_owned(),
            other => panic!("no alphabet {other}"),
        };
        let alphabet = alphabet.as_bytes();
        let is_edge = |n: usize| n == 0 || n + 1 == length;
        let mut drawn = String::with_capacity(length);
        while drawn.len() < length {
            let next = char::from(alphabet[self.next(alphabet.len())]);
            if next.is_ascii_alphanumeric() || !is_edge(drawn.len()) {
                drawn.push(next);
            }
        }
        drawn
    }

    /// Draws a shape. Returns the text and where in it the credential is: without what brackets frame.
    pub(super) fn shape(&mut self, shape: &str) -> (String, std::ops::Range<usize>) {
        let (mut text, mut rest) = (String::new(), shape);
        let (mut start, mut end) = (0, None);
        while let Some(first) = rest.chars().next() {
            if first == '[' {
                let (frame, more) = rest[1..].split_once(']').expect("a frame is closed");
                if text.is_empty() {
                    start = frame.len();
                } else {
                    end = Some(text.len());
                }
                text.push_str(frame);
                rest = more;
            } else if first == '{' {
                let (part, more) = rest[1..].split_once('}').expect("a part is closed");
                let (kind, length) = part.split_once(':').expect("a part has a length");
                let length: usize = length.parse().expect("a length is a number");
                let part = self.part(kind.chars().next().expect("a kind"), length, &text[start..]);
                text.push_str(&part);
                rest = more;
            } else {
                text.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
        let end = end.unwrap_or(text.len());
        (text, start..end)
    }

    fn part(&mut self, kind: char, length: usize, begun: &str) -> String {
        match kind {
            'C' => {
                let drawn = self.of('A', length);
                let digits = crc_digits(drawn.as_bytes());
                drawn + std::str::from_utf8(&digits).expect("digits are ASCII")
            }
            'K' => {
                let drawn = self.of('K', length);
                let name = begun.trim_end_matches('1').as_bytes();
                let sum = bech32_sum(name, drawn.as_bytes()).expect("drawn of its digits");
                let sum = (0..6).fold(sum, |sum, _| bech32_step(sum, 0)) ^ 1;
                let digits = b"QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L";
                let last = (0..6).map(|n| char::from(digits[(sum >> (5 * (5 - n)) & 31) as usize]));
                drawn + &last.collect::<String>()
            }
            'V' => [8, 4, 4, 4, 12].map(|length| self.of('H', length)).join("-"),
            'J' => {
                let header = base64(br#"{"alg":"ES256","typ":"JWT"}"#);
                let payload = base64(format!(r#"{{"sub":"u-{}","iat":17}}"#, self.of('l', 6)).as_bytes());
                format!("{header}.{payload}.{}", self.of('U', 86))
            }
            'P' => base64(format!("robot:{}", self.of('A', 21)).as_bytes()),
            kind => self.of(kind, length),
        }
    }
}

/// Encodes bytes in the base64 of URLs, without padding.
fn base64(bytes: &[u8]) -> String {
    let digits = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let bits = three.iter().fold(0u32, |bits, b| bits << 8 | u32::from(*b)) << (8 * (3 - three.len()));
        for n in 0..=three.len() {
            text.push(char::from(digits[(bits >> (18 - 6 * n) & 63) as usize]));
        }
    }
    text
}

/// Lines of documents, programs and settings that hold no secret.
pub(super) const HARMLESS: &[&str] = &[
    "The password is what the user types; a token is a word, and the secret of it: none.",
    "max_tokens = 4096, tokens: 12345678901234567890, tokenizer=cl100k_base_2024_v2_x86",
    "password: correct horse battery staple",
    "password = \"changeme123!\"",
    "DB_PASSWORD=${DB_PASSWORD}",
    "DB_PASSWORD=$(pass show db/main)",
    "PASSWORD=\"P@ssw0rd123\" SECRET=T0pS3cr3tV4lue99",
    "API_KEY=your-api-key-here API_KEY=xxxxxxxxxxxxxxxxxxxxxxxx api_key: <API_KEY>",
    "api_key = os.environ[\"OPENAI_API_KEY\"]",
    "apiKey: process.env.ANTHROPIC_API_KEY_V2",
    "const token = await getAccessTokenSilently2({ audience })",
    "let secret = Secret::new(\"k8s-secret-name-v1\");",
    "secret: my-service-account-token-v2-2024",
    "token: ${{ secrets.GITHUB_TOKEN }}",
    "token = self.tokenizer.convert_ids_to_tokens(x1)",
    "key = \"primary_key_1\"; public_key = \"ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQC7\"",
    "private_key_path = /home/me/.ssh/id_ed25519_2024",
    "access_key: /etc/keys/2024-10/server1.pem",
    "password_hash: $2b$12$KIXQ0r6Nf3lX1k8nG4sT5uJ0V2w9Yb7Zc1Qe5Rt8Uo3Ip6As4Df",
    "\"auth\": \"required\", \"auth\": \"dXNlcjpwYXNzd29yZA==\"",
    "Authorization: Basic dXNlcjpwYXNzd29yZA==",
    "Authorization: Bearer <token>, Authorization: Bearer $TOKEN, Authorization: Bearer YOUR_ACCESS_TOKEN_123",
    "bearer certificates2024 and basic understanding",
    "postgres://user:password@localhost:5432/db postgres://postgres:postgres@db/x",
    "mysql://root:secret@127.0.0.1/app redis://:pass@redis:6379 amqp://guest:guest@rabbit",
    "https://user:${PASS}@host.io https://user:<password>@host.io https://user:%s@host.io",
    "https://alice:s3cr3tpw9x@example.com/x https://u:xxxxxxxx@real.host.io",
    "https://host.io:8080/@scope/package http://host/a:b@c mailto:me@host.io git@host.io:me/x.git",
    "aws_access_key_id = AKIAIOSFODNN7EXAMPLE",
    "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "AccountKey=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==",
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c",
    "ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx github_pat_11AAAAAAA0xxxxxxxxxxxx",
    "sk-your-key-here sk-proj-... sk-ant-api03-XXXX task-2024-risk-management-and-more-and-more-words",
    "sk_test_4eC39HqLyjWDarjtT1zdp7dc 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",
    "csrf_token=K9vLq2Xw8Zr4Tn6Bm1Yc5Df7 next_page_token: K9vLq2Xw8Zr4Tn6Bm1Yc5Df7",
    "token: 0x6B175474E89094C44Da98b954EedeAC495271d0F",
    "password: String, secret: Option<Vec<u8>>, token: &'static str, pass: u32",
    "if password == expected && token != other { secret::check(key) }",
    "bypass=K9vLq2Xw8Zr compass: K9vLq2Xw8Zr4 encompass=K9vLq2X!w8Zr",
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk",
    "-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----",
    "stringData:\n  password: c2VjdXJlLXBhc3N3b3Jk",
];
