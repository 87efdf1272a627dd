//! Lockfiles, advisories and bills of materials.

use jiff::civil::Date;
use lem_engine_scan::sbom::{About, cyclonedx};
use lem_engine_scan::sca::lock::{kind, read, unread};
use lem_engine_scan::sca::osv::{Advisory, Bound, Score};
use lem_engine_scan::sca::{Bundle, Database, Ecosystem, Judged, Package, affects, judge};
use lem_model::finding::FindingSeverity;
use std::path::Path;

fn packages(file: &str, text: &str) -> Vec<String> {
    let lock = read(kind(file).unwrap(), file, text);
    assert_eq!(lock.diagnostics, [], "{file}");
    let show = |p: &Package| {
        let (dev, own) = (if p.dev { " dev" } else { "" }, if p.registry { "" } else { " own" });
        format!("{}:{} {}{dev}{own}", p.line, p.name, p.version)
    };
    lock.packages.iter().map(show).collect()
}

#[test]
fn each_format_gives_its_packages_with_lines() {
    let cases: &[(&str, &str, &[&str])] = &[
        (
            "Cargo.lock",
            "version = 4\n\n[[package]]\nname = \"a\"\nversion = \"0.1.0\"\n\n[[package]]\nname = \"b\"\nversion = \"1.0.0\"\nsource = \"registry+https://github.com/rust-lang/crates.io-index\"\n",
            &["4:a 0.1.0 own", "8:b 1.0.0"],
        ),
        (
            "package-lock.json",
            "{\n \"lockfileVersion\": 3,\n \"packages\": {\n  \"\": {},\n  \"node_modules/@a/b\": {\"version\": \"1.0.0\"},\n  \"node_modules/@a/b/node_modules/c\": {\"version\": \"2.0.0\", \"dev\": true},\n  \"node_modules/l\": {\"link\": true}\n }\n}",
            &["5:@a/b 1.0.0", "6:c 2.0.0 dev"],
        ),
        (
            "package-lock.json",
            "{\n \"dependencies\": {\n  \"a\": {\"version\": \"1.0.0\",\n   \"dependencies\": {\n    \"b\": {\"version\": \"2.0.0\"}}}}}",
            &["3:a 1.0.0", "5:b 2.0.0"],
        ),
        (
            "pnpm-lock.yaml",
            "lockfileVersion: '6.0'\npackages:\n  /a@1.0.0(b@2.0.0):\n    dev: true\n  /@s/c@3.0.0:\n    dev: false\n",
            &["3:a 1.0.0 dev", "5:@s/c 3.0.0"],
        ),
        ("pnpm-lock.yaml", "lockfileVersion: 5.4\npackages:\n  /@s/c/3.0.0_x@1:\n    dev: false\n", &["3:@s/c 3.0.0"]),
        (
            "yarn.lock",
            "# yarn lockfile v1\n\n\"@a/b@^1.0.0\", \"@a/b@^1.1.0\":\n  version \"1.2.0\"\n  dependencies:\n    version \"9\"\n\nc@^2:\n  version \"2.0.1\"\n",
            &["3:@a/b 1.2.0", "8:c 2.0.1"],
        ),
        (
            "yarn.lock",
            "__metadata:\n  version: 8\n\n\"a@npm:^1.0.0\":\n  version: 1.0.3\n  resolution: \"a@npm:1.0.3\"\n\n\"me@workspace:.\":\n  version: 0.0.0\n",
            &["4:a 1.0.3"],
        ),
        (
            "requirements.txt",
            "-r other.txt\na==1.0 \\\n    --hash=sha256:0\nB[x]==2.0 ; python_version > '3'\n",
            &["2:a 1.0", "4:B 2.0"],
        ),
        (
            "poetry.lock",
            "[[package]]\nname = \"a\"\nversion = \"1.0\"\n\n[[package]]\nname = \"b\"\nversion = \"2.0\"\ngroups = [\"test\"]\n\n[package.source]\ntype = \"git\"\n",
            &["2:a 1.0", "6:b 2.0 dev own"],
        ),
        (
            "uv.lock",
            "version = 1\n\n[[package]]\nname = \"a\"\nversion = \"1.0\"\nsource = { registry = \"x\" }\n\n[[package]]\nname = \"me\"\nversion = \"0\"\nsource = { editable = \".\" }\n",
            &["4:a 1.0", "9:me 0 own"],
        ),
        (
            "Pipfile.lock",
            "{\n \"default\": {\n  \"a\": {\"version\": \"==1.0\"}\n },\n \"develop\": {\n  \"b\": {\"version\": \"==2.0\"}\n }\n}",
            &["3:a 1.0", "6:b 2.0 dev"],
        ),
        (
            "go.mod",
            "module m\n\ngo 1.21\n\nrequire a.b/c v1.0.0\n\nrequire (\n\td.e/f v2.0.0+incompatible // indirect\n\tg.h/i v1.0.0\n)\n\nreplace g.h/i => ./i\n",
            &["5:a.b/c v1.0.0", "8:d.e/f v2.0.0+incompatible", "9:g.h/i v1.0.0 own"],
        ),
        ("go.sum", "a.b/c v1.0.0 h1:x=\na.b/c v1.0.0/go.mod h1:y=\na.b/c v1.2.0 h1:z=\n", &["3:a.b/c v1.2.0"]),
    ];
    for (file, text, expect) in cases {
        assert_eq!(packages(file, text), *expect, "{file}\n{text}");
    }
}

