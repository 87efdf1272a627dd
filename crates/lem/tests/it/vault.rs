//! The client most Python programs have for Vault, `hvac`, against a real `lem up`.

use crate::clients::{client, output};
use crate::mail::{facts, mail};
use crate::up::Up;
use std::path::Path;
use std::process::Command;

#[test]
fn hvac_finds_what_it_knows() {
    let Some(python) = client("python") else { return };
    if !Command::new(&python).args(["-c", "import hvac"]).status().unwrap().success() {
        let missing = "hvac is not installed; scripts/setup.sh test installs it";
        assert!(std::env::var("CI").is_err(), "{missing}");
        eprintln!("SKIPPED: {missing}");
        return;
    }
    // A service holds a lease, so that there is one to look at.
    let (repository, _port) = mail(", secrets: {PASSWORD: team/mail#password}", "");
    repository.lem(&["secret", "set", "team/mail", "password=of-the-service"]).code(0);
    let up = Up::start(&repository);
    facts(&up, "service.deployed", 1);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/vault_client.py");
    let token = repository.root.join(".lem/token");
    let said = output(Command::new(python).arg(script).arg(up.url()).arg(token));
    assert_eq!(said.trim(), "fine");
}
