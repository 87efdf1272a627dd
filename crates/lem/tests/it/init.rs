//! `lem init` writes the sections of what a repository has, and every command reads them.

use crate::repository::Repository;

#[test]
fn infrastructure_lockfiles_and_bills_have_their_sections() {
    let repository = Repository::empty();
    repository.write("infra/main.tf", "variable \"size\" {}\nresource \"random_pet\" \"p\" { length = var.size }\nmodule \"m\" { source = \"../modules/m\" }\n");
    repository.write("modules/m/main.tf", "resource \"terraform_data\" \"d\" {}\n");
    repository.write("infra/dev.tfvars", "size = 1\n");
    repository.write("infra/production.tfvars", "size = 3\n");
    repository.write("infra/terraform.tfvars", "");
    repository.write("Cargo.lock", "version = 4\n");
    let answer = repository.lem(&["init"]);
    assert!(answer.code(0).err.contains("Cargo.lock"), "{}", answer.err);
    let text = std::fs::read_to_string(repository.root.join("lem.yaml")).unwrap();
    let expect = "provision:\n  root: infra\n  environments:\n    dev: {vars: [infra/dev.tfvars]}\n    \
                  production: {vars: [infra/production.tfvars]}\n";
    assert!(text.contains(expect) && text.contains("secure:\n  gate: warn\n"), "{text}");
    assert!(!text.contains("modules/m") && !text.contains("engine:") && !text.contains("optimize:"), "{text}");
    assert!(repository.lem(&["plan"]).code(2).err.contains("--environment takes dev, production"));
    repository.lem(&["plan", "-e", "dev"]).code(0);
    repository.lem(&["scan"]).code(0);

    repository.write(
        "cloud/main.tf",
        "resource \"aws_instance\" \"a\" {\n  instance_type = \"t3.micro\"\n  ami = \"a\"\n}\n",
    );
    std::fs::remove_dir_all(repository.root.join("infra")).unwrap();
    repository.lem(&["init", "--force"]).code(0);
    let text = std::fs::read_to_string(repository.root.join("lem.yaml")).unwrap();
    assert!(text.contains("  root: cloud\n  engine: terraform  # an installed terraform or tofu, for aws\n"), "{text}");
    assert!(text.contains("# Other roots: modules/m;") && text.contains("optimize:\n  currency: USD\n"), "{text}");
    repository.lem(&["cost"]).code(0);

    let bare = Repository::empty();
    let text = bare.lem(&["init", "--print"]).code(0).out.clone();
    for section in ["provision:", "secure:", "optimize:"] {
        assert!(!text.contains(section), "{section} for nothing\n{text}");
    }
}
