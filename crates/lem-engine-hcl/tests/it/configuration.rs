//! Configurations in memory: variables, modules, repetition, bodies, messages.

use crate::{context, in_file, in_files};
use lem_engine_hcl::config::{Inputs, MemoryFiles, VariableSource, load, read_inputs};
use lem_engine_hcl::eval::NothingKnown;
use lem_engine_hcl::value::json::encode_text;
use lem_engine_hcl::{Evaluator, Mode, ModuleAddress};

/// Messages of loading one file.
fn messages(file: &str) -> String {
    let (_, diagnostics) = load(&MemoryFiles::of(&[("main.tf", file)]), ".");
    diagnostics.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    let table = [
        (
            "resorce \"a\" \"b\" {}",
            "main.tf:1:1: unknown block \"resorce\" [unknown-block]\n  help: did you mean \"resource\"?",
        ),
        ("variable \"a\" {\n  typ = string\n}", "main.tf:2:3: unknown argument \"typ\""),
        (
            "locals {\n  a = 1\n  a = 2\n}",
            "main.tf:3:3: invalid attribute; expected unique attribute key; found redefined attribute [hcl-syntax]",
        ),
        ("variable \"a\" {}\nvariable \"a\" {}", "main.tf:2:1: variable \"a\" is already declared at main.tf:1:1"),
        ("locals {\n  a = (\n}\nresorce \"a\" \"b\" {}", "main.tf:4:1: unknown block"),
        (
            "module \"m\" {\n  source = \"a/b/c\"\n}",
            "main.tf:1:1: module \"m\" comes from \"a/b/c\" and is not installed",
        ),
        ("variable \"a\" {\n  type = strin\n}", "main.tf:2:10: there is no type \"strin\""),
        (
            "locals {\n  unused = [uper(\"a\")]\n}",
            "main.tf:2:13: there is no function \"uper\" [unknown-function]\n  help: did you mean \"upper\"?",
        ),
        ("variable \"zone\" {}\nlocals { unused = var.zones }", "main.tf:2:19: there is no variable \"zones\""),
        (
            "resource \"a_b\" \"web\" {}\nlocals { unused = a_b.wb.id }",
            "main.tf:2:19: there is no resource a_b.wb in this module [unknown-reference]\n  help: did you mean \"a_b.web\"?",
        ),
        ("output \"o\" { value = data.a_b.c.id }", "main.tf:1:22: there is no data source a_b.c in this module"),
        ("output \"o\" { value = module.net.id }", "main.tf:1:22: there is no module \"net\" [unknown-reference]"),
    ];
    for (file, expected) in table {
        let found = messages(file);
        assert!(found.contains(expected), "{file}\n{found}");
    }
}

#[test]
fn what_only_looks_like_an_unknown_name_is_none() {
    let fine = [
        "variable \"a\" {\n  type = object({ b = optional(list(string), []) })\n}",
        "moved {\n  from = module.old\n  to = module.older\n}",
        "locals {\n  arn = provider::aws::arn_parse(\"x\")\n  up = core::upper(\"x\")\n}",
        "locals {\n  a = [for var in [1] : var]\n  b = can(try(1, 2))\n  c = [for x in [{ y = { z = 1 } }] : x.y.z]\n}",
        "output \"o\" { value = \"${path.module} ${terraform.workspace}\" }",
    ];
    for file in fine {
        assert_eq!(messages(file), "", "{file}");
    }
    // With a file that does not read nobody knows what is declared.
    assert!(!messages("locals { a = var.b }\nvariable \"b\" {\n  default = (\n}").contains("there is no variable"));
}

#[test]
fn a_byte_order_mark_and_blocks_on_one_line_are_read() {
    let file = "\u{feff}variable \"a\" { default = 1 }\nlocals { b = var.a }";
    assert_eq!(in_file(file, "local.b").map(|v| encode_text(&v)), Ok("1".into()));
}

#[test]
fn a_cycle_names_every_member_with_its_place() {
    let found = in_file("locals {\n  a = local.b\n  b = local.a\n}", "local.a").expect_err("a cycle");
    assert!(found.contains("local.a (main.tf:2:3), local.b (main.tf:3:3)"), "{found}");
}

