//! Shells of `run`.

/// A shell as a command line, and the extension of the script's file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shell {
    pub argv: Vec<String>,
    pub extension: &'static str,
}

/// Which shell a name or template means; `None` is the default.
pub(super) fn shell(name: Option<&str>) -> Result<Shell, String> {
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let of = |text: &str, extension| Ok(Shell { argv: words(text), extension });
    match name {
        None | Some("") => of("bash -e {0}", "sh"),
        Some("bash") => of("bash --noprofile --norc -eo pipefail {0}", "sh"),
        Some("sh") => of("sh -e {0}", "sh"),
        Some("python") => of("python {0}", "py"),
        Some("pwsh") => of("pwsh -command . '{0}'", "ps1"),
        Some(windows @ ("cmd" | "powershell")) => Err(format!("shell {windows} exists only on Windows")),
        Some(template) if template.contains("{0}") => of(template, ""),
        Some(other) => Err(format!("shell \"{other}\" is not known and has no {{0}} for the script")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shells_are_those_of_the_reference() {
        for (name, line) in [
            (None, "bash -e {0}"),
            (Some("bash"), "bash --noprofile --norc -eo pipefail {0}"),
            (Some("sh"), "sh -e {0}"),
            (Some("python"), "python {0}"),
            (Some("perl -w {0}"), "perl -w {0}"),
        ] {
            assert_eq!(shell(name).map(|s| s.argv.join(" ")), Ok(line.to_owned()));
        }
        assert!(shell(Some("cmd")).is_err_and(|e| e.contains("Windows")));
        assert!(shell(Some("zsh")).is_err());
    }
}
