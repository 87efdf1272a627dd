//! Login methods: how a machine or a person becomes a token.

pub(crate) mod approle;
pub(crate) mod userpass;

use crate::token::NewToken;
use crate::{Request, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// What a login method says about the tokens it gives, by the `token_*` parameters all methods share.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct TokenSettings {
    pub(crate) policies: Vec<String>,
    pub(crate) ttl: u64,
    pub(crate) max_ttl: u64,
    pub(crate) explicit_max_ttl: u64,
    pub(crate) period: u64,
    pub(crate) num_uses: u64,
    pub(crate) no_default_policy: bool,
}

impl TokenSettings {
    /// With what the body says; old names without `token_` count for policies and lives.
    pub(crate) fn change(&mut self, request: &Request) -> Result<(), Response> {
        if let Some(policies) = request.texts("token_policies").or_else(|| request.texts("policies")) {
            self.policies = policies;
        }
        let set = |into: &mut u64, names: [&str; 2]| -> Result<(), Response> {
            for name in names {
                if let Some(seconds) = request.seconds(name)? {
                    *into = seconds;
                    break;
                }
            }
            Ok(())
        };
        set(&mut self.ttl, ["token_ttl", "ttl"])?;
        set(&mut self.max_ttl, ["token_max_ttl", "max_ttl"])?;
        set(&mut self.explicit_max_ttl, ["token_explicit_max_ttl", "token_explicit_max_ttl"])?;
        set(&mut self.period, ["token_period", "period"])?;
        if let Some(uses) = request.whole("token_num_uses") {
            self.num_uses = uses;
        }
        if let Some(flag) = request.flag("token_no_default_policy") {
            self.no_default_policy = flag;
        }
        if self.policies.iter().any(|p| p == "root") {
            return Err(Response::bad("a login method gives no root tokens"));
        }
        Ok(())
    }

    pub(crate) fn shown(&self) -> Value {
        json!({
            "token_policies": self.policies,
            "token_ttl": self.ttl,
            "token_max_ttl": self.max_ttl,
            "token_explicit_max_ttl": self.explicit_max_ttl,
            "token_period": self.period,
            "token_num_uses": self.num_uses,
            "token_no_default_policy": self.no_default_policy,
            "token_bound_cidrs": [],
            "token_type": "default",
        })
    }

    /// The token a login gives.
    pub(crate) fn token(&self, path: &str, display_name: String) -> NewToken {
        let mut policies = self.policies.clone();
        if !self.no_default_policy {
            policies.push("default".into());
        }
        policies.sort_unstable();
        policies.dedup();
        let max = [self.max_ttl, self.explicit_max_ttl].into_iter().filter(|s| *s > 0).min().unwrap_or(0);
        NewToken {
            policies,
            path: path.to_owned(),
            display_name,
            num_uses: self.num_uses,
            ttl: self.ttl,
            explicit_max_ttl: max,
            period: self.period,
            renewable: true,
            ..NewToken::default()
        }
    }
}

/// Bounds on where a login may come from are not served: a role that asks for them is refused rather than left open.
pub(crate) fn refuse_cidrs(request: &Request) -> Result<(), Response> {
    for name in ["secret_id_bound_cidrs", "token_bound_cidrs", "bound_cidr_list", "cidr_list"] {
        if request.texts(name).is_some_and(|list| !list.is_empty()) {
            return Err(Response::bad(format!(
                "{name} is not supported; leave it out, or bound addresses before this port"
            )));
        }
    }
    Ok(())
}
