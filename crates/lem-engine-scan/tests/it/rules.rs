//! Every rule of the tables: a resource that fails, one that passes, one whose decisive value is not known.

use indexmap::IndexMap;
use lem_engine_scan::iac::{RuleSet, judge};
use lem_model::Place;
use lem_model::resource::{Attribute, Language, Resource, ResourceGraph};
use serde_json::Value;
use std::collections::BTreeSet;

/// JSON as attributes; `"?"` is a value nobody knows.
pub(crate) fn attribute(value: &Value) -> Attribute {
    match value {
        Value::Null => Attribute::Null,
        Value::Bool(b) => Attribute::Bool(*b),
        Value::Number(n) => Attribute::Number(n.clone()),
        Value::String(s) if s == "?" => Attribute::Unknown("var.x has no value".into()),
        Value::String(s) => Attribute::String(s.clone()),
        Value::Array(a) => Attribute::List(a.iter().map(attribute).collect()),
        Value::Object(o) => Attribute::Map(o.iter().map(|(k, v)| (k.clone(), attribute(v))).collect()),
    }
}

pub(crate) fn resource(kind: &str, address: &str, json: &str) -> Resource {
    let value: Value = serde_json::from_str(json).unwrap_or_else(|e| panic!("{kind} {json}: {e}"));
    let Attribute::Map(attributes) = attribute(&value) else { panic!("{json} is no object") };
    let language = match kind {
        _ if kind.contains("::") => Language::CloudFormation,
        _ if kind.contains('/') || kind.starts_with(char::is_uppercase) => Language::Kubernetes,
        _ => Language::Terraform,
    };
    let data = kind.strip_prefix("data.");
    Resource {
        address: address.to_owned(),
        kind: data.unwrap_or(kind).to_owned(),
        language,
        data: data.is_some(),
        provider: "aws".into(),
        region: None,
        attributes,
        places: IndexMap::new(),
        place: Place::new("main.tf", 1, 1),
        end_line: 9,
        calls: vec![],
        depends_on: vec![],
        action: None,
        before: None,
    }
}

/// What a rule says about one resource: fail, pass or unknown.
fn verdict(alias: &str, kind: &str, json: &str) -> &'static str {
    let graph = ResourceGraph { resources: vec![resource(kind, "a.b", json)], ..ResourceGraph::default() };
    answer(alias, &graph)
}

fn answer(alias: &str, graph: &ResourceGraph) -> &'static str {
    let rules = RuleSet::embedded();
    let id = &rules.rules.iter().find(|r| r.aliases.iter().any(|a| a == alias)).expect("a rule of that alias").id;
    let report = judge(graph, rules);
    let fails = report.found.iter().any(|f| &f.rule == id);
    let unknown = report.unknown.iter().any(|u| &u.rule == id);
    match (fails, unknown) {
        (true, _) => "fail",
        (_, true) => "unknown",
        _ => "pass",
    }
}

const STAR: &str =
    r#"{"policy":"{\"Statement\":[{\"Effect\":\"Allow\",\"Principal\":\"*\",\"Action\":\"*\",\"Resource\":\"*\"}]}"}"#;
const MINE: &str = r#"{"policy":"{\"Statement\":[{\"Effect\":\"Allow\",\"Principal\":{\"AWS\":\"arn:aws:iam::1:role/a\"},\"Action\":\"s3:Get\",\"Resource\":\"a\"}]}"}"#;
const ANYONE: &str = r#"{"assume_role_policy":{"Statement":[{"Effect":"Allow","Principal":{"AWS":["*"]}}]}}"#;
const ACCOUNT: &str =
    r#"{"assume_role_policy":{"Statement":[{"Principal":{"AWS":"arn:aws:iam::123456789012:root"}}]}}"#;
const ROLE: &str = r#"{"assume_role_policy":{"Statement":[{"Principal":{"Service":"ec2.amazonaws.com"}}]}}"#;
const NO_POLICY: &str = r#"{"policy":"?"}"#;

