//! The rules: which vendors' credentials have which shape. Data, in the order of the alphabet within a group.
//!
//! | rule | finds |
//! |---|---|
//! | `aws-access-key` | an AWS access key: `AKIA`, `ASIA`, `ABIA`, `ACCA` |
//! | `aws-bedrock-key` | an AWS Bedrock key: `ABSK` |
//! | `azure-storage-key` | an Azure storage key: `AccountKey=` |
//! | `azure-sas` | an Azure shared access signature: `&sig=`, `?sig=` |
//! | `azure-client-secret` | an Azure client secret: `7Q~`, `8Q~` |
//! | `azure-devops-token` | an Azure DevOps token: `AZDO` |
//! | `alibaba-access-key` | an Alibaba Cloud access key: `LTAI` |
//! | `cloudflare-origin-key` | a Cloudflare origin key: `v1.0-` |
//! | `digitalocean-token` | a DigitalOcean token: `dop_v1_`, `doo_v1_`, `dor_v1_` |
//! | `fly-token` | a Fly.io token: `fo1_`, `fm2_`, `fm1a_`, `fm1r_` |
//! | `google-api-key` | a Google API key: `AIza` |
//! | `google-oauth-secret` | a Google OAuth client secret: `GOCSPX-` |
//! | `google-oauth-token` | a Google OAuth token: `ya29.` |
//! | `heroku-api-key` | a Heroku API key: `HRKU-` |
//! | `netlify-token` | a Netlify token: `nfp_` |
//! | `planetscale-secret` | a PlanetScale secret: `pscale_tkn_`, `pscale_pw_`, `pscale_oauth_` |
//! | `supabase-secret` | a Supabase secret: `sbp_`, `sb_secret_` |
//! | `tailscale-key` | a Tailscale key: `tskey-` |
//! | `terraform-token` | a Terraform Cloud token: `.atlasv1.` |
//! | `pulumi-token` | a Pulumi token: `pul-` |
//! | `atlassian-token` | an Atlassian token: `ATATT3`, `ATCTT3` |
//! | `bitbucket-password` | a Bitbucket app password: `ATBB` |
//! | `cratesio-token` | a token of the Cargo registry: `cio` |
//! | `docker-token` | a Docker Hub token: `dckr_pat_`, `dckr_oat_` |
//! | `github-token` | a GitHub token: `ghp_`, `gho_`, `ghu_`, `ghr_`, `ghs_` … |
//! | `gitlab-token` | a GitLab token: `glpat-`, `gldt-`, `glrt-`, `glptt-`, `glft-` … |
//! | `npm-token` | an npm token: `npm_` |
//! | `nuget-key` | a NuGet key: `oy2` |
//! | `pypi-token` | a PyPI token: `pypi-AgEIcHlwaS5vcmc`, `pypi-AgENdGVzdC5weXBpLm9yZ` |
//! | `rubygems-key` | a RubyGems key: `rubygems_` |
//! | `anthropic-key` | an Anthropic key: `sk-ant-` |
//! | `cerebras-key` | a Cerebras key: `csk-` |
//! | `e2b-key` | an E2B key: `e2b_` |
//! | `elevenlabs-key` | an ElevenLabs key: `sk_` |
//! | `groq-key` | a Groq key: `gsk_` |
//! | `huggingface-token` | a Hugging Face token: `hf_`, `api_org_` |
//! | `jina-key` | a Jina key: `jina_` |
//! | `langfuse-key` | a Langfuse key: `sk-lf-` |
//! | `langsmith-key` | a LangSmith key: `lsv2_pt_`, `lsv2_sk_` |
//! | `nvidia-key` | an NVIDIA key: `nvapi-` |
//! | `openai-key` | an OpenAI key: `sk-` |
//! | `model-key` | a key of a model vendor: `sk-` |
//! | `openrouter-key` | an OpenRouter key: `sk-or-v1-` |
//! | `perplexity-key` | a Perplexity key: `pplx-` |
//! | `pinecone-key` | a Pinecone key: `pcsk_` |
//! | `replicate-token` | a Replicate token: `r8_` |
//! | `tavily-key` | a Tavily key: `tvly-` |
//! | `xai-key` | an xAI key: `xai-` |
//! | `brevo-key` | a Brevo key: `xkeysib-` |
//! | `discord-token` | a Discord bot token: a number in base64, two dots |
//! | `discord-webhook` | a Discord webhook: `.com/api/webhooks/` |
//! | `mailchimp-key` | a Mailchimp key: `-us` |
//! | `mailgun-key` | a Mailgun key: `key-` |
//! | `resend-key` | a Resend key: `re_` |
//! | `sendgrid-key` | a SendGrid key: `SG.` |
//! | `slack-token` | a Slack token: `xoxb-`, `xoxp-`, `xoxa-`, `xoxr-`, `xoxs-` … |
//! | `slack-webhook` | a Slack webhook: `hooks.slack.com/services/T`, `hooks.slack.com/workflows/T`, `hooks.slack.com/triggers/T` |
//! | `teams-webhook` | a Teams webhook: `.webhook.office.com/webhookb2/` |
//! | `telegram-token` | a Telegram bot token: `:AA` |
//! | `twilio-key` | a Twilio key: `SK` |
//! | `shopify-token` | a Shopify token: `shpat_`, `shpss_`, `shpca_`, `shppa_` |
//! | `square-token` | a Square token: `sq0atp-`, `sq0csp-` |
//! | `stripe-key` | a Stripe key: `sk_live_`, `rk_live_` |
//! | `stripe-webhook-secret` | a Stripe webhook secret: `whsec_` |
//! | `age-key` | an age secret key: `AGE-SECRET-KEY-1` |
//! | `airtable-token` | an Airtable token: `pat` |
//! | `databricks-token` | a Databricks token: `dapi` |
//! | `doppler-token` | a Doppler token: `dp.pt.`, `dp.st.`, `dp.sa.` |
//! | `figma-token` | a Figma token: `figd_` |
//! | `grafana-token` | a Grafana token: `glsa_`, `glc_eyJ` |
//! | `linear-key` | a Linear key: `lin_api_` |
//! | `newrelic-key` | a New Relic key: `NRAK-` |
//! | `notion-token` | a Notion token: `ntn_`, `secret_` |
//! | `onepassword-token` | a 1Password service token: `ops_eyJ` |
//! | `postman-key` | a Postman key: `PMAK-` |
//! | `sentry-token` | a Sentry token: `sntryu_`, `sntrys_eyJ` |
//! | `sourcegraph-token` | a Sourcegraph token: `sgp_` |
//! | `vault-token` | a HashiCorp Vault token: `hvs.`, `hvb.`, `hvr.` |
//! | `private-key` | blocks of PEM, OpenSSH and PGP with a private key and its body |
//! | `gcp-service-account` | the same as a Google service account's JSON has it |
//! | `jwt` | signed JSON web tokens whose header decodes |
//! | `url-password` | `scheme://user:password@host` |
//! | `aws-secret-key` | 40 digits of base64 behind a name like `aws_secret_access_key` |
//! | `heroku-api-key` | a UUID behind a name with `heroku`, or `HRKU-` |
//! | `basic-auth` | base64 of `user:password` behind `auth` or `Authorization: Basic` |
//! | `bearer-token` | what is drawn behind `Bearer` |
//! | `password`, `secret`, `token`, `key` | what is drawn behind a name that ends with such a word |
//!
//! A rule is added as a line here and one in the table of the tests. Its beginning should be rare in prose: the
//! four bytes from `needle_at` on, with case folded, are looked for everywhere, and a beginning of three bytes
//! is completed with each byte of the alphabet that follows. Sources are the vendors' own pages where they have
//! one, and what their secret scanners are known to look for.

