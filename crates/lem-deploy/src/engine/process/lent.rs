//! Secrets of one instance: leased before it starts, given back when it has ended.

use super::Shared;
use lem_engine_mask::Masker;
use lem_model::port::Scope;

/// Whom the secrets of an instance are lent to.
pub(super) fn holder(instance: &str) -> String {
    format!("instance:{instance}")
}

/// Why an instance cannot have its secrets.
pub(super) enum Refused {
    /// One of them is not there: to try again at once is no use.
    Missing(String),
    /// The source did not answer.
    Unanswered(String),
}

/// What an instance was lent.
pub(super) struct Lent {
    /// Variables and values.
    pub(super) values: Vec<(String, String)>,
    /// Hides the values.
    pub(super) masker: Masker,
}

impl Shared {
    /// Leases the secrets an instance is to have: all of them or none.
    pub(super) async fn lend(
        &self,
        scope: &Scope,
        instance: &str,
        wanted: &[(String, String)],
    ) -> Result<Lent, Refused> {
        let mut values = vec![];
        for (variable, secret) in wanted {
            match self.lend_one(scope, instance, variable, secret).await {
                Ok(value) => values.push((variable.clone(), value)),
                Err(refused) => {
                    self.give_back(instance, wanted).await;
                    return Err(refused);
                }
            }
        }
        let masker = Masker::new(values.iter().map(|(_, value)| value.as_str()));
        Ok(Lent { values, masker })
    }

    async fn lend_one(&self, scope: &Scope, instance: &str, variable: &str, secret: &str) -> Result<String, Refused> {
        let who = format!("service {} in {} needs {variable}", scope.service, scope.environment);
        let Some(source) = &self.secrets else {
            return Err(Refused::Missing(format!("{who} from the secret {secret}, and no secret store is connected")));
        };
        match source.lease(secret, &holder(instance)).await {
            Ok(Some(value)) => Ok(value),
            Ok(None) => {
                let (path, key) = secret.split_once('#').unwrap_or((secret, ""));
                Err(Refused::Missing(format!(
                    "{who}, and there is no secret {secret}; lem secret set {path} {key}=- writes it"
                )))
            }
            Err(error) => Err(Refused::Unanswered(format!("{who} from the secret {secret}: {error}"))),
        }
    }

    /// Ends the leases of an instance that has ended.
    pub(super) async fn give_back(&self, instance: &str, lent: &[(String, String)]) {
        if let Some(source) = self.secrets.as_ref().filter(|_| !lent.is_empty())
            && let Err(error) = source.release(&holder(instance)).await
        {
            tracing::error!(%instance, %error, "the leases of an instance did not end with it; they end by their time");
        }
    }
}
