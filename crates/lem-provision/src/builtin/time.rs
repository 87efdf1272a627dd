//! `time_static`, `time_offset`, `time_rotating`, `time_sleep`: moments kept in the state.

use super::{Kind, Made, Registered, Surroundings, put, text};
use crate::schema::{Attribute, Schema};
use async_trait::async_trait;
use jiff::{Span, Timestamp, tz::TimeZone};
use lem_engine_hcl::value::{Entries, Value};
use lem_engine_hcl::{Mode, Number, Type};
use std::time::Duration;

/// Longest sleep.
const MAX_SLEEP: Duration = Duration::from_hours(1);
const PARTS: [&str; 6] = ["year", "month", "day", "hour", "minute", "second"];

#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    Static,
    Offset,
    Rotating,
}

pub(super) fn kinds() -> Vec<Registered> {
    let triggers = || Attribute::optional("triggers", Type::map(Type::String)).replacing();
    let moment = |what: What, prefix: Option<&str>| {
        let mut all = vec![Attribute::computed("id", Type::String), triggers()];
        all.extend(PARTS.map(|name| Attribute::computed(name, Type::Number)));
        all.push(Attribute::computed("unix", Type::Number));
        match prefix {
            None => all.push(Attribute::or_computed("rfc3339", Type::String).replacing()),
            Some(prefix) => {
                all.push(Attribute::computed("rfc3339", Type::String));
                let names: &[&'static str] = if prefix == "offset" { &OFFSETS } else { &ROTATIONS };
                all.extend(names.iter().map(|name| Attribute::optional(name, Type::Number).replacing()));
            }
        }
        match what {
            What::Offset => all.push(Attribute::or_computed("base_rfc3339", Type::String).replacing()),
            What::Rotating => all.push(Attribute::computed("rotation_rfc3339", Type::String)),
            What::Static => {}
        }
        Moment { what, schema: Schema::new(all) }
    };
    let sleep = Schema::new(vec![
        Attribute::computed("id", Type::String),
        triggers(),
        Attribute::optional("create_duration", Type::String),
        Attribute::optional("destroy_duration", Type::String),
    ]);
    vec![
        (Mode::Managed, "time_static", Box::new(moment(What::Static, None))),
        (Mode::Managed, "time_offset", Box::new(moment(What::Offset, Some("offset")))),
        (Mode::Managed, "time_rotating", Box::new(moment(What::Rotating, Some("rotation")))),
        (Mode::Managed, "time_sleep", Box::new(Sleep(sleep))),
    ]
}

const OFFSETS: [&str; 6] =
    ["offset_years", "offset_months", "offset_days", "offset_hours", "offset_minutes", "offset_seconds"];
const ROTATIONS: [&str; 5] =
    ["rotation_years", "rotation_months", "rotation_days", "rotation_hours", "rotation_minutes"];

struct Moment {
    what: What,
    schema: Schema,
}

#[async_trait]
impl Kind for Moment {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn provider(&self) -> &'static str {
        "registry.terraform.io/hashicorp/time"
    }

    async fn create(&self, mut planned: Entries, around: &Surroundings) -> Made {
        let given = text(&planned, if self.what == What::Offset { "base_rfc3339" } else { "rfc3339" });
        let base = match given.map(str::parse::<Timestamp>) {
            None => Timestamp::from_second(around.now.as_second()).unwrap_or(around.now),
            Some(Ok(time)) => time,
            Some(Err(error)) => return Made::failed(None, format!("not a time of RFC 3339: {error}")),
        };
        let names: &[&str] = if self.what == What::Offset { &OFFSETS } else { &ROTATIONS };
        let moved = match shift(&planned, base, names) {
            Ok(time) => time,
            Err(why) => return Made::failed(None, why),
        };
        let shown = if self.what == What::Offset { moved } else { base };
        match self.what {
            What::Offset => put(&mut planned, "base_rfc3339", base.to_string().as_str()),
            What::Rotating => put(&mut planned, "rotation_rfc3339", moved.to_string().as_str()),
            What::Static => {}
        }
        let zoned = shown.to_zoned_datetime(TimeZone::UTC);
        let parts = [
            i64::from(zoned.year()),
            i64::from(zoned.month()),
            i64::from(zoned.day()),
            i64::from(zoned.hour()),
            i64::from(zoned.minute()),
            i64::from(zoned.second()),
        ];
        PARTS.iter().zip(parts).for_each(|(name, value)| put(&mut planned, name, Value::int(value)));
        put(&mut planned, "unix", Value::int(shown.as_second()));
        put(&mut planned, "rfc3339", shown.to_string().as_str());
        put(&mut planned, "id", base.to_string().as_str());
        Made::done(planned)
    }

    async fn read(&self, prior: &Entries, around: &Surroundings) -> Result<Option<Entries>, String> {
        let due = text(prior, "rotation_rfc3339").and_then(|t| t.parse::<Timestamp>().ok());
        let over = self.what == What::Rotating && due.is_some_and(|due| due <= around.now);
        Ok((!over).then(|| prior.clone()))
    }
}

fn shift(object: &Entries, base: Timestamp, names: &[&str]) -> Result<Timestamp, String> {
    let mut time = base.to_zoned_datetime(TimeZone::UTC);
    for name in names {
        let Some(count) = object.get(*name).and_then(Value::as_number).and_then(Number::as_i64) else { continue };
        let span = Span::new();
        let span = match name.rsplit('_').next() {
            Some("years") => span.try_years(count),
            Some("months") => span.try_months(count),
            Some("days") => span.try_days(count),
            Some("hours") => span.try_hours(count),
            Some("minutes") => span.try_minutes(count),
            _ => span.try_seconds(count),
        };
        let moved = span.and_then(|span| time.checked_add(span));
        time = moved.map_err(|error| format!("{name} leads out of the calendar: {error}"))?;
    }
    Ok(time.timestamp())
}

struct Sleep(Schema);

impl Sleep {
    async fn sleep(object: &Entries, name: &str) -> Result<(), String> {
        let Some(written) = text(object, name) else { return Ok(()) };
        let length = lem_engine_yaml::parse_duration_ms(written).map(Duration::from_millis);
        match length.filter(|l| *l <= MAX_SLEEP) {
            Some(length) => {
                tokio::time::sleep(length).await;
                Ok(())
            }
            None => Err(format!("{name} must be a duration of at most {} s such as 30s", MAX_SLEEP.as_secs())),
        }
    }
}

#[async_trait]
impl Kind for Sleep {
    fn schema(&self) -> &Schema {
        &self.0
    }

    fn provider(&self) -> &'static str {
        "registry.terraform.io/hashicorp/time"
    }

    async fn create(&self, mut planned: Entries, around: &Surroundings) -> Made {
        match Self::sleep(&planned, "create_duration").await {
            Ok(()) => {
                put(&mut planned, "id", around.now.to_string().as_str());
                Made::done(planned)
            }
            Err(why) => Made::failed(None, why),
        }
    }

    async fn update(&self, _prior: &Entries, planned: Entries, _around: &Surroundings) -> Made {
        Made::done(planned)
    }

    async fn delete(&self, prior: &Entries, _around: &Surroundings) -> Result<(), String> {
        Self::sleep(prior, "destroy_duration").await
    }
}