use super::shape::{Alphabet, Piece, Proof};
use Piece::{Mark, Run};

/// A credential's shape.
pub(super) struct Rule {
    /// An id that never changes.
    pub(super) id: &'static str,
    /// Words for a person.
    pub(super) what: &'static str,
    /// Its beginnings, any of them.
    pub(super) starts: &'static [&'static str],
    /// Where in a beginning the needle is.
    pub(super) needle_at: usize,
    /// What stands directly before the beginning and belongs to it.
    pub(super) before: Option<(Alphabet, usize, usize)>,
    /// What follows the beginning.
    pub(super) rest: &'static [Piece],
    /// What must hold of what follows.
    pub(super) proof: Proof,
}

const fn rule(
    id: &'static str,
    what: &'static str,
    starts: &'static [&'static str],
    rest: &'static [Piece],
) -> Rule {
    Rule { id, what, starts, needle_at: 0, before: None, rest, proof: Proof::Random }
}

impl Rule {
    const fn proof(self, proof: Proof) -> Self {
        Self { proof, ..self }
    }

    const fn needle_at(self, needle_at: usize) -> Self {
        Self { needle_at, ..self }
    }

    const fn before(self, alphabet: Alphabet, min: usize, max: usize) -> Self {
        Self { before: Some((alphabet, min, max)), ..self }
    }
}

