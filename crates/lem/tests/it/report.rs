//! The reports of the six teams, in every form, from a ledger with an apply in it.

use crate::repository::Repository;

const TEAMS: [&str; 6] = ["engineering", "qa", "product", "support", "security", "finance"];

#[test]
fn six_teams_have_reports_in_four_forms() {
    let repository = Repository::empty();
    assert!(repository.lem(&["report", "qa"]).code(2).err.contains("there is no ledger"));
    assert!(repository.lem(&["report", "sales"]).code(2).err.contains("sales"));
    repository.write("main.tf", "resource \"random_password\" \"p\" {\n  length = 8\n}\n");
    repository.write("lem.yaml", "secure: {gate: required, severity: medium}\n");
    repository.lem(&["apply", "--auto-approve", "--override-policy", "an old device"]).code(0);

    for team in TEAMS {
        let of = |format: &str| repository.lem(&["report", team, "--format", format]).code(0).out.clone();
        let (markdown, html, csv) = (of("md"), of("html"), of("csv"));
        assert!(markdown.starts_with("# "), "{team}: {markdown}");
        assert!(html.trim_start().to_lowercase().starts_with("<!doctype html"), "{team}: {html}");
        assert!(csv.lines().count() > 1, "{team}: {csv}");
        let document = repository.lem(&["report", team, "-o", "json"]).code(0).json();
        assert_eq!(document["team"], team, "{document}");
        assert!(document["sections"].as_array().is_some_and(|s| !s.is_empty()), "{document}");
        for section in document["sections"].as_array().unwrap() {
            let title = section["title"].as_str().unwrap();
            assert!(markdown.contains(title) && html.contains(title), "{team}: {title}");
        }
        repository.lem(&["report", team, "--into", "report.md"]).code(0);
        assert!(std::fs::read_to_string(repository.root.join("report.md")).unwrap().starts_with("# "));
    }
    let security = repository.lem(&["report", "security"]).code(0).out.clone();
    assert!(security.contains("an old device"), "who went past a gate is told to security: {security}");
}
