//! `terraform_data` and `null_resource`: objects that exist in the state alone.

use super::{Kind, Made, Registered, Surroundings, put};
use crate::schema::{Attribute, Schema};
use async_trait::async_trait;
use lem_engine_hcl::value::{Entries, Value};
use lem_engine_hcl::{Mode, Type};

pub(super) fn kinds() -> Vec<Registered> {
    let data = Data(Schema::new(vec![
        Attribute::computed("id", Type::String),
        Attribute::optional("input", Type::Any),
        Attribute::computed("output", Type::Any),
        Attribute::optional("triggers_replace", Type::Any).replacing(),
    ]));
    let null = Null(Schema::new(vec![
        Attribute::computed("id", Type::String),
        Attribute::optional("triggers", Type::map(Type::String)).replacing(),
    ]));
    vec![(Mode::Managed, "terraform_data", Box::new(data)), (Mode::Managed, "null_resource", Box::new(null))]
}

struct Data(Schema);

#[async_trait]
impl Kind for Data {
    fn schema(&self) -> &Schema {
        &self.0
    }

    fn provider(&self) -> &'static str {
        "terraform.io/builtin/terraform"
    }

    fn unsettle(&self, prior: &Entries, planned: &Entries) -> Vec<&'static str> {
        if prior.get("input") == planned.get("input") { vec![] } else { vec!["output"] }
    }

    async fn create(&self, mut planned: Entries, _around: &Surroundings) -> Made {
        if planned.get("id").is_none_or(Value::is_unknown) {
            put(&mut planned, "id", uuid::Uuid::new_v4().to_string().as_str());
        }
        let input = planned.get("input").cloned().unwrap_or_else(Value::null);
        put(&mut planned, "output", input);
        Made::done(planned)
    }
}

struct Null(Schema);

#[async_trait]
impl Kind for Null {
    fn schema(&self) -> &Schema {
        &self.0
    }

    fn provider(&self) -> &'static str {
        "registry.terraform.io/hashicorp/null"
    }

    async fn create(&self, mut planned: Entries, _around: &Surroundings) -> Made {
        if planned.get("id").is_none_or(Value::is_unknown) {
            put(&mut planned, "id", rand::random::<u64>().to_string().as_str());
        }
        Made::done(planned)
    }
}