/// Alias, type, fails, passes, unknown; empty where existence alone decides.
const CASES: &[(&str, &str, &str, &str, &str)] = &[
    ("CKV_AWS_20", "aws_s3_bucket", r#"{"acl":"public-read"}"#, r#"{"acl":"private"}"#, r#"{"acl":"?"}"#),
    ("CKV_AWS_57", "aws_s3_bucket", r#"{"acl":"public-read-write"}"#, r#"{"acl":"public-read"}"#, r#"{"acl":"?"}"#),
    (
        "CKV_AWS_53",
        "aws_s3_bucket_public_access_block",
        "{}",
        r#"{"block_public_acls":true}"#,
        r#"{"block_public_acls":"?"}"#,
    ),
    (
        "CKV_AWS_54",
        "aws_s3_bucket_public_access_block",
        r#"{"block_public_policy":false}"#,
        r#"{"block_public_policy":"true"}"#,
        r#"{"block_public_policy":"?"}"#,
    ),
    (
        "CKV_AWS_55",
        "aws_s3_bucket_public_access_block",
        "{}",
        r#"{"ignore_public_acls":true}"#,
        r#"{"ignore_public_acls":"?"}"#,
    ),
    (
        "CKV_AWS_56",
        "aws_s3_bucket_public_access_block",
        r#"{"restrict_public_buckets":null}"#,
        r#"{"restrict_public_buckets":true}"#,
        r#"{"restrict_public_buckets":"?"}"#,
    ),
    ("CKV_AWS_70", "aws_s3_bucket_policy", STAR, MINE, NO_POLICY),
    (
        "CKV_AWS_21",
        "aws_s3_bucket",
        "{}",
        r#"{"versioning":[{"enabled":true}]}"#,
        r#"{"versioning":[{"enabled":"?"}]}"#,
    ),
    ("CKV2_AWS_6", "aws_s3_bucket", "{}", "", ""),
    ("CKV_AWS_3", "aws_ebs_volume", "{}", r#"{"encrypted":true}"#, r#"{"encrypted":"?"}"#),
    (
        "CKV_AWS_79",
        "aws_instance",
        r#"{"metadata_options":[{"http_tokens":"optional"}]}"#,
        r#"{"metadata_options":[{"http_endpoint":"disabled"}]}"#,
        r#"{"metadata_options":[{"http_tokens":"?"}]}"#,
    ),
    (
        "CKV_AWS_88",
        "aws_instance",
        r#"{"associate_public_ip_address":true}"#,
        "{}",
        r#"{"associate_public_ip_address":"?"}"#,
    ),
    (
        "CKV_AWS_46",
        "aws_instance",
        r#"{"user_data":"export KEY=AKIAIOSFODNN7EXAMPLE\n"}"#,
        r#"{"user_data":"echo hi"}"#,
        r#"{"user_data":"?"}"#,
    ),
    (
        "CKV_AWS_24",
        "aws_security_group",
        r#"{"ingress":[{"from_port":20,"to_port":30,"cidr_blocks":["0.0.0.0/0"]}]}"#,
        r#"{"ingress":[{"from_port":22,"to_port":22,"cidr_blocks":["10.0.0.0/8"]}]}"#,
        r#"{"ingress":[{"from_port":22,"to_port":22,"cidr_blocks":["?"]}]}"#,
    ),
    (
        "CKV_AWS_25",
        "aws_security_group_rule",
        r#"{"type":"ingress","from_port":0,"to_port":0,"protocol":"-1","cidr_blocks":["0.0.0.0/0"]}"#,
        r#"{"type":"egress","from_port":3389,"to_port":3389,"cidr_blocks":["0.0.0.0/0"]}"#,
        r#"{"type":"?","from_port":3389,"to_port":3389}"#,
    ),
    (
        "CKV_AWS_260",
        "aws_vpc_security_group_ingress_rule",
        r#"{"from_port":80,"to_port":80,"cidr_ipv6":"::/0"}"#,
        r#"{"from_port":443,"to_port":443,"cidr_ipv4":"0.0.0.0/0"}"#,
        r#"{"from_port":"?","to_port":80,"cidr_ipv4":"0.0.0.0/0"}"#,
    ),
    ("CKV_AWS_130", "aws_subnet", r#"{"map_public_ip_on_launch":true}"#, "{}", r#"{"map_public_ip_on_launch":"?"}"#),
    (
        "CKV_AWS_1",
        "data.aws_iam_policy_document",
        r#"{"statement":[{"actions":["*"],"resources":["*"]}]}"#,
        r#"{"statement":[{"effect":"Deny","actions":["*"],"resources":["*"]}]}"#,
        r#"{"statement":[{"actions":["*"],"resources":["?"]}]}"#,
    ),
    ("CKV_AWS_40", "aws_iam_policy_attachment", r#"{"users":["ann"]}"#, r#"{"roles":["a"]}"#, ""),
    (
        "CKV_AWS_49",
        "data.aws_iam_policy_document",
        r#"{"statement":[{"actions":["*"],"resources":["a"]}]}"#,
        r#"{"statement":[{"actions":["s3:*"]}]}"#,
        r#"{"statement":[{"actions":["?"]}]}"#,
    ),
    ("CKV_AWS_60", "aws_iam_role", ANYONE, ROLE, r#"{"assume_role_policy":"?"}"#),
    ("CKV_AWS_61", "aws_iam_role", ACCOUNT, ROLE, r#"{"assume_role_policy":"?"}"#),
    ("CKV_AWS_62", "aws_iam_policy", STAR, MINE, NO_POLICY),
    ("CKV_AWS_63", "aws_iam_role_policy", STAR, MINE, NO_POLICY),
    (
        "CKV_AWS_45",
        "aws_lambda_function",
        r#"{"environment":[{"variables":{"A":"AKIAIOSFODNN7EXAMPLE"}}]}"#,
        r#"{"environment":[{"variables":{"A":"b"}}]}"#,
        r#"{"environment":[{"variables":{"A":"?"}}]}"#,
    ),
    (
        "CKV_AWS_10",
        "aws_iam_account_password_policy",
        r#"{"minimum_password_length":8}"#,
        r#"{"minimum_password_length":"14"}"#,
        r#"{"minimum_password_length":"?"}"#,
    ),
    ("CKV_AWS_7", "aws_kms_key", "{}", r#"{"customer_master_key_spec":"RSA_2048"}"#, r#"{"enable_key_rotation":"?"}"#),
    ("CKV_AWS_33", "aws_kms_key", STAR, MINE, NO_POLICY),
    (
        "CKV_AWS_149",
        "aws_secretsmanager_secret",
        r#"{"kms_key_id":"alias/aws/secretsmanager"}"#,
        r#"{"kms_key_id":"arn:k"}"#,
        r#"{"kms_key_id":"?"}"#,
    ),
    ("CKV_AWS_16", "aws_db_instance", "{}", r#"{"storage_encrypted":true}"#, r#"{"storage_encrypted":"?"}"#),
    ("CKV_AWS_17", "aws_db_instance", r#"{"publicly_accessible":true}"#, "{}", r#"{"publicly_accessible":"?"}"#),
    ("CKV_AWS_96", "aws_rds_cluster", "{}", r#"{"engine_mode":"serverless"}"#, r#"{"storage_encrypted":"?"}"#),
    (
        "CKV_AWS_133",
        "aws_db_instance",
        r#"{"backup_retention_period":0}"#,
        r#"{"backup_retention_period":7}"#,
        r#"{"backup_retention_period":"?"}"#,
    ),
    ("CKV_AWS_64", "aws_redshift_cluster", "{}", r#"{"encrypted":true}"#, r#"{"encrypted":"?"}"#),
    ("CKV_AWS_87", "aws_redshift_cluster", "{}", r#"{"publicly_accessible":false}"#, r#"{"publicly_accessible":"?"}"#),
    (
        "CKV_AWS_28",
        "aws_dynamodb_table",
        "{}",
        r#"{"point_in_time_recovery":[{"enabled":true}]}"#,
        r#"{"point_in_time_recovery":[{"enabled":"?"}]}"#,
    ),
    (
        "CKV_AWS_29",
        "aws_elasticache_replication_group",
        "{}",
        r#"{"at_rest_encryption_enabled":true}"#,
        r#"{"at_rest_encryption_enabled":"?"}"#,
    ),
    (
        "CKV_AWS_5",
        "aws_opensearch_domain",
        "{}",
        r#"{"encrypt_at_rest":[{"enabled":true}]}"#,
        r#"{"encrypt_at_rest":"?"}"#,
    ),
    (
        "CKV_AWS_83",
        "aws_opensearch_domain",
        r#"{"domain_endpoint_options":[{"enforce_https":false}]}"#,
        "{}",
        r#"{"domain_endpoint_options":[{"enforce_https":"?"}]}"#,
    ),
    ("CKV_AWS_42", "aws_efs_file_system", "{}", r#"{"encrypted":true}"#, r#"{"encrypted":"?"}"#),
    ("CKV_AWS_26", "aws_sns_topic", "{}", r#"{"kms_master_key_id":"?"}"#, ""),
    (
        "CKV_AWS_27",
        "aws_sqs_queue",
        r#"{"kms_master_key_id":""}"#,
        r#"{"sqs_managed_sse_enabled":true}"#,
        r#"{"sqs_managed_sse_enabled":"?"}"#,
    ),
    ("CKV_AWS_169", "aws_sns_topic_policy", STAR, MINE, NO_POLICY),
    (
        "CKV_AWS_43",
        "aws_kinesis_stream",
        r#"{"encryption_type":"NONE"}"#,
        r#"{"encryption_type":"KMS"}"#,
        r#"{"encryption_type":"?"}"#,
    ),
    (
        "CKV_AWS_81",
        "aws_msk_cluster",
        r#"{"encryption_info":[{"encryption_in_transit":[{"client_broker":"PLAINTEXT"}]}]}"#,
        r#"{"encryption_info":[{"x":1}]}"#,
        r#"{"encryption_info":[{"encryption_in_transit":[{"client_broker":"?"}]}]}"#,
    ),
    ("CKV_AWS_35", "aws_cloudtrail", "{}", r#"{"kms_key_id":"arn"}"#, ""),
    (
        "CKV_AWS_36",
        "aws_cloudtrail",
        "{}",
        r#"{"enable_log_file_validation":true}"#,
        r#"{"enable_log_file_validation":"?"}"#,
    ),
    ("CKV_AWS_67", "aws_cloudtrail", "{}", r#"{"is_multi_region_trail":true}"#, r#"{"is_multi_region_trail":"?"}"#),
    (
        "CKV_AWS_121",
        "aws_config_configuration_aggregator",
        "{}",
        r#"{"account_aggregation_source":[{"all_regions":true}]}"#,
        r#"{"account_aggregation_source":[{"all_regions":"?"}]}"#,
    ),
    (
        "CKV_AWS_2",
        "aws_lb_listener",
        r#"{"protocol":"HTTP","default_action":[{"type":"forward"}]}"#,
        r#"{"protocol":"HTTP","default_action":[{"type":"redirect","redirect":[{"protocol":"HTTPS"}]}]}"#,
        r#"{"protocol":"?"}"#,
    ),
    ("CKV_AWS_91", "aws_lb", "{}", r#"{"load_balancer_type":"gateway"}"#, r#"{"access_logs":[{"enabled":"?"}]}"#),
    (
        "CKV_AWS_103",
        "aws_lb_listener",
        r#"{"protocol":"HTTPS","ssl_policy":"ELBSecurityPolicy-2016-08"}"#,
        r#"{"protocol":"HTTPS","ssl_policy":"ELBSecurityPolicy-TLS13-1-2-2021-06"}"#,
        r#"{"protocol":"HTTPS","ssl_policy":"?"}"#,
    ),
    (
        "CKV_AWS_34",
        "aws_cloudfront_distribution",
        r#"{"ordered_cache_behavior":[{"viewer_protocol_policy":"https-only"},{"viewer_protocol_policy":"allow-all"}]}"#,
        r#"{"default_cache_behavior":[{"viewer_protocol_policy":"https-only"}]}"#,
        r#"{"default_cache_behavior":[{"viewer_protocol_policy":"?"}]}"#,
    ),
    (
        "CKV_AWS_174",
        "aws_cloudfront_distribution",
        r#"{"viewer_certificate":[{"minimum_protocol_version":"TLSv1.1_2016"}]}"#,
        r#"{"viewer_certificate":[{"minimum_protocol_version":"TLSv1.2_2021"}]}"#,
        r#"{"viewer_certificate":[{"minimum_protocol_version":"?"}]}"#,
    ),
    ("CKV_AWS_32", "aws_ecr_repository_policy", STAR, MINE, NO_POLICY),
    (
        "CKV_AWS_51",
        "aws_ecr_repository",
        "{}",
        r#"{"image_tag_mutability":"IMMUTABLE"}"#,
        r#"{"image_tag_mutability":"?"}"#,
    ),
    (
        "CKV_AWS_163",
        "aws_ecr_repository",
        "{}",
        r#"{"image_scanning_configuration":[{"scan_on_push":true}]}"#,
        r#"{"image_scanning_configuration":[{"scan_on_push":"?"}]}"#,
    ),
    (
        "CKV_AWS_37",
        "aws_eks_cluster",
        r#"{"enabled_cluster_log_types":["api"]}"#,
        r#"{"enabled_cluster_log_types":["scheduler","api","audit","authenticator","controllerManager"]}"#,
        r#"{"enabled_cluster_log_types":"?"}"#,
    ),
    (
        "CKV_AWS_38",
        "aws_eks_cluster",
        r#"{"vpc_config":[{"public_access_cidrs":["0.0.0.0/0"]}]}"#,
        r#"{"vpc_config":[{"endpoint_public_access":false}]}"#,
        r#"{"vpc_config":[{"endpoint_public_access":"?"}]}"#,
    ),
    (
        "CKV_AWS_39",
        "aws_eks_cluster",
        "{}",
        r#"{"vpc_config":[{"endpoint_public_access":false}]}"#,
        r#"{"vpc_config":[{"endpoint_public_access":"?"}]}"#,
    ),
    (
        "CKV_AWS_58",
        "aws_eks_cluster",
        "{}",
        r#"{"encryption_config":[{"resources":["secrets"]}]}"#,
        r#"{"encryption_config":[{"resources":["?"]}]}"#,
    ),
    (
        "CKV_K8S_13",
        "Pod",
        r#"{"spec":{"containers":[{}]}}"#,
        r#"{"spec":{"containers":[{"resources":{"limits":{"memory":"1Gi"}}}]}}"#,
        r#"{"spec":{"containers":[{"resources":{"limits":{"memory":"?"}}}]}}"#,
    ),
    (
        "CKV_K8S_14",
        "apps/v1/Deployment",
        r#"{"spec":{"template":{"spec":{"containers":[{"image":"localhost:5000/a"}]}}}}"#,
        r#"{"spec":{"template":{"spec":{"containers":[{"image":"a:1"}]}}}}"#,
        r#"{"spec":{"template":{"spec":{"containers":[{"image":"?"}]}}}}"#,
    ),
    (
        "CKV_K8S_16",
        "Pod",
        r#"{"spec":{"initContainers":[{"securityContext":{"privileged":true}}]}}"#,
        r#"{"spec":{"containers":[{}]}}"#,
        r#"{"spec":{"containers":[{"securityContext":{"privileged":"?"}}]}}"#,
    ),
    (
        "CKV_K8S_17",
        "batch/v1/CronJob",
        r#"{"spec":{"jobTemplate":{"spec":{"template":{"spec":{"hostPID":true}}}}}}"#,
        r#"{"spec":{}}"#,
        r#"{"spec":{"jobTemplate":"?"}}"#,
    ),
    (
        "CKV_K8S_18",
        "Pod",
        r#"{"spec":{"hostIPC":true}}"#,
        r#"{"spec":{"hostIPC":false}}"#,
        r#"{"spec":{"hostIPC":"?"}}"#,
    ),
    ("CKV_K8S_19", "Pod", r#"{"spec":{"hostNetwork":true}}"#, r#"{"spec":{"a":1}}"#, r#"{"spec":{"hostNetwork":"?"}}"#),
    (
        "CKV_K8S_20",
        "Pod",
        r#"{"spec":{"containers":[{}]}}"#,
        r#"{"spec":{"containers":[{"securityContext":{"allowPrivilegeEscalation":false}}]}}"#,
        r#"{"spec":{"containers":["?"]}}"#,
    ),
    (
        "CKV_K8S_21",
        "v1/Service",
        r#"{"kind":"Service","metadata":{"name":"a"}}"#,
        r#"{"kind":"Service","metadata":{"name":"kubernetes"}}"#,
        r#"{"kind":"Service","metadata":{"name":"a","namespace":"?"}}"#,
    ),
    (
        "CKV_K8S_22",
        "Pod",
        r#"{"spec":{"containers":[{}]}}"#,
        r#"{"spec":{"containers":[{"securityContext":{"readOnlyRootFilesystem":true}}]}}"#,
        r#"{"spec":{"containers":"?"}}"#,
    ),
    (
        "CKV_K8S_23",
        "Pod",
        r#"{"spec":{"securityContext":{"runAsNonRoot":true},"containers":[{"securityContext":{"runAsNonRoot":false}}]}}"#,
        r#"{"spec":{"securityContext":{"runAsUser":1000},"containers":[{}]}}"#,
        r#"{"spec":{"securityContext":{"runAsNonRoot":"?"},"containers":[{}]}}"#,
    ),
    (
        "CKV_K8S_25",
        "Pod",
        r#"{"spec":{"containers":[{"securityContext":{"capabilities":{"add":["NET_ADMIN"]}}}]}}"#,
        r#"{"spec":{"containers":[{}]}}"#,
        r#"{"spec":{"containers":[{"securityContext":"?"}]}}"#,
    ),
    (
        "CKV_K8S_26",
        "Pod",
        r#"{"spec":{"containers":[{"ports":[{"hostPort":80}]}]}}"#,
        r#"{"spec":{"containers":[{"ports":[{"containerPort":80}]}]}}"#,
        r#"{"spec":{"containers":[{"ports":"?"}]}}"#,
    ),
    (
        "CKV_K8S_27",
        "Pod",
        r#"{"spec":{"volumes":[{"hostPath":{"path":"/var/run/docker.sock"}}]}}"#,
        r#"{"spec":{"volumes":[{"emptyDir":{}}]}}"#,
        r#"{"spec":{"volumes":[{"hostPath":{"path":"?"}}]}}"#,
    ),
    (
        "CKV_K8S_28",
        "Pod",
        r#"{"spec":{"containers":[{}]}}"#,
        r#"{"spec":{"containers":[{"securityContext":{"capabilities":{"drop":["CAP_NET_RAW"]}}}]}}"#,
        r#"{"spec":{"containers":[{"securityContext":{"capabilities":{"drop":["?"]}}}]}}"#,
    ),
    (
        "CKV_K8S_29",
        "Pod",
        r#"{"spec":{"securityContext":{}}}"#,
        r#"{"spec":{"securityContext":{"runAsUser":1}}}"#,
        r#"{"spec":"?"}"#,
    ),
    (
        "CKV_K8S_31",
        "Pod",
        r#"{"spec":{"containers":[{"securityContext":{"seccompProfile":{"type":"Unconfined"}}}]}}"#,
        r#"{"spec":{"containers":[{"securityContext":{"seccompProfile":{"type":"RuntimeDefault"}}}]}}"#,
        r#"{"spec":{"securityContext":{"seccompProfile":{"type":"?"}}}}"#,
    ),
    (
        "CKV_K8S_35",
        "Pod",
        r#"{"spec":{"containers":[{"env":[{"name":"A","valueFrom":{"secretKeyRef":{"name":"s"}}}]}]}}"#,
        r#"{"spec":{"containers":[{"env":[{"name":"A","value":"b"}]}]}}"#,
        r#"{"spec":{"containers":[{"env":"?"}]}}"#,
    ),
    (
        "CKV_K8S_37",
        "Pod",
        r#"{"spec":{"containers":[{"securityContext":{"capabilities":{"drop":["NET_RAW"]}}}]}}"#,
        r#"{"spec":{"containers":[{"securityContext":{"capabilities":{"drop":["ALL"]}}}]}}"#,
        r#"{"spec":{"containers":[{"securityContext":{"capabilities":{"drop":["?"]}}}]}}"#,
    ),
    (
        "CKV_K8S_38",
        "Pod",
        r#"{"spec":{"a":1}}"#,
        r#"{"spec":{"automountServiceAccountToken":false}}"#,
        r#"{"spec":{"automountServiceAccountToken":"?"}}"#,
    ),
    (
        "CKV_K8S_40",
        "Pod",
        r#"{"spec":{"securityContext":{"runAsUser":20000},"containers":[{"securityContext":{"runAsUser":1000}}]}}"#,
        r#"{"spec":{"securityContext":{"runAsUser":20000},"containers":[{}]}}"#,
        r#"{"spec":{"securityContext":{"runAsUser":"?"},"containers":[{}]}}"#,
    ),
    (
        "CKV_K8S_43",
        "Pod",
        r#"{"spec":{"containers":[{"image":"a:1"}]}}"#,
        r#"{"spec":{"containers":[{"image":"a@sha256:0"}]}}"#,
        r#"{"spec":{"containers":[{"image":"?"}]}}"#,
    ),
    (
        "CKV_K8S_49",
        "rbac.authorization.k8s.io/v1/ClusterRole",
        r#"{"rules":[{"verbs":["*"]}]}"#,
        r#"{"rules":[{"verbs":["get"]}]}"#,
        r#"{"rules":[{"verbs":["?"]}]}"#,
    ),
];

/// The same rules over CloudFormation: alias, type, properties that fail, that pass.
const TEMPLATES: &[(&str, &str, &str, &str)] = &[
    ("CKV_AWS_20", "AWS::S3::Bucket", r#"{"AccessControl":"PublicRead"}"#, "{}"),
    ("CKV_AWS_57", "AWS::S3::Bucket", r#"{"AccessControl":"PublicReadWrite"}"#, r#"{"AccessControl":"PublicRead"}"#),
    ("CKV_AWS_53", "AWS::S3::Bucket", "{}", r#"{"PublicAccessBlockConfiguration":{"BlockPublicAcls":true}}"#),
    ("CKV_AWS_54", "AWS::S3::Bucket", "{}", r#"{"PublicAccessBlockConfiguration":{"BlockPublicPolicy":"true"}}"#),
    ("CKV_AWS_55", "AWS::S3::Bucket", "{}", r#"{"PublicAccessBlockConfiguration":{"IgnorePublicAcls":true}}"#),
    ("CKV_AWS_56", "AWS::S3::Bucket", "{}", r#"{"PublicAccessBlockConfiguration":{"RestrictPublicBuckets":true}}"#),
    ("CKV_AWS_21", "AWS::S3::Bucket", "{}", r#"{"VersioningConfiguration":{"Status":"Enabled"}}"#),
    ("CKV_AWS_3", "AWS::EC2::Volume", "{}", r#"{"Encrypted":true}"#),
    (
        "CKV_AWS_79",
        "AWS::EC2::LaunchTemplate",
        "{}",
        r#"{"LaunchTemplateData":{"MetadataOptions":{"HttpTokens":"required"}}}"#,
    ),
    (
        "CKV_AWS_88",
        "AWS::EC2::Instance",
        r#"{"NetworkInterfaces":[{"AssociatePublicIpAddress":true}]}"#,
        r#"{"NetworkInterfaces":[{"AssociatePublicIpAddress":false}]}"#,
    ),
    ("CKV_AWS_46", "AWS::EC2::Instance", r#"{"UserData":"AKIAIOSFODNN7EXAMPLE"}"#, r#"{"UserData":"x"}"#),
    (
        "CKV_AWS_24",
        "AWS::EC2::SecurityGroup",
        r#"{"SecurityGroupIngress":[{"FromPort":"22","ToPort":"22","CidrIp":"0.0.0.0/0"}]}"#,
        r#"{"SecurityGroupIngress":[{"FromPort":80,"ToPort":80,"CidrIp":"0.0.0.0/0"}]}"#,
    ),
    (
        "CKV_AWS_25",
        "AWS::EC2::SecurityGroupIngress",
        r#"{"FromPort":3000,"ToPort":4000,"CidrIpv6":"::/0"}"#,
        r#"{"FromPort":3389,"ToPort":3389,"CidrIp":"10.0.0.0/8"}"#,
    ),
    (
        "CKV_AWS_260",
        "AWS::EC2::SecurityGroup",
        r#"{"SecurityGroupIngress":[{"FromPort":80,"ToPort":80,"CidrIp":"0.0.0.0/0"}]}"#,
        "{}",
    ),
    ("CKV_AWS_40", "AWS::IAM::Policy", r#"{"Users":["a"]}"#, r#"{"Roles":["a"]}"#),
    (
        "CKV_AWS_60",
        "AWS::IAM::Role",
        r#"{"AssumeRolePolicyDocument":{"Statement":[{"Effect":"Allow","Principal":{"AWS":"*"}}]}}"#,
        r#"{"AssumeRolePolicyDocument":{"Statement":[{"Effect":"Deny","Principal":{"AWS":"*"}}]}}"#,
    ),
    (
        "CKV_AWS_62",
        "AWS::IAM::Role",
        r#"{"Policies":[{"PolicyDocument":{"Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}}]}"#,
        r#"{"Policies":[{"PolicyDocument":{"Statement":[{"Effect":"Allow","Action":"*","Resource":"a"}]}}]}"#,
    ),
    (
        "CKV_AWS_63",
        "AWS::IAM::Policy",
        r#"{"PolicyDocument":{"Statement":[{"Effect":"Allow","Action":["*"],"Resource":"a"}]}}"#,
        r#"{"PolicyDocument":{"Statement":[{"Effect":"Allow","Action":["s3:*"]}]}}"#,
    ),
    (
        "CKV_AWS_45",
        "AWS::Lambda::Function",
        r#"{"Environment":{"Variables":{"K":"AKIAIOSFODNN7EXAMPLE"}}}"#,
        r#"{"Environment":{"Variables":{"K":"v"}}}"#,
    ),
    ("CKV_AWS_7", "AWS::KMS::Key", "{}", r#"{"KeySpec":"RSA_4096"}"#),
    (
        "CKV_AWS_33",
        "AWS::KMS::Key",
        r#"{"KeyPolicy":{"Statement":[{"Effect":"Allow","Principal":"*"}]}}"#,
        r#"{"KeyPolicy":{"Statement":[{"Effect":"Allow","Principal":{"AWS":"arn"}}]}}"#,
    ),
    ("CKV_AWS_149", "AWS::SecretsManager::Secret", "{}", r#"{"KmsKeyId":"arn"}"#),
    ("CKV_AWS_16", "AWS::RDS::DBInstance", r#"{"Engine":"postgres"}"#, r#"{"Engine":"aurora-mysql"}"#),
    ("CKV_AWS_17", "AWS::RDS::DBInstance", r#"{"PubliclyAccessible":true}"#, "{}"),
    ("CKV_AWS_96", "AWS::RDS::DBCluster", "{}", r#"{"SnapshotIdentifier":"s"}"#),
    ("CKV_AWS_64", "AWS::Redshift::Cluster", "{}", r#"{"Encrypted":true}"#),
    ("CKV_AWS_87", "AWS::Redshift::Cluster", "{}", r#"{"PubliclyAccessible":false}"#),
    (
        "CKV_AWS_28",
        "AWS::DynamoDB::Table",
        "{}",
        r#"{"PointInTimeRecoverySpecification":{"PointInTimeRecoveryEnabled":true}}"#,
    ),
    ("CKV_AWS_29", "AWS::ElastiCache::ReplicationGroup", "{}", r#"{"AtRestEncryptionEnabled":true}"#),
    ("CKV_AWS_5", "AWS::Elasticsearch::Domain", "{}", r#"{"EncryptionAtRestOptions":{"Enabled":true}}"#),
    ("CKV_AWS_83", "AWS::Elasticsearch::Domain", "{}", r#"{"DomainEndpointOptions":{"EnforceHTTPS":true}}"#),
    ("CKV_AWS_42", "AWS::EFS::FileSystem", "{}", r#"{"Encrypted":true}"#),
    ("CKV_AWS_26", "AWS::SNS::Topic", "{}", r#"{"KmsMasterKeyId":"k"}"#),
    ("CKV_AWS_27", "AWS::SQS::Queue", "{}", r#"{"KmsMasterKeyId":"k"}"#),
    ("CKV_AWS_43", "AWS::Kinesis::Stream", "{}", r#"{"StreamEncryption":{"EncryptionType":"KMS"}}"#),
    ("CKV_AWS_81", "AWS::MSK::Cluster", "{}", r#"{"EncryptionInfo":{"EncryptionInTransit":{"ClientBroker":"TLS"}}}"#),
    ("CKV_AWS_35", "AWS::CloudTrail::Trail", "{}", r#"{"KMSKeyId":"k"}"#),
    ("CKV_AWS_36", "AWS::CloudTrail::Trail", "{}", r#"{"EnableLogFileValidation":true}"#),
    ("CKV_AWS_67", "AWS::CloudTrail::Trail", "{}", r#"{"IsMultiRegionTrail":true}"#),
    (
        "CKV_AWS_2",
        "AWS::ElasticLoadBalancingV2::Listener",
        r#"{"Protocol":"HTTP"}"#,
        r#"{"Protocol":"HTTP","DefaultActions":[{"Type":"redirect","RedirectConfig":{"Protocol":"HTTPS"}}]}"#,
    ),
    (
        "CKV_AWS_91",
        "AWS::ElasticLoadBalancingV2::LoadBalancer",
        "{}",
        r#"{"LoadBalancerAttributes":[{"Key":"access_logs.s3.enabled","Value":true}]}"#,
    ),
    (
        "CKV_AWS_103",
        "AWS::ElasticLoadBalancingV2::Listener",
        r#"{"Protocol":"TLS"}"#,
        r#"{"Protocol":"HTTPS","SslPolicy":"ELBSecurityPolicy-TLS13-1-3-2021-06"}"#,
    ),
    (
        "CKV_AWS_34",
        "AWS::CloudFront::Distribution",
        r#"{"DistributionConfig":{"CacheBehaviors":[{"ViewerProtocolPolicy":"allow-all"}]}}"#,
        r#"{"DistributionConfig":{}}"#,
    ),
    (
        "CKV_AWS_174",
        "AWS::CloudFront::Distribution",
        "{}",
        r#"{"DistributionConfig":{"ViewerCertificate":{"MinimumProtocolVersion":"TLSv1.2_2021"}}}"#,
    ),
    (
        "CKV_AWS_32",
        "AWS::ECR::Repository",
        r#"{"RepositoryPolicyText":{"Statement":[{"Effect":"Allow","Principal":"*"}]}}"#,
        "{}",
    ),
    ("CKV_AWS_51", "AWS::ECR::Repository", "{}", r#"{"ImageTagMutability":"IMMUTABLE"}"#),
    ("CKV_AWS_163", "AWS::ECR::Repository", "{}", r#"{"ImageScanningConfiguration":{"ScanOnPush":true}}"#),
    ("CKV_AWS_58", "AWS::EKS::Cluster", "{}", r#"{"EncryptionConfig":[{"Resources":["secrets"]}]}"#),
];

#[test]
fn every_rule_fails_passes_and_says_when_it_does_not_know() {
    for (alias, kind, fails, passes, unknown) in CASES {
        assert_eq!(verdict(alias, kind, fails), "fail", "{alias} {fails}");
        for (json, expect) in [(passes, "pass"), (unknown, "unknown")] {
            if !json.is_empty() {
                assert_eq!(verdict(alias, kind, json), expect, "{alias} {json}");
            }
        }
    }
}

#[test]
fn the_same_rules_judge_cloudformation() {
    for (alias, kind, fails, passes) in TEMPLATES {
        for shape in ["{}", r#"{"Properties":{}}"#] {
            let wrap = |json: &str| shape.replace("{}", json);
            assert_eq!(verdict(alias, kind, &wrap(fails)), "fail", "{alias} {fails}");
            assert_eq!(verdict(alias, kind, &wrap(passes)), "pass", "{alias} {passes}");
        }
    }
}

#[test]
fn every_rule_stands_in_the_tables_of_this_test() {
    let tested: BTreeSet<&str> = CASES.iter().map(|c| c.0).collect();
    let templated: BTreeSet<&str> = TEMPLATES.iter().map(|c| c.0).collect();
    for rule in &RuleSet::embedded().rules {
        assert!(tested.contains(rule.aliases[0].as_str()), "{} has no case", rule.id);
        if rule.on.iter().any(|clause| clause.kinds.iter().any(|k| k.contains("::"))) {
            assert!(templated.contains(rule.aliases[0].as_str()), "{} has no CloudFormation case", rule.id);
        }
    }
    let ids: BTreeSet<_> = RuleSet::embedded().rules.iter().map(|r| &r.id).collect();
    assert_eq!(ids.len(), RuleSet::embedded().rules.len(), "ids are unique");
    assert!(ids.len() >= 83, "{} rules", ids.len());
}

#[test]
fn a_connected_resource_counts_for_the_one_it_refers_to() {
    let graph = |block: &str, depends: &str| {
        let mut other = resource("aws_s3_bucket_public_access_block", "aws_s3_bucket_public_access_block.b", block);
        other.depends_on = vec![depends.to_owned()];
        let bucket = resource("aws_s3_bucket", "aws_s3_bucket.a", "{}");
        ResourceGraph { resources: vec![bucket, other], ..ResourceGraph::default() }
    };
    let full = r#"{"block_public_acls":true,"block_public_policy":true}"#;
    assert_eq!(answer("CKV2_AWS_6", &graph(full, "aws_s3_bucket.a")), "pass");
    assert_eq!(answer("CKV2_AWS_6", &graph(full, "aws_s3_bucket.other")), "fail");
    assert_eq!(answer("CKV2_AWS_6", &graph(r#"{"block_public_acls":true}"#, "aws_s3_bucket.a")), "fail");
    let half = r#"{"block_public_acls":true,"block_public_policy":"?"}"#;
    assert_eq!(answer("CKV2_AWS_6", &graph(half, "aws_s3_bucket.a")), "unknown");
}

#[test]
fn instances_of_one_block_give_one_finding_that_names_its_rule_and_place() {
    let instances = (0..3).map(|i| resource("aws_ebs_volume", &format!("aws_ebs_volume.v[{i}]"), "{}"));
    let graph = ResourceGraph { resources: instances.collect(), ..ResourceGraph::default() };
    let report = judge(&graph, RuleSet::embedded());
    assert_eq!(report.found.len(), 1);
    assert_eq!(report.found[0].identity.key, "aws_ebs_volume.v");
    assert_eq!(report.found[0].place.to_string(), "main.tf:1:1");
}

#[test]
fn an_annotation_sets_a_finding_aside() {
    let json = r#"{"metadata":{"annotations":{"checkov.io/skip1":"CKV_K8S_38=needs it"}},"spec":{"a":1}}"#;
    let graph = ResourceGraph { resources: vec![resource("Pod", "default/Pod/a", json)], ..ResourceGraph::default() };
    let found = judge(&graph, RuleSet::embedded()).found;
    let skipped = |alias: &str| found.iter().find(|f| f.is_called(alias)).unwrap().skipped.clone();
    assert_eq!(skipped("CKV_K8S_38").unwrap().reason.as_deref(), Some("needs it"));
    assert_eq!(skipped("CKV_K8S_29"), None);
}
