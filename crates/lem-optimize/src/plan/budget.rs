//! Budgets and the gate on a plan: `optimize.budgets` of `lem.yaml`.

use super::estimate::Estimate;
use lem_engine_yaml::{Node, Reader};
use lem_model::money::Money;
use lem_model::port::GateAnswer;
use lem_model::text::counted;
use lem_model::{EnvironmentName, Place};
use rust_decimal::Decimal;

/// Shares of the limit at which a warning is due.
pub const THRESHOLDS: [u32; 2] = [50, 80];

/// What an environment may cost a month.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Name.
    pub name: String,
    /// Environment it is about; every one when none is named.
    pub environment: Option<EnvironmentName>,
    /// Limit a month.
    pub monthly: Money,
    /// Resources that may be unpriced before somebody must look; no limit when not said.
    pub unpriced: Option<usize>,
    /// Where it is written.
    pub place: Place,
}

/// How an estimate stands against one budget.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Budget.
    pub budget: Budget,
    /// Known cost a month after the plan; `None` when it is in another currency.
    pub estimate: Option<Money>,
    /// Resources without a price.
    pub unpriced: usize,
    /// Share of the limit that is used, in whole percent.
    pub percent: Option<Decimal>,
    /// Whether the limit is passed or cannot be judged.
    pub answer: GateAnswer,
}

impl Budget {
    /// Reads one item of `optimize.budgets`.
    pub fn read(reader: &Reader, node: &Node) -> Option<Self> {
        let mut fields = reader.fields(node, "a budget")?;
        let name = fields.require("name").and_then(|n| reader.string(n, "name"));
        let environment = fields.take("environment").and_then(|n| reader.string(n, "environment"));
        let monthly = fields.require("monthly").and_then(|n| money(reader, n));
        let unpriced = fields.take("unpriced").and_then(|n| reader.integer(n, "unpriced"));
        fields.finish();
        Some(Self {
            name: name?,
            environment: environment.map(EnvironmentName::from),
            monthly: monthly?,
            unpriced: unpriced.map(|n| usize::try_from(n).unwrap_or(0)),
            place: node.place(reader.file()),
        })
    }

    /// Whether it is about this environment. A graph without one counts for every budget: nobody said what it is not for.
    pub fn covers(&self, environment: Option<&EnvironmentName>) -> bool {
        match (&self.environment, environment) {
            (Some(own), Some(asked)) => own == asked,
            _ => true,
        }
    }

    /// How an estimate stands against it.
    pub fn judge(&self, estimate: &Estimate) -> Standing {
        let known = estimate.known_after();
        let unpriced = estimate.unpriced().len();
        let rule = format!("budget {} ({})", self.name, self.place);
        let comparable = known.currency == self.monthly.currency;
        let answer = if !comparable {
            let why = format!("{rule} is in {} and the estimate in {}", self.monthly.currency, known.currency);
            GateAnswer::Deny(why)
        } else if known.amount > self.monthly.amount {
            let least = if estimate.unknown().is_empty() { "" } else { "at least " };
            GateAnswer::Deny(format!("{rule} allows {}/month; the plan costs {least}{known}/month", self.monthly))
        } else if self.unpriced.is_some_and(|most| unpriced > most) {
            let most = self.unpriced.unwrap_or_default();
            GateAnswer::Deny(format!(
                "{rule} allows {} without a price; there are {unpriced}",
                counted(most, "resource", "resources")
            ))
        } else {
            GateAnswer::Allow
        };
        let percent = (comparable && !self.monthly.amount.is_zero())
            .then(|| (known.amount / self.monthly.amount * Decimal::ONE_HUNDRED).round_dp(1));
        Standing { budget: self.clone(), estimate: comparable.then_some(known), unpriced, percent, answer }
    }
}

impl Standing {
    /// The highest threshold that is passed without passing the limit.
    pub fn warning(&self) -> Option<u32> {
        let percent = self.percent.filter(|_| self.answer == GateAnswer::Allow)?;
        THRESHOLDS.into_iter().rev().find(|t| percent >= Decimal::from(*t))
    }
}

/// `500 USD`, `$500` or a bare number of dollars.
pub fn money(reader: &Reader, node: &Node) -> Option<Money> {
    let text = node.text().unwrap_or_default().trim();
    let (amount, currency) = match (text.strip_prefix('$'), text.split_once(' ')) {
        (Some(amount), _) => (amount, "USD"),
        (None, Some((amount, currency))) => (amount, currency.trim()),
        (None, None) => (text, "USD"),
    };
    let code = currency.len() == 3 && currency.chars().all(|c| c.is_ascii_uppercase());
    match amount.parse::<Decimal>() {
        Ok(amount) if code && amount >= Decimal::ZERO => Some(Money { amount, currency: currency.to_owned() }),
        _ => {
            reader.error_with_hint(
                node,
                "wrong-money",
                format!("\"{text}\" is no amount of money"),
                "write it as 500 USD",
            );
            None
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use lem_engine_yaml::{Options, parse_one};

    fn read(text: &str) -> Result<Budget, String> {
        let node = parse_one(text, "lem.yaml", Options::default()).0.unwrap();
        let reader = Reader::new("lem.yaml");
        let budget = Budget::read(&reader, &node);
        budget.ok_or_else(|| reader.into_diagnostics()[0].to_string())
    }

    #[test]
    fn money_is_written_in_several_ways_and_nothing_else() {
        for (written, expect) in [("500 USD", "$500.00"), ("$12.5", "$12.50"), ("7", "$7.00"), ("80 EUR", "80.00 EUR")]
        {
            assert_eq!(read(&format!("name: b\nmonthly: {written}")).unwrap().monthly.to_string(), expect);
        }
        for wrong in ["lots", "5 dollars", "-3 USD"] {
            let said = read(&format!("name: b\nmonthly: {wrong}")).unwrap_err();
            assert!(said.starts_with("lem.yaml:2:10: ") && said.contains("write it as 500 USD"), "{said}");
        }
        assert!(read("monthly: 5").unwrap_err().contains("needs \"name\""));
    }
}
