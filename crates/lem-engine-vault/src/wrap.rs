//! Response wrapping: an answer is put away and a token that works once is given out instead.

use crate::core::Open;
use crate::token::{NewToken, Token};
use crate::{Response, VaultError};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The policy of a wrapping token; it allows nothing but taking the answer out.
pub(crate) const POLICY: &str = "response-wrapping";

#[derive(Serialize, Deserialize)]
struct Wrapped {
    body: Value,
    path: String,
    ttl: u64,
    created: String,
}

fn record(token: &Token) -> String {
    format!("cubbyhole/{}/response", token.fingerprint)
}

fn invalid() -> Response {
    Response::bad("wrapping token is not valid or does not exist")
}

impl Open {
    /// Puts an answer away; the answer to give instead.
    pub(crate) fn wrap(
        &mut self,
        answer: Value,
        path: &str,
        ttl: u64,
        now: jiff::Timestamp,
    ) -> Result<Response, VaultError> {
        let new = NewToken {
            policies: vec![POLICY.to_owned()],
            path: path.to_owned(),
            display_name: "wrapped response".to_owned(),
            num_uses: 1,
            ttl,
            explicit_max_ttl: ttl,
            ..NewToken::default()
        };
        let (clear, token) = self.create_token(new, None, now.as_second())?;
        let created = now.to_string();
        let wrapped = Wrapped { body: answer, path: path.to_owned(), ttl, created: created.clone() };
        self.store.put(&record(&token), &wrapped)?;
        let mut response = Response::data(Value::Null);
        response.wrappable = false;
        if let Some(body) = &mut response.body {
            body["wrap_info"] = json!({
                "token": clear,
                "accessor": token.accessor,
                "ttl": ttl,
                "creation_time": created,
                "creation_path": path,
                "wrapped_accessor": wrapped.body["auth"]["accessor"].as_str().unwrap_or_default(),
            });
        }
        Ok(response)
    }

    fn wrapped(&self, clear: &str, now: i64) -> Result<(Token, Wrapped), Response> {
        let token = self.token(clear, now)?.filter(|t| t.policies == [POLICY]).ok_or_else(invalid)?;
        let wrapped = self.store.get(&record(&token))?.ok_or_else(invalid)?;
        Ok((token, wrapped))
    }

    /// Takes an answer out, once.
    pub(crate) fn unwrap(&mut self, clear: &str, now: i64) -> Result<Response, Response> {
        let (token, wrapped) = self.wrapped(clear, now)?;
        self.revoke_token(&token.fingerprint)?;
        Ok(Response::plain(200, wrapped.body))
    }

    /// What a wrapping token is about, without taking the answer out.
    pub(crate) fn wrapping_lookup(&self, clear: &str, now: i64) -> Result<Response, Response> {
        let (_, wrapped) = self.wrapped(clear, now)?;
        Ok(Response::data(json!({
            "creation_path": wrapped.path,
            "creation_time": wrapped.created,
            "creation_ttl": wrapped.ttl,
        })))
    }

    /// Puts a wrapped answer under a new token.
    pub(crate) fn rewrap(&mut self, clear: &str, now: jiff::Timestamp) -> Result<Response, Response> {
        let (token, wrapped) = self.wrapped(clear, now.as_second())?;
        self.revoke_token(&token.fingerprint)?;
        Ok(self.wrap(wrapped.body, &wrapped.path, wrapped.ttl, now)?)
    }
}