const HEX: Alphabet = Alphabet(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
const LETTER: Alphabet = Alphabet(|b| b.is_ascii_alphabetic());
const DIGIT: Alphabet = Alphabet(|b| b.is_ascii_digit());
const ALNUM: Alphabet = Alphabet(|b| b.is_ascii_alphanumeric());
const UPPER: Alphabet = Alphabet(|b| matches!(b, b'0'..=b'9' | b'A'..=b'Z'));
const LOWER: Alphabet = Alphabet(|b| matches!(b, b'0'..=b'9' | b'a'..=b'z'));
const BASE32: Alphabet = Alphabet(|b| matches!(b, b'2'..=b'7' | b'A'..=b'Z'));
const BECH32: Alphabet =
    Alphabet(|b| matches!(b, b'0' | b'2'..=b'9' | b'A' | b'C'..=b'H' | b'J'..=b'N' | b'P'..=b'Z'));
const BASE64: Alphabet = Alphabet(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/'));
const URL64: Alphabet = Alphabet(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
const DASHED: Alphabet = Alphabet(|b| b.is_ascii_alphanumeric() || b == b'-');
const PADDED: Alphabet =
    Alphabet(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'+' | b'/' | b'='));
const PERCENT: Alphabet = Alphabet(|b| b.is_ascii_alphanumeric() || matches!(b, b'%' | b'+' | b'/'));
const AZURE: Alphabet = Alphabet(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'~' | b'.' | b'-'));
/// The third and the fourth digit of a number of three digits in base64; the first two are among the beginnings.
const NUMBER_3: Alphabet =
    Alphabet(|b| matches!(b, b'A' | b'E' | b'I' | b'M' | b'Q' | b'U' | b'Y' | b'c' | b'g' | b'k'));
const NUMBER_4: Alphabet = Alphabet(|b| matches!(b, b'w'..=b'z' | b'0'..=b'5'));

/// All shapes.
pub(super) static RULES: &[Rule] = &[
    // Clouds.
    rule("aws-access-key", "an AWS access key", &["AKIA", "ASIA", "ABIA", "ACCA"], &[Run(BASE32, 16, 16)]),
    rule("aws-bedrock-key", "an AWS Bedrock key", &["ABSK"], &[Run(BASE64, 109, 269)]),
    rule("azure-storage-key", "an Azure storage key", &["AccountKey="], &[Run(BASE64, 86, 86), Mark("==")])
        .needle_at(5),
    rule("azure-sas", "an Azure shared access signature", &["&sig=", "?sig="], &[Run(PERCENT, 43, 80)])
        .needle_at(1),
    rule("azure-client-secret", "an Azure client secret", &["7Q~", "8Q~"], &[Run(AZURE, 31, 34)])
        .before(AZURE, 3, 3),
    rule("azure-devops-token", "an Azure DevOps token", &["AZDO"], &[Run(ALNUM, 4, 4)]).before(ALNUM, 76, 76),
    rule("alibaba-access-key", "an Alibaba Cloud access key", &["LTAI"], &[Run(ALNUM, 16, 20)]),
    rule(
        "cloudflare-origin-key",
        "a Cloudflare origin key",
        &["v1.0-"],
        &[Run(HEX, 24, 24), Mark("-"), Run(HEX, 146, 146)],
    ),
    rule(
        "digitalocean-token",
        "a DigitalOcean token",
        &["dop_v1_", "doo_v1_", "dor_v1_"],
        &[Run(HEX, 64, 64)],
    ),
    rule("fly-token", "a Fly.io token", &["fo1_"], &[Run(URL64, 43, 43)]),
    rule("fly-token", "a Fly.io token", &["fm2_", "fm1a_", "fm1r_"], &[Run(PADDED, 100, 4000)]),
    rule("google-api-key", "a Google API key", &["AIza"], &[Run(URL64, 35, 35)]),
    rule("google-oauth-secret", "a Google OAuth client secret", &["GOCSPX-"], &[Run(URL64, 28, 28)]),
    rule("google-oauth-token", "a Google OAuth token", &["ya29."], &[Run(URL64, 50, 2000)]),
    rule("heroku-api-key", "a Heroku API key", &["HRKU-"], &[Run(URL64, 36, 64)]),
    rule("netlify-token", "a Netlify token", &["nfp_"], &[Run(ALNUM, 36, 40)]),
    rule(
        "planetscale-secret",
        "a PlanetScale secret",
        &["pscale_tkn_", "pscale_pw_", "pscale_oauth_"],
        &[Run(URL64, 32, 64)],
    ),
    rule("supabase-secret", "a Supabase secret", &["sbp_"], &[Run(HEX, 40, 40)]),
    rule("supabase-secret", "a Supabase secret", &["sb_secret_"], &[Run(URL64, 22, 48)]),
    rule("tailscale-key", "a Tailscale key", &["tskey-"], &[Run(DASHED, 28, 90)]),
    rule("terraform-token", "a Terraform Cloud token", &[".atlasv1."], &[Run(URL64, 60, 70)])
        .needle_at(1)
        .before(ALNUM, 14, 14),
    rule("pulumi-token", "a Pulumi token", &["pul-"], &[Run(HEX, 40, 40)]),
    // Forges and registries of packages.
    rule("atlassian-token", "an Atlassian token", &["ATATT3", "ATCTT3"], &[Run(PADDED, 100, 250)]),
    rule("bitbucket-password", "a Bitbucket app password", &["ATBB"], &[Run(ALNUM, 32, 32)]),
    rule("cratesio-token", "a token of the Cargo registry", &["cio"], &[Run(ALNUM, 32, 32)]),
    rule("docker-token", "a Docker Hub token", &["dckr_pat_", "dckr_oat_"], &[Run(URL64, 27, 32)]),
    rule("github-token", "a GitHub token", &["ghp_", "gho_", "ghu_", "ghr_", "ghs_"], &[Run(ALNUM, 36, 36)])
        .proof(Proof::Crc32),
    rule("github-token", "a GitHub token", &["ghr_", "ghs_", "ghu_"], &[Run(ALNUM, 70, 400)]),
    rule(
        "github-token",
        "a GitHub token",
        &["github_pat_"],
        &[Run(ALNUM, 22, 22), Mark("_"), Run(ALNUM, 59, 59)],
    )
    .needle_at(5),
    // Of two rules that hold, the first counts: the longer shape stands first.
    rule(
        "gitlab-token",
        "a GitLab token",
        &["glpat-", "gldt-", "glrt-"],
        &[Run(URL64, 27, 300), Mark("."), Run(LOWER, 2, 2), Mark("."), Run(LOWER, 7, 9)],
    ),
    rule(
        "gitlab-token",
        "a GitLab token",
        &[
            "glpat-", "gldt-", "glrt-", "glptt-", "glft-", "glsoat-", "glimt-", "glffct-", "gloas-",
            "glagent-",
        ],
        &[Run(URL64, 20, 64)],
    ),
    rule("gitlab-token", "a GitLab token", &["glcbt-"], &[Run(ALNUM, 1, 5), Mark("_"), Run(URL64, 20, 20)]),
    rule("npm-token", "an npm token", &["npm_"], &[Run(ALNUM, 36, 36)]),
    rule("nuget-key", "a NuGet key", &["oy2"], &[Run(LOWER, 43, 43)]),
    rule(
        "pypi-token",
        "a PyPI token",
        &["pypi-AgEIcHlwaS5vcmc", "pypi-AgENdGVzdC5weXBpLm9yZ"],
        &[Run(URL64, 50, 2000)],
    ),
    rule("rubygems-key", "a RubyGems key", &["rubygems_"], &[Run(HEX, 48, 48)]),
    // Vendors of models.
    rule("anthropic-key", "an Anthropic key", &["sk-ant-"], &[Run(URL64, 60, 140)]),
    rule("cerebras-key", "a Cerebras key", &["csk-"], &[Run(LOWER, 48, 48)]),
    rule("e2b-key", "an E2B key", &["e2b_"], &[Run(HEX, 40, 40)]),
    rule("elevenlabs-key", "an ElevenLabs key", &["sk_"], &[Run(HEX, 48, 48)]),
    rule("groq-key", "a Groq key", &["gsk_"], &[Run(ALNUM, 52, 52)]),
    rule("huggingface-token", "a Hugging Face token", &["hf_", "api_org_"], &[Run(LETTER, 34, 34)]),
    rule("jina-key", "a Jina key", &["jina_"], &[Run(ALNUM, 50, 70)]),
    rule("langfuse-key", "a Langfuse key", &["sk-lf-"], &[Run(DASHED, 36, 36)]),
    rule(
        "langsmith-key",
        "a LangSmith key",
        &["lsv2_pt_", "lsv2_sk_"],
        &[Run(HEX, 32, 32), Mark("_"), Run(HEX, 10, 10)],
    ),
    rule("nvidia-key", "an NVIDIA key", &["nvapi-"], &[Run(URL64, 60, 70)]),
    rule("openai-key", "an OpenAI key", &["sk-"], &[Run(URL64, 40, 220)]).proof(Proof::OpenAi),
    rule("model-key", "a key of a model vendor", &["sk-"], &[Run(ALNUM, 32, 64)]),
    rule("openrouter-key", "an OpenRouter key", &["sk-or-v1-"], &[Run(HEX, 64, 64)]),
    rule("perplexity-key", "a Perplexity key", &["pplx-"], &[Run(ALNUM, 48, 48)]),
    rule("pinecone-key", "a Pinecone key", &["pcsk_"], &[Run(URL64, 60, 80)]),
    rule("replicate-token", "a Replicate token", &["r8_"], &[Run(ALNUM, 37, 37)]),
    rule("tavily-key", "a Tavily key", &["tvly-"], &[Run(URL64, 32, 48)]),
    rule("xai-key", "an xAI key", &["xai-"], &[Run(ALNUM, 80, 80)]),
    // Messages and mail.
    rule("brevo-key", "a Brevo key", &["xkeysib-"], &[Run(HEX, 64, 64), Mark("-"), Run(ALNUM, 16, 16)]),
    rule(
        "discord-token",
        "a Discord bot token",
        &["MD", "MT", "Mj", "Mz", "ND", "NT", "Nj", "Nz", "OD", "OT"],
        &[
            Run(NUMBER_3, 1, 1),
            Run(NUMBER_4, 1, 1),
            Run(URL64, 19, 24),
            Mark("."),
            Run(URL64, 6, 7),
            Mark("."),
            Run(URL64, 27, 45),
        ],
    ),
    rule(
        "discord-webhook",
        "a Discord webhook",
        &[".com/api/webhooks/"],
        &[Run(DIGIT, 17, 20), Mark("/"), Run(URL64, 60, 80)],
    )
    .needle_at(8)
    .before(LETTER, 7, 10),
    rule("mailchimp-key", "a Mailchimp key", &["-us"], &[Run(DIGIT, 1, 2)]).before(HEX, 32, 32),
    rule("mailgun-key", "a Mailgun key", &["key-"], &[Run(HEX, 32, 32)]),
    rule("resend-key", "a Resend key", &["re_"], &[Run(ALNUM, 8, 8), Mark("_"), Run(ALNUM, 24, 24)]),
    rule("sendgrid-key", "a SendGrid key", &["SG."], &[Run(URL64, 22, 22), Mark("."), Run(URL64, 43, 43)]),
    rule(
        "slack-token",
        "a Slack token",
        &["xoxb-", "xoxp-", "xoxa-", "xoxr-", "xoxs-", "xoxe-", "xoxo-", "xoxc-", "xoxd-"],
        &[Run(DASHED, 24, 260)],
    ),
    rule("slack-token", "a Slack token", &["xapp-"], &[Run(DIGIT, 1, 1), Mark("-"), Run(DASHED, 40, 120)]),
    rule(
        "slack-webhook",
        "a Slack webhook",
        &["hooks.slack.com/services/T", "hooks.slack.com/workflows/T", "hooks.slack.com/triggers/T"],
        &[Run(BASE64, 36, 56)],
    )
    .needle_at(6),
    rule(
        "teams-webhook",
        "a Teams webhook",
        &[".webhook.office.com/webhookb2/"],
        &[Run(DASHED, 36, 36), Mark("@"), Run(DASHED, 36, 36)],
    )
    .needle_at(9),
    rule("telegram-token", "a Telegram bot token", &[":AA"], &[Run(URL64, 32, 33)]).before(DIGIT, 8, 10),
    rule("twilio-key", "a Twilio key", &["SK"], &[Run(HEX, 32, 32)]),
    // Money and shops.
    rule("shopify-token", "a Shopify token", &["shpat_", "shpss_", "shpca_", "shppa_"], &[Run(HEX, 32, 32)]),
    rule("square-token", "a Square token", &["sq0atp-", "sq0csp-"], &[Run(URL64, 22, 43)]),
    rule("stripe-key", "a Stripe key", &["sk_live_", "rk_live_"], &[Run(ALNUM, 24, 120)]),
    rule("stripe-webhook-secret", "a Stripe webhook secret", &["whsec_"], &[Run(PADDED, 32, 64)]),
    // Tools.
    rule("age-key", "an age secret key", &["AGE-SECRET-KEY-1"], &[Run(BECH32, 58, 58)])
        .needle_at(4)
        .proof(Proof::Bech32),
    rule("airtable-token", "an Airtable token", &["pat"], &[Run(ALNUM, 14, 14), Mark("."), Run(HEX, 64, 64)]),
    rule("databricks-token", "a Databricks token", &["dapi"], &[Run(HEX, 32, 32)]),
    rule("doppler-token", "a Doppler token", &["dp.pt.", "dp.st.", "dp.sa."], &[Run(ALNUM, 40, 44)]),
    rule("figma-token", "a Figma token", &["figd_"], &[Run(URL64, 36, 48)]),
    rule("grafana-token", "a Grafana token", &["glsa_"], &[Run(ALNUM, 32, 32), Mark("_"), Run(HEX, 8, 8)]),
    rule("grafana-token", "a Grafana token", &["glc_eyJ"], &[Run(PADDED, 32, 400)]),
    rule("linear-key", "a Linear key", &["lin_api_"], &[Run(ALNUM, 40, 40)]),
    rule("newrelic-key", "a New Relic key", &["NRAK-"], &[Run(UPPER, 27, 27)]),
    rule("notion-token", "a Notion token", &["ntn_"], &[Run(ALNUM, 44, 50)]),
    rule("notion-token", "a Notion token", &["secret_"], &[Run(ALNUM, 43, 43)]),
    rule("onepassword-token", "a 1Password service token", &["ops_eyJ"], &[Run(PADDED, 250, 4000)]),
    rule("postman-key", "a Postman key", &["PMAK-"], &[Run(HEX, 24, 24), Mark("-"), Run(HEX, 34, 34)]),
    rule("sentry-token", "a Sentry token", &["sntryu_"], &[Run(HEX, 64, 64)]),
    rule("sentry-token", "a Sentry token", &["sntrys_eyJ"], &[Run(PADDED, 80, 400)]),
    rule("sourcegraph-token", "a Sourcegraph token", &["sgp_"], &[Run(HEX, 40, 40)]),
    rule("vault-token", "a HashiCorp Vault token", &["hvs.", "hvb.", "hvr."], &[Run(URL64, 24, 300)]),
];
