//! CloudFormation and Kubernetes files as graphs.

use lem_model::resource::{Attribute, Resource, ResourceGraph};

fn read(files: &[(&str, &str)]) -> Vec<ResourceGraph> {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    lem_provision::graphs::read(folder.path()).unwrap()
}

fn shown(resource: &Resource, path: &str) -> String {
    resource.at(path).map_or("absent".into(), |a| a.shown().to_string())
}

const TEMPLATE: &str = r#"
Parameters:
  Stage: {Type: String, Default: dev}
  Password: {Type: String, NoEcho: true, Default: hunter2}
  Zones: {Type: CommaDelimitedList, Default: "a, b"}
  Size: {Type: Number}
Mappings:
  Sizes:
    dev: {disk: 10}
Conditions:
  IsDev: !Equals [!Ref Stage, dev]
  IsProd: !Not [!Condition IsDev]
  Big: !Equals [!Ref Size, 5]
Resources:
  Bucket:
    Type: AWS::S3::Bucket
    DeletionPolicy: Retain
    Properties:
      BucketName: !Sub "data-${Stage}-${!raw}"
      Tags:
        - {Key: zone, Value: !Select [1, !Ref Zones]}
      Gone: !Ref AWS::NoValue
      Disk: !FindInMap [Sizes, !Ref Stage, disk]
      Joined: {"Fn::Join": ["-", [a, b]]}
      Where: !If [IsDev, here, there]
      Unsure: !If [Big, here, there]
      Secret: !Sub "pw=${Password}"
  Policy:
    Type: AWS::S3::BucketPolicy
    Properties:
      Bucket: !Ref Bucket
      Arn: !GetAtt Bucket.Arn
      Region: !Ref AWS::Region
  Only:
    Type: AWS::SQS::Queue
    Condition: IsProd
"#;

