//! Numbers: whole ones up to 64 bits exactly and fast, all others as binary floats of 512 bits.
//!
//! Limits: a literal or result whose decimal exponent is beyond [`MAX_DIGITS`] is refused; a fraction such as 0.1 is the
//! nearest 512-bit value, which prints as 0.1 again.

use dashu_base::{Abs, Sign, Signed};
use dashu_float::{DBig, FBig, round::mode::HalfEven};
use dashu_int::IBig;
use std::cmp::Ordering;
use std::fmt;

/// Precision of everything that is not a small whole number.
pub const PRECISION_BITS: usize = 512;

/// Decimal digits before or after the point that a number may have.
pub const MAX_DIGITS: i64 = 5000;

type Big = FBig<HalfEven, 2>;

/// A number.
#[derive(Clone, Debug)]
pub struct Number(Repr);

#[derive(Clone, Debug)]
enum Repr {
    Int(i64),
    /// Never a whole number that fits the other arm.
    Big(Box<Big>),
}

/// Why there is no number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NumberError {
    /// Not written as a number.
    #[error("not a number")]
    Syntax,
    /// Too large or too small.
    #[error("a number has at most {MAX_DIGITS} digits on either side of the point")]
    TooLong,
    /// A division by zero.
    #[error("division by zero")]
    DivisionByZero,
    /// The infinite or undefined result of a float function.
    #[error("the result is not a finite number")]
    NotFinite,
}

impl From<i64> for Number {
    fn from(value: i64) -> Self {
        Self(Repr::Int(value))
    }
}

impl Number {
    fn from_big(big: Big) -> Result<Self, NumberError> {
        let (mantissa, exponent) = big.clone().into_repr().into_parts();
        let bits = dashu_base::BitTest::bit_len(&mantissa) as i64 + exponent as i64;
        if mantissa != IBig::ZERO && bits.abs() > MAX_DIGITS * 10 / 3 {
            return Err(NumberError::TooLong);
        }
        if exponent >= 0
            && bits <= 64
            && let Ok(small) = i64::try_from(&(mantissa.clone() << exponent as usize))
        {
            return Ok(Self(Repr::Int(small)));
        }
        Ok(Self(Repr::Big(Box::new(big.with_precision(PRECISION_BITS).value()))))
    }

    fn big(&self) -> Big {
        match &self.0 {
            Repr::Int(value) => Big::from(*value).with_precision(PRECISION_BITS).value(),
            Repr::Big(big) => (**big).clone(),
        }
    }