#[test]
fn a_broken_or_newer_lockfile_is_said_with_its_place() {
    for (file, text, expect) in [
        ("Cargo.lock", "[[package]]\nname = \n", "Cargo.lock:2: the lockfile does not read"),
        ("Cargo.lock", "version = 9\n", "version 9 of the format is not read"),
        ("package-lock.json", "{\n \"a\": \n", "package-lock.json:3:"),
        ("package-lock.json", "{\"lockfileVersion\": 4}", "version 4 of the format is not read"),
        ("pnpm-lock.yaml", "lockfileVersion: '12.0'\n", "version 12.0 of the format is not read"),
        ("poetry.lock", "x = [", "poetry.lock:1: the lockfile does not read"),
        ("Pipfile.lock", "{", "Pipfile.lock:1:"),
        ("go.mod", "require a\n", "require takes a module and a version"),
    ] {
        let lock = read(kind(file).unwrap(), file, text);
        let said = lock.diagnostics.iter().map(ToString::to_string).collect::<String>();
        assert!(said.contains(expect), "{file}: {said}");
        assert_eq!(lock.packages, [], "{file}");
    }
    let loose = read(kind("requirements.txt").unwrap(), "requirements.txt", "a>=1.0\nb\n");
    assert_eq!((loose.packages.len(), loose.unknown.len()), (0, 2), "what is not pinned is unknown");
    assert_eq!(unread("x/Gemfile.lock"), Some("RubyGems"));
}

fn advisory(id: &str, aliases: &[&str], ranges: Vec<Vec<Bound>>) -> Advisory {
    Advisory {
        id: id.into(),
        aliases: aliases.iter().map(|a| (*a).to_owned()).collect(),
        ecosystem: Ecosystem::Npm,
        package: "a".into(),
        ranges,
        versions: vec![],
        score: Some(Score::Cvss(9.1)),
        summary: "bad".into(),
    }
}

fn from(v: &str) -> Bound {
    Bound::Introduced(v.into())
}

fn fixed(v: &str) -> Bound {
    Bound::Fixed(v.into())
}

