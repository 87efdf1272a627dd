//! Numbers.

use super::{Context, Fault, Outcome};
use crate::value::{Number, NumberError, Value};

impl From<NumberError> for Fault {
    fn from(error: NumberError) -> Self {
        error.to_string().into()
    }
}

/// A number that conversion has made sure of.
pub(super) fn number(args: &[Value], at: usize) -> Result<&Number, Fault> {
    args.get(at).and_then(Value::as_number).ok_or_else(|| Fault::from("a number is required").at(at))
}

/// A whole number of 64 bits.
pub(super) fn whole(args: &[Value], at: usize) -> Result<i64, Fault> {
    number(args, at)?.as_i64().ok_or_else(|| Fault::from("a whole number is required").at(at))
}

pub(super) fn abs(args: &[Value], _: &Context) -> Outcome {
    Ok(Value::Number(number(args, 0)?.abs()))
}

pub(super) fn ceil(args: &[Value], _: &Context) -> Outcome {
    Ok(Value::Number(number(args, 0)?.ceil()))
}

pub(super) fn floor(args: &[Value], _: &Context) -> Outcome {
    Ok(Value::Number(number(args, 0)?.floor()))
}

pub(super) fn signum(args: &[Value], _: &Context) -> Outcome {
    Ok(Value::int(number(args, 0)?.signum()))
}

pub(super) fn max(args: &[Value], _: &Context) -> Outcome {
    let largest = args.iter().filter_map(Value::as_number).max();
    largest.map(|n| Value::Number(n.clone())).ok_or_else(|| "a number is required".into())
}

pub(super) fn min(args: &[Value], _: &Context) -> Outcome {
    let smallest = args.iter().filter_map(Value::as_number).min();
    smallest.map(|n| Value::Number(n.clone())).ok_or_else(|| "a number is required".into())
}

/// In 64-bit floats, as the reference computes it.
pub(super) fn log(args: &[Value], _: &Context) -> Outcome {
    let (value, base) = (number(args, 0)?.to_f64(), number(args, 1)?.to_f64());
    Ok(Value::Number(Number::from_f64(value.ln() / base.ln())?))
}

/// In 64-bit floats, as the reference computes it.
pub(super) fn pow(args: &[Value], _: &Context) -> Outcome {
    Ok(Value::Number(Number::from_f64(number(args, 0)?.to_f64().powf(number(args, 1)?.to_f64()))?))
}

pub(super) fn parseint(args: &[Value], _: &Context) -> Outcome {
    let base = whole(args, 1)?;
    if !(2..=62).contains(&base) {
        return Err(Fault::from("a base is a whole number from 2 to 62").at(1));
    }
    let Some(text) = args[0].as_str() else { return Err(Fault::from("a string is required").at(0)) };
    let parsed = Number::from_digits(text, base as u32);
    parsed.map(Value::Number).map_err(|_| Fault::from(format!("this is no whole number of base {base}")).at(0))
}

pub(super) fn sum(args: &[Value], _: &Context) -> Outcome {
    let items = args[0].items().ok_or_else(|| Fault::from("a list of numbers is required"))?;
    let mut total: Option<Number> = None;
    for item in items {
        let item = crate::value::convert(item, &crate::Type::Number).map_err(|e| Fault::from(e.to_string()))?;
        let Some(number) = item.as_number() else { return Err("a number must not be null".into()) };
        total = Some(match total {
            Some(total) => total.add(number)?,
            None => number.clone(),
        });
    }
    total.map(Value::Number).ok_or_else(|| "an empty list has no sum".into())
}