#[test]
fn modules_repeat_and_hand_values_on() {
    let files = MemoryFiles::of(&[
        ("main.tf", "module \"m\" {\n  source = \"./m\"\n  for_each = { x = 1, y = 2 }\n  n = each.value\n}"),
        ("m/a.tf", "variable \"n\" { type = string }\noutput \"o\" { value = \"${var.n}-${path.module}\" }"),
    ]);
    assert_eq!(in_files(&files, "module.m[\"y\"].o").map(|v| encode_text(&v)), Ok("\"2-m\"".into()));
    let all = in_files(&files, "{ for k, m in module.m : k => m.o }").map(|v| encode_text(&v));
    assert_eq!(all, Ok("{\"x\":\"1-m\",\"y\":\"2-m\"}".into()));
}

#[test]
fn variables_take_the_last_source_and_get_defaults_of_attributes() {
    let main = "variable \"a\" { type = string }\nvariable \"o\" {\n  type = object({ n = string, p = optional(number, 80) })\n}";
    let files = MemoryFiles::of(&[
        ("main.tf", main),
        ("terraform.tfvars", "a = \"file\"\no = { n = \"x\" }\nzz = 1"),
        ("b.auto.tfvars", "a = \"auto\""),
    ]);
    let (config, diagnostics) = load(&files, ".");
    assert_eq!(diagnostics, []);
    let mut inputs = Inputs::default();
    inputs.environment.insert("TF_VAR_a".into(), "environment".into());
    let (values, diagnostics) = read_inputs(&config.root, &files, ".", &inputs);
    assert_eq!(encode_text(&values["a"]), "\"auto\"");
    assert_eq!(encode_text(&values["o"]), "{\"n\":\"x\",\"p\":80}");
    assert!(diagnostics.iter().all(|d| !d.is_error() && d.message.contains("zz")), "{diagnostics:?}");
    inputs.command_line.push(VariableSource::Text("a".into(), "line".into()));
    inputs.command_line.push(VariableSource::Text("q".into(), "1".into()));
    let (values, diagnostics) = read_inputs(&config.root, &files, ".", &inputs);
    assert_eq!(encode_text(&values["a"]), "\"line\"");
    assert!(diagnostics.iter().any(|d| d.is_error() && d.message.contains("\"q\"")));
    let (_, unset) = read_inputs(&config.root, &MemoryFiles::default(), ".", &Inputs::default());
    assert!(unset[0].to_string().starts_with("main.tf:1:1: var.a has no value"), "{unset:?}");
}

#[test]
fn unknown_and_sensitive_repetition_is_refused_with_its_reason() {
    let table = [
        (
            "resource \"x_y\" \"z\" {}\nresource \"x_y\" \"w\" { count = x_y.z.n }",
            "x_y.z.n (x_y.z is known after apply)",
        ),
        ("resource \"x_y\" \"w\" { for_each = sensitive({}) }", "for_each must not be sensitive"),
        ("resource \"x_y\" \"w\" { count = -1 }", "not negative"),
        ("resource \"x_y\" \"w\" { for_each = [1] }", "toset() makes a set"),
        ("resource \"x_y\" \"w\" { count = 1000000 }", "at most 100000"),
    ];
    for (file, expected) in table {
        let found = in_file(file, "x_y.w").expect_err(file);
        assert!(found.contains(expected), "{file}\n{found}");
    }
}

#[test]
fn dynamic_blocks_become_blocks() {
    let file = "resource \"x_y\" \"z\" {\n  dynamic \"port\" {\n    for_each = { a = 1, b = 2 }\n    iterator = p\n    content {\n      n = p.value\n      k = p.key\n    }\n  }\n  port { n = 3 }\n}";
    let (config, _) = load(&MemoryFiles::of(&[("main.tf", file)]), ".");
    let evaluator = Evaluator::new(&config, [].into(), context(), &NothingKnown);
    let root = ModuleAddress::root();
    let scope = evaluator.scope(&root).expect("the root");
    let resource = config.root.resource(Mode::Managed, "x_y", "z").expect("the resource");
    let (value, diagnostics) = evaluator.body(&resource.body, None, &scope);
    assert_eq!(diagnostics, []);
    assert_eq!(encode_text(&value), "{\"port\":[{\"k\":\"a\",\"n\":1},{\"k\":\"b\",\"n\":2},{\"n\":3}]}");
}