#[test]
fn osv_evaluation() {
    let two = vec![from("0"), fixed("1.2.0"), from("2.0.0"), fixed("2.1.0")];
    let last = vec![from("1.0.0"), Bound::LastAffected("1.5.0".into())];
    let limited = vec![from("0"), Bound::Limit("1.0.0".into())];
    let odd = vec![from("0"), fixed("unknown")];
    for (range, version, expect) in [
        (&two, "1.1.9", "yes"),
        (&two, "1.2.0", "no"),
        (&two, "2.0.5", "yes"),
        (&two, "2.1.0-rc.1", "yes"),
        (&two, "3.0.0", "no"),
        (&last, "1.5.0", "yes"),
        (&last, "1.5.1", "no"),
        (&limited, "0.9.0", "yes"),
        (&limited, "1.0.0", "no"),
        (&odd, "1.0.0", "unknown"),
        (&two, "not-a-version", "unknown"),
    ] {
        let judged = match affects(&advisory("X", &[], vec![range.clone()]), version) {
            Judged::Affected => "yes",
            Judged::Clean => "no",
            Judged::Unknown(_) => "unknown",
        };
        assert_eq!(judged, expect, "{range:?} {version}");
    }
    let mut listed = advisory("X", &[], vec![]);
    listed.versions = vec!["1.0.0".into()];
    assert_eq!(affects(&listed, "1.0"), Judged::Affected);
}

fn package(ecosystem: Ecosystem, version: &str) -> Package {
    Package { ecosystem, name: "a".into(), version: version.into(), line: 7, dev: false, registry: true }
}

fn bundle(day: &str, ecosystems: &[Ecosystem], advisories: Vec<Advisory>) -> Bundle {
    let date: Date = day.parse().unwrap();
    Bundle { date, source: "test".into(), ecosystems: ecosystems.to_vec(), unread: 0, advisories }
}

#[test]
fn aliases_are_one_finding_and_no_data_is_not_clean() {
    let one = advisory("GHSA-1", &["CVE-1"], vec![vec![from("0"), fixed("2.0.0")]]);
    let mut same = advisory("CVE-1", &[], vec![vec![from("0"), fixed("1.9.0")]]);
    same.score = None;
    let other = Advisory { score: None, ..advisory("GHSA-2", &[], vec![vec![from("0")]]) };
    let database = Database::of(vec![bundle("2026-01-01", &[Ecosystem::Npm], vec![one, same, other])], vec![]);
    let report =
        judge("package-lock.json", &[package(Ecosystem::Npm, "1.0.0"), package(Ecosystem::Go, "v1.0.0")], &database);
    let shown: Vec<_> =
        report.found.iter().map(|f| (f.rule.as_str(), f.severity, f.unscored, f.fix.clone().unwrap())).collect();
    assert_eq!(
        shown,
        [
            ("CVE-1", FindingSeverity::Critical, false, "update a to 1.9.0 or later".to_owned()),
            (
                "GHSA-2",
                FindingSeverity::High,
                true,
                "no version of a without it is known; replace it or confine it".to_owned()
            ),
        ]
    );
    assert_eq!(report.found[0].place.to_string(), "package-lock.json:7");
    assert_eq!(report.unknown.len(), 1);
    assert!(report.unknown[0].why.contains("no advisory data for Go"), "{:?}", report.unknown);
}

#[test]
fn the_newest_bundle_of_an_ecosystem_counts_and_an_older_one_is_refused() {
    let old = bundle("2026-01-01", &[Ecosystem::Npm], vec![advisory("OLD", &[], vec![vec![from("0")]])]);
    let new = bundle("2026-02-01", &[Ecosystem::Npm], vec![advisory("NEW", &[], vec![vec![from("0")]])]);
    let database = Database::of(vec![new.clone(), old.clone()], vec![]);
    assert_eq!(database.about(Ecosystem::Npm, "a").map(|a| a.id.as_str()).collect::<Vec<_>>(), ["NEW"]);
    let dir = tempfile::tempdir().unwrap();
    let path = Database::keep(&new, dir.path()).unwrap();
    assert!(Database::keep(&old, dir.path()).unwrap_err().to_string().contains("older than the 2026-02-01"));
    assert_eq!(Database::open(Some(dir.path())).unwrap().day(Ecosystem::Npm), Some("2026-02-01".parse().unwrap()));
    std::fs::write(&path, b"half").unwrap();
    let database = Database::open(Some(dir.path())).unwrap();
    assert_eq!(
        (database.day(Ecosystem::Npm), database.problems.len()),
        (None, 1),
        "a corrupt bundle is left aside, and said"
    );
}

