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
//! | `google-oauth-refresh-token` | a Google OAuth refresh token: `1//0` |
//! | `openshift-token`, `scalingo-token`, `vercel-token`, `yandex-key` | `sha256~`, `tk-us-`, `vercel_blob_rw_`, `AQVN` |
//! | `harness-token`, `infracost-key`, `prefect-key`, `octopus-key` | `pat.`, `sat.`, `ico-`, `pnu_`, `API-` |
//! | `dynatrace-token`, `artifactory-key`, `clojars-token` | `dt0c01.`, `AKCp`, `cmVmd`, `CLOJARS_` |
//! | `gitlab-runner-token`, `gitlab-session`, `readme-key` | `GR1348941`, `_gitlab_session=`, `rdme_` |
//! | `stripe-test-key`, `duffel-token`, `easypost-key` | `sk_test_`, `rk_test_`, `duffel_`, `EZAK`, `EZTK` |
//! | `flutterwave-key`, `gocardless-token`, `lob-key` | `FLWSECK`, `live_` |
//! | `plaid-token`, `shippo-token`, `settlemint-token` | `access-production-`, `shippo_live_`, `sm_pat_` |
//! | `onepassword-key`, `adobe-secret`, `authress-key` | `A3-`, `p8e-`, `sc_`, `ext_` |
//! | `clickhouse-key`, `defined-key`, `dropbox-token` | `4b1d`, `dnkey-`, `sl.` |
//! | `facebook-token`, `frameio-token`, `grafana-key` | `EAAM`, `EAAC`, `fio-u-`, `eyJrIjoi` |
//! | `hubspot-token`, `intra42-secret`, `mapbox-token` | `pat-na1-`, `s-s4t2ud-`, `sk.eyJ1` |
//! | `maxmind-key`, `putty-key`, `typeform-token` | `_mmk`, `Private-Lines:`, `tfp_` |
//! | `private-key-base64` | base64 of a PEM or OpenSSH block with a private key |
//! | `command-login` | `curl -u user:password` |
//! | `netrc-password`, `pgpass-password` | what stands there in `.netrc` and `.pgpass` |
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
const ANY_HEX: Alphabet = Alphabet(|b| b.is_ascii_hexdigit());
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
const EQUALS64: Alphabet = Alphabet(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'='));
const AZURE: Alphabet = Alphabet(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'~' | b'.' | b'-'));
/// The third and the fourth digit of a number of three digits in base64; the first two are among the beginnings.
const NUMBER_3: Alphabet =
    Alphabet(|b| matches!(b, b'A' | b'E' | b'I' | b'M' | b'Q' | b'U' | b'Y' | b'c' | b'g' | b'k'));
const NUMBER_4: Alphabet = Alphabet(|b| matches!(b, b'w'..=b'z' | b'0'..=b'5'));

