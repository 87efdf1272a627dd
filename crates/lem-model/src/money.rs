//! Money: decimal, with its currency, never a binary fraction.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Hours in a month, everywhere.
pub const MONTH_HOURS: u32 = 730;

/// An amount in one currency. Rounded only when shown.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Money {
    /// Exact amount.
    pub amount: Decimal,
    /// ISO 4217 code.
    pub currency: String,
}

impl Money {
    /// An amount in US dollars, the currency of the embedded price book.
    pub fn usd(amount: Decimal) -> Self {
        Self { amount, currency: "USD".to_owned() }
    }

    /// The sum, when both are in the same currency: there is no silent conversion.
    pub fn plus(&self, other: &Self) -> Option<Self> {
        (self.currency == other.currency)
            .then(|| Self { amount: self.amount + other.amount, currency: self.currency.clone() })
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rounded = self.amount.round_dp(2);
        match self.currency.as_str() {
            "USD" if rounded.is_sign_negative() && !rounded.is_zero() => write!(f, "-${:.2}", rounded.abs()),
            // Nothing is nothing, also when it was taken away.
            "USD" => write!(f, "${:.2}", rounded.abs()),
            other => write!(f, "{rounded:.2} {other}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_shows_two_digits_and_does_not_convert() {
        let one = Money::usd(Decimal::new(34_199, 3));
        assert_eq!(one.to_string(), "$34.20");
        assert_eq!(Money::usd(Decimal::new(-5, 1)).to_string(), "-$0.50");
        assert_eq!(Money::usd(-Decimal::ZERO).to_string(), "$0.00");
        assert_eq!(Money::usd(Decimal::new(-1, 3)).to_string(), "$0.00");
        assert_eq!(one.plus(&Money { amount: Decimal::ONE, currency: "EUR".into() }), None);
    }
}
