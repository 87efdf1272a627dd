//! The rules about pipeline files.

use crate::{Found, Identity};
use lem_engine_yaml::Node;
use lem_model::finding::FindingSeverity::{Critical, High, Info, Low, Medium};
use lem_model::finding::{FindingSeverity, Scanner, Subject};

/// A rule: id, aliases, severity, what is wrong, what to do.
pub(super) type Rule = (&'static str, &'static [&'static str], FindingSeverity, &'static str, &'static str);

macro_rules! rules {
    ($($name:ident = $id:literal, [$($alias:literal),*], $severity:ident, $title:literal, $fix:literal;)*) => {
        $(pub(super) const $name: Rule = ($id, &[$($alias),*], $severity, $title, $fix);)*
        /// Every rule, for counting and for documentation.
        pub const RULES: &[Rule] = &[$($name),*];
    };
}

rules! {
    UNPINNED_USES = "LEM-GHA-0001", ["unpinned-uses"], Medium,
        "the action is named by a tag or branch that its owner can move", "name the full commit: owner/action@<40 digits>";
    TEMPLATE_INJECTION = "LEM-GHA-0002", ["template-injection", "CKV_GHA_2"], Critical,
        "text that a stranger writes becomes part of the script", "pass it through env: and use the variable in quotes";
    EXCESSIVE_PERMISSIONS = "LEM-GHA-0003", ["excessive-permissions", "CKV2_GHA_1"], Medium,
        "the token may do more than it must", "set permissions: {} for the workflow and grant single scopes per job";
    DANGEROUS_TRIGGERS = "LEM-GHA-0004", ["dangerous-triggers"], High,
        "the trigger runs with secrets on events that strangers cause", "use pull_request, or split what needs secrets off";
    UNTRUSTED_CHECKOUT = "LEM-GHA-0005", ["untrusted-checkout"], Critical,
        "code of a stranger's pull request is checked out where secrets are", "check out the base, or use pull_request";
    SECRETS_INHERIT = "LEM-GHA-0006", ["secrets-inherit"], Medium,
        "the called workflow gets every secret", "pass the secrets it needs by name";
    ARTIPACKED = "LEM-GHA-0007", ["artipacked"], Medium,
        "the checkout leaves its token in .git/config", "set persist-credentials: false";
    INSECURE_COMMANDS = "LEM-GHA-0008", ["insecure-commands", "CKV_GHA_1"], High,
        "output of programs may set variables and paths", "drop ACTIONS_ALLOW_UNSECURE_COMMANDS";
    SECRET_IN_CURL = "LEM-GHA-0009", ["CKV_GHA_3"], High,
        "a secret is sent with curl", "check where it goes, and pass it through a file";
    CONTAINER_CREDENTIALS = "LEM-GHA-0010", ["hardcoded-container-credentials"], Critical,
        "the password of a registry is written in the file", "use a secret";
    SELF_HOSTED = "LEM-GHA-0011", ["self-hosted-runner"], Info,
        "the job runs on a machine that keeps what earlier jobs left", "use runners that live for one job";
    UNPINNED_IMAGES = "LEM-GHA-0012", ["unpinned-images"], Low,
        "the image is not named by digest", "append the digest: image:tag@sha256:...";
    GITHUB_ENV = "LEM-GHA-0013", ["github-env"], High,
        "a step writes GITHUB_ENV or GITHUB_PATH on an event that strangers cause", "use step outputs";
    ALL_SECRETS = "LEM-GHA-0014", ["overprovisioned-secrets"], High,
        "every secret is written out at once", "name the secrets that are needed";
    UNREDACTED_SECRETS = "LEM-GHA-0015", ["unredacted-secrets"], Medium,
        "a part of a secret is not masked in the log", "store the parts as secrets of their own";
    BOT_CONDITIONS = "LEM-GHA-0016", ["bot-conditions"], High,
        "whoever pushed last decides, and that can be made a bot", "compare github.event.pull_request.user.login";
    UNSOUND_CONDITION = "LEM-GHA-0017", ["unsound-condition"], High,
        "the condition is text around an expression, which is always true", "write the expression alone";
    GITLAB_CURL = "LEM-GITLAB-0001", ["CKV_GITLABCI_1"], High,
        "a variable of the job's identity is sent with curl", "use the API with a token of its own";
    GITLAB_REMOTE = "LEM-GITLAB-0002", ["unpinned-include"], High,
        "the included file may change under you", "include it from a project with ref: a full commit";
    GITLAB_IMAGE = "LEM-GITLAB-0003", ["unpinned-images"], Low,
        "the image is not named by digest", "append the digest: image:tag@sha256:...";
}

/// A finding at a node; `within` is the stretch a comment may stand in.
pub(super) fn found(rule: Rule, file: &str, at: &Node, within: &Node, discriminator: &str) -> Found {
    let (id, aliases, severity, title, fix) = rule;
    // The end mark of a block stands at the start of what follows it.
    let last = if within.end.column <= 1 && within.end.line > within.mark.line {
        within.end.line - 1
    } else {
        within.end.line
    };
    Found {
        rule: id.into(),
        aliases: aliases.iter().map(|a| (*a).to_owned()).collect(),
        scanner: Scanner::Pipeline,
        severity,
        unscored: false,
        title: title.into(),
        subject: Subject::File { path: file.to_owned() },
        place: at.place(file),
        end_line: last.max(at.mark.line),
        fix: Some(fix.into()),
        references: vec![],
        identity: Identity {
            kind: "file",
            key: file.to_owned(),
            discriminator: discriminator.split_whitespace().collect::<Vec<_>>().join(" "),
        },
        skipped: None,
    }
}