#[test]
fn a_template_is_evaluated_and_what_only_aws_knows_stays_unknown() {
    let graphs = read(&[("stack.yaml", TEMPLATE)]);
    let graph = &graphs[0];
    assert_eq!(graph.diagnostics, []);
    let names: Vec<_> = graph.resources.iter().map(|r| r.address.as_str()).collect();
    assert_eq!(names, ["Bucket", "Policy"], "a resource whose condition is false is not there");
    let bucket = graph.resource("Bucket").unwrap();
    let table = [
        ("BucketName", r#""data-dev-${raw}""#),
        ("Tags.0.Value", r#""b""#),
        ("Gone", "absent"),
        ("Disk", "10"),
        ("Joined", r#""a-b""#),
        ("Where", r#""here""#),
        ("Unsure", r#""(unknown)""#),
        ("Secret", r#""(sensitive)""#),
        ("DeletionPolicy", r#""Retain""#),
    ];
    for (path, expected) in table {
        assert_eq!(shown(bucket, path), expected, "{path}");
    }
    let policy = graph.resource("Policy").unwrap();
    assert_eq!(policy.depends_on, ["Bucket"]);
    assert_eq!(policy.at("Arn"), Some(&Attribute::Unknown("Bucket.Arn is known after Bucket is created".into())));
    assert_eq!(policy.place_of("Arn").to_string(), "stack.yaml:32:7");
}

#[test]
fn a_template_in_json_reads_the_same_and_a_name_that_nothing_has_is_named() {
    let text = r#"{"AWSTemplateFormatVersion": "2010-09-09", "Resources": {
  "Q": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": {"Ref": "Nmae"}}}},
  "Parameters": {"Name": {"Type": "String"}}}"#;
    let graphs = read(&[("q.json", text)]);
    assert_eq!(
        graphs[0].diagnostics[0].to_string(),
        "q.json:2:64: Nmae is neither a parameter nor a resource of this template [unknown-reference]"
    );
    assert_eq!(shown(graphs[0].resource("Q").unwrap(), "QueueName"), r#""(unknown)""#);
}

#[test]
fn a_template_that_does_not_parse_has_its_place() {
    let graphs = read(&[("bad.yaml", "AWSTemplateFormatVersion: x\nResources: [\n")]);
    assert!(graphs[0].diagnostics[0].is_error());
    assert_eq!(graphs[0].diagnostics[0].place.file, "bad.yaml");
    assert!(graphs[0].diagnostics[0].place.line >= 2);
}

#[test]
fn manifests_are_flattened_and_secrets_hidden() {
    let text = "apiVersion: v1\nkind: List\nitems:\n- apiVersion: apps/v1\n  kind: Deployment\n  metadata: {name: web, namespace: shop}\n---\napiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {password: hunter2}\n";
    let graphs =
        read(&[("k8s/all.yaml", text), ("charts/t.yaml", "apiVersion: v1\nkind: X\nname: {{ .Values.name }}\n")]);
    assert_eq!(graphs[0].root, "charts/t.yaml");
    assert_eq!(graphs[0].diagnostics[0].code, "unrendered-template");
    let graph = &graphs[1];
    let names: Vec<_> = graph.resources.iter().map(|r| (r.address.as_str(), r.kind.as_str())).collect();
    assert_eq!(names, [("default/Secret/s", "v1/Secret"), ("shop/Deployment/web", "apps/v1/Deployment")]);
    let secret = graph.resource("default/Secret/s").unwrap();
    assert_eq!(shown(secret, "stringData.password"), r#""(sensitive)""#);
    assert!(serde_json::to_string(&secret.attributes["stringData"]).is_err(), "nothing may store it");
}

#[test]
fn a_region_is_that_of_the_provider_that_a_resource_is_made_with() {
    let root = r#"
variable "west" { default = "us-west-2" }
provider "aws" { region = "eu-central-1" }
provider "aws" {
  alias  = "west"
  region = var.west
}
resource "aws_sqs_queue" "here" {}
resource "aws_sqs_queue" "there" { provider = aws.west }
resource "aws_sqs_queue" "own" { region = "ap-south-1" }
module "inherits" { source = "./m" }
module "given" {
  source    = "./m"
  providers = { aws = aws.west }
}
"#;
    let graphs = read(&[("main.tf", root), ("m/main.tf", "resource \"aws_sqs_queue\" \"q\" {}\n")]);
    let region = |address: &str| graphs[0].resource(address).unwrap().region.as_ref().and_then(Attribute::as_str);
    for (address, expect) in [
        ("aws_sqs_queue.here", "eu-central-1"),
        ("aws_sqs_queue.there", "us-west-2"),
        ("aws_sqs_queue.own", "ap-south-1"),
        ("module.inherits.aws_sqs_queue.q", "eu-central-1"),
        ("module.given.aws_sqs_queue.q", "us-west-2"),
    ] {
        assert_eq!(region(address), Some(expect), "{address}");
    }
}

#[test]
fn a_folder_that_another_root_calls_is_no_root() {
    let module = ("shared/m/main.tf", "variable \"n\" {}\nresource \"terraform_data\" \"d\" { input = var.n }\n");
    for (path, source) in
        [("infra/main.tf", "../shared/m"), ("main.tf", "./shared/m"), ("a/b/main.tf", "../../shared/./m/")]
    {
        let root = format!("module \"m\" {{\n  source = \"{source}\"\n  n = 1\n}}\n");
        let graphs = read(&[(path, root.as_str()), module]);
        let addresses: Vec<&str> = graphs.iter().flat_map(|g| &g.resources).map(|r| r.address.as_str()).collect();
        assert_eq!((graphs.len(), addresses.as_slice()), (1, ["module.m.terraform_data.d"].as_slice()), "{path}");
    }
}

#[test]
fn the_root_of_lem_yaml_has_a_graph_per_environment() {
    let settings = "provision:\n  root: infra\n  environments:\n    dev: {vars: [infra/dev.tfvars]}\n    \
                    production: {set: {size: large}}\n";
    let root =
        "variable \"size\" {}\nresource \"terraform_data\" \"d\" { input = \"${var.size} ${terraform.workspace}\" }\n";
    let files = [
        ("lem.yaml", settings),
        ("infra/main.tf", root),
        ("infra/dev.tfvars", "size = \"small\"\n"),
        ("other/main.tf", "resource \"terraform_data\" \"d\" {}\n"),
    ];
    let graphs = read(&files);
    let told: Vec<(&str, Option<&str>, String)> = graphs
        .iter()
        .map(|g| {
            let value = g.resource("terraform_data.d").map_or_else(String::new, |r| shown(r, "input"));
            (g.root.as_str(), g.environment.as_ref().map(|e| e.as_str()), value)
        })
        .collect();
    let expect = [
        ("infra", Some("dev"), "\"small dev\"".to_owned()),
        ("infra", Some("production"), "\"large production\"".to_owned()),
        ("other", None, "absent".to_owned()),
    ];
    assert_eq!(told, expect);
    assert!(graphs.iter().all(|g| g.diagnostics.is_empty()), "{graphs:?}");
}