const MAXMIND: Alphabet = Alphabet(|b| b.is_ascii_alphanumeric() || b == b'_');
/// A UUID as it is written mostly.
const UUID: &[Piece] = &[
    Run(HEX, 8, 8),
    Mark("-"),
    Run(HEX, 4, 4),
    Mark("-"),
    Run(HEX, 4, 4),
    Mark("-"),
    Run(HEX, 4, 4),
    Mark("-"),
    Run(HEX, 12, 12),
];

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
    rule("google-oauth-refresh-token", "a Google OAuth refresh token", &["1//0"], &[Run(URL64, 60, 110)]),
    rule("openshift-token", "an OpenShift token", &["sha256~"], &[Run(URL64, 43, 43)]),
    rule("scalingo-token", "a Scalingo token", &["tk-us-"], &[Run(URL64, 48, 48)]),
    rule("vercel-token", "a Vercel token", &["vercel_blob_rw_"], &[Run(URL64, 30, 80)]),
    rule("yandex-key", "a Yandex Cloud key", &["AQVN"], &[Run(URL64, 35, 38)]),
    rule(
        "harness-token",
        "a Harness token",
        &["pat.", "sat."],
        &[Run(URL64, 22, 22), Mark("."), Run(ALNUM, 24, 24), Mark("."), Run(ALNUM, 20, 20)],
    ),
    rule("infracost-key", "an Infracost key", &["ico-"], &[Run(ALNUM, 32, 32)]),
    rule("prefect-key", "a Prefect key", &["pnu_"], &[Run(ALNUM, 36, 36)]),
    rule("octopus-key", "an Octopus Deploy key", &["API-"], &[Run(UPPER, 26, 26)]),
    rule(
        "dynatrace-token",
        "a Dynatrace token",
        &["dt0c01."],
        &[Run(ALNUM, 24, 24), Mark("."), Run(ALNUM, 64, 64)],
    ),
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
    rule("artifactory-key", "an Artifactory key", &["AKCp"], &[Run(ALNUM, 69, 69)]),
    rule("artifactory-key", "an Artifactory reference token", &["cmVmd"], &[Run(ALNUM, 59, 59)]),
    rule("clojars-token", "a Clojars token", &["CLOJARS_"], &[Run(ALNUM, 60, 60)]),
    rule(
        "gitlab-runner-token",
        "a registration token of GitLab runners",
        &["GR1348941"],
        &[Run(URL64, 20, 20)],
    ),
    rule("gitlab-session", "a GitLab session", &["_gitlab_session="], &[Run(LOWER, 32, 32)]),
    rule("readme-key", "a ReadMe key", &["rdme_"], &[Run(LOWER, 70, 70)]),
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
    rule("square-token", "a Square token", &["EAAA"], &[Run(URL64, 60, 60)]),
    rule("stripe-key", "a Stripe key", &["sk_live_", "rk_live_"], &[Run(ALNUM, 24, 120)]),
    rule("stripe-test-key", "a Stripe test key", &["sk_test_", "rk_test_"], &[Run(ALNUM, 24, 120)]),
    rule("duffel-token", "a Duffel token", &["duffel_test_", "duffel_live_"], &[Run(EQUALS64, 43, 43)]),
    rule("easypost-key", "an EasyPost key", &["EZAK", "EZTK"], &[Run(ALNUM, 54, 54)]),
    rule(
        "flutterwave-key",
        "a Flutterwave secret key",
        &["FLWSECK-", "FLWSECK_TEST-"],
        &[Run(HEX, 32, 32), Mark("-X")],
    ),
    rule("flutterwave-key", "a Flutterwave encryption key", &["FLWSECK_TEST"], &[Run(HEX, 12, 12)]),
    rule("gocardless-token", "a GoCardless token", &["live_"], &[Run(EQUALS64, 40, 40)]),
    rule("lob-key", "a Lob key", &["live_"], &[Run(HEX, 35, 35)]),
    rule(
        "plaid-token",
        "a Plaid access token",
        &["access-sandbox-", "access-development-", "access-production-"],
        UUID,
    ),
    rule("shippo-token", "a Shippo token", &["shippo_live_", "shippo_test_"], &[Run(ANY_HEX, 40, 40)]),
    rule("settlemint-token", "a SettleMint token", &["sm_pat_", "sm_aat_", "sm_sat_"], &[Run(ALNUM, 16, 16)]),
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
    rule(
        "onepassword-key",
        "a 1Password secret key",
        &["A3-"],
        &[
            Run(UPPER, 6, 6),
            Mark("-"),
            Run(UPPER, 6, 6),
            Mark("-"),
            Run(UPPER, 5, 5),
            Mark("-"),
            Run(UPPER, 5, 5),
            Mark("-"),
            Run(UPPER, 5, 5),
            Mark("-"),
            Run(UPPER, 5, 5),
        ],
    ),
    rule(
        "onepassword-key",
        "a 1Password secret key",
        &["A3-"],
        &[
            Run(UPPER, 6, 6),
            Mark("-"),
            Run(UPPER, 11, 11),
            Mark("-"),
            Run(UPPER, 5, 5),
            Mark("-"),
            Run(UPPER, 5, 5),
            Mark("-"),
            Run(UPPER, 5, 5),
        ],
    ),
    rule("adobe-secret", "an Adobe client secret", &["p8e-"], &[Run(ALNUM, 32, 32)]),
    rule(
        "authress-key",
        "an Authress service key",
        &["sc_", "ext_", "scauth_", "authress_"],
        &[
            Run(LOWER, 5, 30),
            Mark("."),
            Run(LOWER, 4, 6),
            Mark(".acc_"),
            Run(DASHED, 10, 32),
            Mark("."),
            Run(PADDED, 30, 120),
        ],
    ),
    rule("clickhouse-key", "a ClickHouse Cloud key", &["4b1d"], &[Run(ALNUM, 38, 38)]),
    rule(
        "defined-key",
        "a Defined Networking key",
        &["dnkey-"],
        &[Run(LOWER, 26, 26), Mark("-"), Run(LOWER, 52, 52)],
    ),
    rule("dropbox-token", "a Dropbox token", &["sl."], &[Run(EQUALS64, 130, 400)]),
    rule("dropbox-token", "a Dropbox token", &["AAAAAAAAAA"], &[Run(URL64, 43, 43)]).before(LOWER, 11, 11),
    rule("facebook-token", "a Facebook token", &["EAAM", "EAAC"], &[Run(ALNUM, 100, 400)]),
    rule("frameio-token", "a Frame.io token", &["fio-u-"], &[Run(EQUALS64, 64, 64)]),
    rule("grafana-key", "a Grafana key of the older kind", &["eyJrIjoi"], &[Run(BASE64, 70, 400)]),
    rule("hubspot-token", "a HubSpot token", &["pat-na1-", "pat-na2-", "pat-eu1-", "pat-ap1-"], UUID),
    rule("intra42-secret", "an Intra 42 secret", &["s-s4t2ud-", "s-s4t2af-"], &[Run(HEX, 64, 64)]),
    rule(
        "mapbox-token",
        "a Mapbox secret token",
        &["sk.eyJ1"],
        &[Run(URL64, 40, 200), Mark("."), Run(URL64, 22, 22)],
    ),
    rule("maxmind-key", "a MaxMind key", &["_mmk"], &[]).before(MAXMIND, 36, 36),
    rule("newrelic-key", "a New Relic key", &["NRII-"], &[Run(DASHED, 32, 32)]),
    rule(
        "putty-key",
        "a PuTTY private key",
        &["Private-Lines: "],
        &[Run(DIGIT, 1, 3), Mark("\n"), Run(BASE64, 40, 64)],
    )
    .needle_at(7),
    rule(
        "putty-key",
        "a PuTTY private key",
        &["Private-Lines: "],
        &[Run(DIGIT, 1, 3), Mark("\r\n"), Run(BASE64, 40, 64)],
    )
    .needle_at(7),
    rule(
        "sourcegraph-token",
        "a Sourcegraph token",
        &["sgp_"],
        &[Run(ALNUM, 5, 16), Mark("_"), Run(HEX, 40, 40)],
    ),
    rule("sourcegraph-token", "a Sourcegraph token", &["slk_"], &[Run(HEX, 64, 64)]),
    rule("typeform-token", "a Typeform token", &["tfp_"], &[Run(EQUALS64, 40, 64)]),
    // Base64 of a block with a private key, as Kubernetes keeps them: PKCS 8, RSA, EC, OpenSSH.
    rule(
        "private-key-base64",
        "a private key in base64",
        &[
            "LS0tLS1CRUdJTiBQUklWQVRFIEtFW",
            "LS0tLS1CRUdJTiBSU0EgUFJJVkFURSBLRV",
            "LS0tLS1CRUdJTiBFQyBQUklWQVRFIEtFW",
            "LS0tLS1CRUdJTiBPUEVOU1NIIFBSSVZBVEUgS0VZ",
        ],
        &[Run(PADDED, 60, 8000)],
    ),
];