    /// Reads decimal text with optional sign, point and exponent.
    pub fn parse(text: &str) -> Result<Self, NumberError> {
        let digits = text.strip_prefix('-').unwrap_or(text);
        if digits.len() < 19 && !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) {
            return text.parse::<i64>().map(Self::from).map_err(|_| NumberError::Syntax);
        }
        let (mantissa, exponent) = match digits.find(['e', 'E']) {
            Some(at) => (&digits[..at], digits[at + 1..].parse::<i64>().map_err(|_| NumberError::Syntax)?),
            None => (digits, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all_digits = |t: &str| t.bytes().all(|b| b.is_ascii_digit());
        if whole.len() + fraction.len() == 0 || !all_digits(whole) || !all_digits(fraction) {
            return Err(NumberError::Syntax);
        }
        if exponent.abs() > MAX_DIGITS || mantissa.len() as i64 > MAX_DIGITS {
            return Err(NumberError::TooLong);
        }
        let significand: IBig = format!("{whole}{fraction}").parse().map_err(|_| NumberError::Syntax)?;
        let decimal = DBig::from_parts(significand, (exponent - fraction.len() as i64) as isize);
        let big = decimal.with_rounding::<HalfEven>().with_base_and_precision::<2>(PRECISION_BITS).value();
        Self::from_big(if text.starts_with('-') { -big } else { big })
    }

    /// From a float of 64 bits: the shortest decimal that reads back as the same float.
    pub fn from_f64(value: f64) -> Result<Self, NumberError> {
        if value.fract() == 0.0 && value.abs() < 9e15 {
            return Ok(Self::from(value as i64));
        }
        if value.is_finite() { Self::parse(&value.to_string()) } else { Err(NumberError::NotFinite) }
    }

    /// From an unsigned number of 64 bits.
    pub fn from_u64(value: u64) -> Self {
        Self::from_big(Big::from(value)).unwrap_or_else(|_| unreachable!("64 bits are within the limit"))
    }

    /// From digits in a base from 2 to 62, as `parseint` reads them.
    pub fn from_digits(text: &str, base: u32) -> Result<Self, NumberError> {
        let digits = text.strip_prefix('-').unwrap_or(text);
        if digits.is_empty() {
            return Err(NumberError::Syntax);
        }
        if digits.len() as i64 > MAX_DIGITS {
            return Err(NumberError::TooLong);
        }
        let mut sum = IBig::ZERO;
        for c in digits.chars() {
            let digit = match c {
                '0'..='9' => c as u32 - '0' as u32,
                'a'..='z' => c as u32 - 'a' as u32 + 10,
                'A'..='Z' if base <= 36 => c as u32 - 'A' as u32 + 10,
                'A'..='Z' => c as u32 - 'A' as u32 + 36,
                _ => return Err(NumberError::Syntax),
            };
            if digit >= base {
                return Err(NumberError::Syntax);
            }
            sum = sum * IBig::from(base) + IBig::from(digit);
        }
        Self::from_big(Big::from_parts(if text.starts_with('-') { -sum } else { sum }, 0))
    }

    /// The whole number of 64 bits it is, if it is one.
    pub fn as_i64(&self) -> Option<i64> {
        match self.0 {
            Repr::Int(value) => Some(value),
            Repr::Big(_) => None,
        }
    }

    /// The index or count it is, if it is one.
    pub fn as_usize(&self) -> Option<usize> {
        usize::try_from(self.as_i64()?).ok()
    }

    /// The nearest float of 64 bits.
    pub fn to_f64(&self) -> f64 {
        match &self.0 {
            Repr::Int(value) => *value as f64,
            Repr::Big(big) => big.to_f64().value(),
        }
    }

    /// Whether it has no fraction.
    pub fn is_whole(&self) -> bool {
        match &self.0 {
            Repr::Int(_) => true,
            Repr::Big(big) => big.repr().exponent() >= 0,
        }
    }

    /// Sum.
    pub fn add(&self, other: &Self) -> Result<Self, NumberError> {
        if let (Repr::Int(a), Repr::Int(b)) = (&self.0, &other.0)
            && let Some(sum) = a.checked_add(*b)
        {
            return Ok(Self::from(sum));
        }
        Self::from_big(self.big() + other.big())
    }

    /// Difference.
    pub fn sub(&self, other: &Self) -> Result<Self, NumberError> {
        self.add(&other.negate())
    }

    /// Product.
    pub fn mul(&self, other: &Self) -> Result<Self, NumberError> {
        if let (Repr::Int(a), Repr::Int(b)) = (&self.0, &other.0)
            && let Some(product) = a.checked_mul(*b)
        {
            return Ok(Self::from(product));
        }
        Self::from_big(self.big() * other.big())
    }

    /// Quotient.
    pub fn div(&self, other: &Self) -> Result<Self, NumberError> {
        if other.is_zero() {
            return Err(NumberError::DivisionByZero);
        }
        if let (Repr::Int(a), Repr::Int(b)) = (&self.0, &other.0)
            && a.checked_rem(*b) == Some(0)
        {
            return Ok(Self::from(a / b));
        }
        Self::from_big(self.big() / other.big())
    }

    /// Remainder with the sign of the dividend.
    pub fn rem(&self, other: &Self) -> Result<Self, NumberError> {
        if other.is_zero() {
            return Err(NumberError::DivisionByZero);
        }
        if let (Repr::Int(a), Repr::Int(b)) = (&self.0, &other.0)
            && let Some(rest) = a.checked_rem(*b)
        {
            return Ok(Self::from(rest));
        }
        let whole = Self::from_big(self.big() / other.big())?.truncate();
        self.sub(&whole.mul(other)?)
    }

    /// With the other sign.
    pub fn negate(&self) -> Self {
        match &self.0 {
            Repr::Int(value) if *value != i64::MIN => Self::from(-value),
            _ => Self::from_big(-self.big()).unwrap_or_else(|_| unreachable!("the size stays the same")),
        }
    }

    /// Without its sign.
    pub fn abs(&self) -> Self {
        if self.signum() < 0 { self.negate() } else { self.clone() }
    }

    /// -1, 0 or 1.
    pub fn signum(&self) -> i64 {
        match &self.0 {
            Repr::Int(value) => value.signum(),
            Repr::Big(big) => {
                if big.sign() == Sign::Negative {
                    -1
                } else {
                    1
                }
            }
        }
    }

    /// Whether it is zero.
    pub fn is_zero(&self) -> bool {
        matches!(self.0, Repr::Int(0))
    }

    /// The whole part.
    pub fn truncate(&self) -> Self {
        self.rounded(|big| big.trunc())
    }

    /// The largest whole number that is not larger.
    pub fn floor(&self) -> Self {
        self.rounded(|big| big.floor())
    }

    /// The smallest whole number that is not smaller.
    pub fn ceil(&self) -> Self {
        self.rounded(|big| big.ceil())
    }

    fn rounded(&self, round: impl Fn(&Big) -> Big) -> Self {
        match &self.0 {
            Repr::Int(_) => self.clone(),
            Repr::Big(big) => Self::from_big(round(big)).unwrap_or_else(|_| unreachable!("rounding does not grow")),
        }
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Number {}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        match (&self.0, &other.0) {
            (Repr::Int(a), Repr::Int(b)) => a.cmp(b),
            _ => self.big().cmp(&other.big()),
        }
    }
}

impl fmt::Display for Number {
    /// The shortest decimal that reads back as the same number, without an exponent.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Repr::Int(value) => write!(f, "{value}"),
            Repr::Big(big) => f.write_str(&shortest(big)),
        }
    }
}

/// 512 bits need between 154 and 156 digits; trailing zeros go.
fn shortest(big: &Big) -> String {
    for digits in 154..157 {
        let decimal = big.clone().with_base_and_precision::<10>(digits).value();
        let back = decimal.clone().with_base_and_precision::<2>(PRECISION_BITS).value();
        if back == *big || digits == 156 {
            return plain(&decimal);
        }
    }
    unreachable!("the last round returns")
}

fn plain(decimal: &FBig<HalfEven, 10>) -> String {
    let sign = if decimal.is_negative() { "-" } else { "" };
    let digits = decimal.repr().significand().clone().abs().to_string();
    let exponent = decimal.repr().exponent();
    if exponent >= 0 {
        return format!("{sign}{digits}{}", "0".repeat(exponent as usize));
    }
    let after = exponent.unsigned_abs();
    if digits.len() > after {
        let (whole, fraction) = digits.split_at(digits.len() - after);
        return format!("{sign}{whole}.{fraction}");
    }
    format!("{sign}0.{}{digits}", "0".repeat(after - digits.len()))
}