#[test]
fn osv_documents_are_imported_from_files_directories_and_archives() {
    let json = r#"{"id":"GO-1","affected":[{"package":{"ecosystem":"Go","name":"a"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"},{"fixed":"1.0.0"}]}]}]}"#;
    let dir = tempfile::tempdir().unwrap();
    let day: Date = "2026-03-01".parse().unwrap();
    std::fs::write(dir.path().join("GO-1.json"), json).unwrap();
    std::fs::write(dir.path().join("bad.json"), "{").unwrap();
    let bundle = Bundle::of_osv(dir.path(), day).unwrap();
    assert_eq!((bundle.ecosystems.as_slice(), bundle.unread, bundle.advisories.len()), (&[Ecosystem::Go][..], 1, 1));
    let archive = dir.path().join("all.zip");
    let mut writer = zip::ZipWriter::new(std::fs::File::create(&archive).unwrap());
    writer.start_file("GO-1.json", zip::write::SimpleFileOptions::default()).unwrap();
    std::io::Write::write_all(&mut writer, json.as_bytes()).unwrap();
    writer.finish().unwrap();
    assert_eq!(Bundle::of_osv(&archive, day).unwrap().advisories, bundle.advisories);
    let database = Database::of(vec![Bundle::decode(&bundle.encode().unwrap(), "x").unwrap()], vec![]);
    assert_eq!(judge("go.mod", &[package(Ecosystem::Go, "v0.9.0")], &database).found.len(), 1);
    assert!(Bundle::of_osv(Path::new("/nowhere"), day).is_err());
}

#[test]
fn the_embedded_snapshot_is_dated_and_says_what_it_covers() {
    let bundle = Bundle::embedded().unwrap();
    assert_eq!(bundle.ecosystems, [Ecosystem::Crates]);
    assert!(bundle.advisories.len() > 1_000 && bundle.date > "2026-01-01".parse().unwrap(), "{}", bundle.date);
    let database = Database::of(vec![bundle], vec![]);
    let old = Package { name: "time".into(), ..package(Ecosystem::Crates, "0.1.42") };
    let found = judge("Cargo.lock", std::slice::from_ref(&old), &database).found;
    assert!(found.iter().any(|f| f.is_called("CVE-2020-26235")), "{found:?}");
    let new = Package { version: "0.3.47".into(), ..old };
    assert_eq!(judge("Cargo.lock", &[new], &database).found, []);
    // The same checkout gives the same snapshot; where the data is not at hand this says nothing.
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/rustsec");
    if data.is_dir() {
        let made = Bundle::of_rustsec(&data).unwrap();
        assert_eq!(
            made.advisories.len(),
            database.about(Ecosystem::Crates, "time").count().min(1) * made.advisories.len()
        );
        assert_eq!(made.unread, 0, "every advisory reads");
    }
}

#[test]
fn a_bill_of_materials_is_the_same_twice_and_names_each_package_once() {
    let lockfiles = vec![
        ("Cargo.lock".to_owned(), vec![package(Ecosystem::Crates, "1.0.0")]),
        ("x/Cargo.lock".to_owned(), vec![Package { dev: true, ..package(Ecosystem::Crates, "1.0.0") }]),
    ];
    let about = About { name: "shop".into(), version: Some("abc".into()), sha256: Some("00".repeat(32)), time: None };
    let bill = cyclonedx(&about, &lockfiles);
    assert_eq!(bill, cyclonedx(&about, &lockfiles));
    assert_eq!(bill["specVersion"], "1.6");
    assert_eq!(bill["components"].as_array().unwrap().len(), 1);
    assert_eq!(bill["components"][0]["purl"], "pkg:cargo/a@1.0.0");
    assert_eq!(bill["components"][0]["scope"], "required");
    assert_eq!(bill["components"][0]["evidence"]["occurrences"].as_array().unwrap().len(), 2);
    assert!(bill["serialNumber"].as_str().unwrap().starts_with("urn:uuid:"));
}
