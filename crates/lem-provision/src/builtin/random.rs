//! `random_*`: values drawn once and kept in the state until a keeper changes.

use super::{Kind, Made, Registered, Surroundings, put, text};
use crate::schema::{Attribute, Schema, Wrong};
use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use lem_engine_hcl::value::{Entries, Value};
use lem_engine_hcl::{Mode, Number, Type};
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{Rng, RngExt};

/// Longest text that is drawn.
const MAX_LENGTH: i64 = 65_536;
/// Rounds of the hash, as Terraform's provider has them.
const BCRYPT_COST: u32 = 10;
const LOWER: &str = "abcdefghijklmnopqrstuvwxyz";
const UPPER: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const DIGITS: &str = "0123456789";
const SPECIAL: &str = "!@#$%&*()-_=+[]{}<>:?";
const ADJECTIVES: [&str; 24] = [
    "able", "amber", "bold", "brave", "bright", "calm", "clear", "crisp", "eager", "fair", "fond", "free", "gentle",
    "glad", "grand", "keen", "kind", "lively", "merry", "neat", "proud", "quick", "sound", "warm",
];
const ADVERBS: [&str; 8] = ["boldly", "calmly", "clearly", "gladly", "kindly", "neatly", "quickly", "warmly"];
const ANIMALS: [&str; 24] = [
    "badger", "bear", "bee", "crane", "deer", "dove", "eagle", "falcon", "finch", "fox", "hare", "heron", "horse",
    "lark", "lynx", "mole", "moth", "otter", "owl", "raven", "seal", "swan", "trout", "wolf",
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    Id,
    Integer,
    Text,
    Password,
    Pet,
    Shuffle,
    Uuid,
    Bytes,
}

struct Random {
    what: What,
    schema: Schema,
}

pub(super) fn kinds() -> Vec<Registered> {
    let number = |name| Attribute::optional(name, Type::Number).replacing();
    let keepers = || Attribute::optional("keepers", Type::map(Type::String)).replacing();
    let id = || Attribute::computed("id", Type::String);
    let out = |name| Attribute::computed(name, Type::String);
    let make = |name, what, attributes| -> Registered {
        (Mode::Managed, name, Box::new(Random { what, schema: Schema::new(attributes) }))
    };
    vec![
        make(
            "random_id",
            What::Id,
            vec![
                id(),
                keepers(),
                Attribute::required("byte_length", Type::Number).replacing(),
                Attribute::optional("prefix", Type::String).replacing(),
                out("b64_std"),
                out("b64_url"),
                out("dec"),
                out("hex"),
            ],
        ),
        make(
            "random_integer",
            What::Integer,
            vec![
                id(),
                keepers(),
                Attribute::required("min", Type::Number).replacing(),
                Attribute::required("max", Type::Number).replacing(),
                Attribute::optional("seed", Type::String).replacing(),
                Attribute::computed("result", Type::Number),
            ],
        ),
        make("random_string", What::Text, characters(false)),
        make("random_password", What::Password, characters(true)),
        make(
            "random_pet",
            What::Pet,
            vec![
                id(),
                keepers(),
                number("length").or(Value::int(2)),
                Attribute::optional("prefix", Type::String).replacing(),
                Attribute::optional("separator", Type::String).replacing().or(Value::string("-")),
            ],
        ),
        make(
            "random_shuffle",
            What::Shuffle,
            vec![
                id(),
                keepers(),
                Attribute::required("input", Type::list(Type::String)).replacing(),
                number("result_count"),
                Attribute::optional("seed", Type::String).replacing(),
                Attribute::computed("result", Type::list(Type::String)),
            ],
        ),
        make("random_uuid", What::Uuid, vec![id(), keepers(), out("result")]),
        make(
            "random_bytes",
            What::Bytes,
            vec![
                keepers(),
                Attribute::required("length", Type::Number).replacing(),
                out("base64").hidden(),
                out("hex").hidden(),
            ],
        ),
    ]
}

fn characters(hidden: bool) -> Vec<Attribute> {
    let flag = |name| Attribute::optional(name, Type::Bool).replacing().or(Value::Bool(true));
    let least = |name| Attribute::optional(name, Type::Number).replacing().or(Value::int(0));
    let result = Attribute::computed("result", Type::String);
    let mut all = vec![
        Attribute::computed("id", Type::String),
        Attribute::optional("keepers", Type::map(Type::String)).replacing(),
        Attribute::required("length", Type::Number).replacing(),
        flag("lower"),
        flag("upper"),
        flag("numeric"),
        flag("special"),
        least("min_lower"),
        least("min_upper"),
        least("min_numeric"),
        least("min_special"),
        Attribute::optional("override_special", Type::String).replacing(),
        if hidden { result.hidden() } else { result },
    ];
    if hidden {
        all.push(Attribute::computed("bcrypt_hash", Type::String).hidden());
    }
    all
}

fn number(object: &Entries, name: &str) -> i64 {
    object.get(name).and_then(Value::as_number).and_then(Number::as_i64).unwrap_or(0)
}

#[async_trait]
impl Kind for Random {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn provider(&self) -> &'static str {
        "registry.terraform.io/hashicorp/random"
    }

    fn check(&self, config: &Entries) -> Option<Wrong> {
        let wrong = |argument: &str, message: String| {
            Some(Wrong { argument: Some(argument.to_owned()), code: "out-of-range", message, hint: None })
        };
        let known = |name: &str| config.get(name).is_some_and(|v| v.as_number().is_some());
        for name in ["length", "byte_length", "result_count"] {
            let least = if name == "result_count" { 0 } else { 1 };
            if known(name) && !(least..=MAX_LENGTH).contains(&number(config, name)) {
                return wrong(name, format!("{name} must be between {least} and {MAX_LENGTH}"));
            }
        }
        if known("min") && known("max") && number(config, "min") > number(config, "max") {
            return wrong("min", "min must not be greater than max".to_owned());
        }
        None
    }

    async fn create(&self, mut object: Entries, _around: &Surroundings) -> Made {
        let mut random = rand::rng();
        match self.what {
            What::Id => id(&mut object, &mut random),
            What::Integer => {
                let (min, max) = (number(&object, "min"), number(&object, "max"));
                if min > max {
                    return Made::failed(None, "min must not be greater than max");
                }
                let drawn = random.random_range(min..=max);
                put(&mut object, "result", Value::int(drawn));
                put(&mut object, "id", drawn.to_string().as_str());
            }
            What::Text | What::Password => match drawn_text(&object, &mut random) {
                Ok(drawn) if self.what == What::Text => {
                    put(&mut object, "result", drawn.as_str());
                    put(&mut object, "id", drawn.as_str());
                }
                Ok(drawn) => {
                    let hash = match bcrypt::hash(&drawn, BCRYPT_COST) {
                        Ok(hash) => hash,
                        Err(error) => return Made::failed(None, format!("the password cannot be hashed: {error}")),
                    };
                    put(&mut object, "result", Value::string(drawn).sensitive());
                    put(&mut object, "id", "none");
                    put(&mut object, "bcrypt_hash", Value::string(hash).sensitive());
                }
                Err(why) => return Made::failed(None, why),
            },
            What::Pet => pet(&mut object, &mut random),
            What::Shuffle => shuffle(&mut object, &mut random),
            What::Uuid => {
                let drawn = uuid::Uuid::new_v4().to_string();
                put(&mut object, "result", drawn.as_str());
                put(&mut object, "id", drawn.as_str());
            }
            What::Bytes => {
                let bytes = draw(number(&object, "length"), &mut random);
                put(&mut object, "base64", Value::string(STANDARD.encode(&bytes)).sensitive());
                put(&mut object, "hex", Value::string(hex::encode(&bytes)).sensitive());
            }
        }
        Made::done(object)
    }
}

fn draw(length: i64, random: &mut impl Rng) -> Vec<u8> {
    let mut bytes = vec![0; length.clamp(0, MAX_LENGTH) as usize];
    random.fill_bytes(&mut bytes);
    bytes
}

fn id(object: &mut Entries, random: &mut impl Rng) {
    let bytes = draw(number(object, "byte_length"), random);
    let prefix = text(object, "prefix").unwrap_or_default().to_owned();
    let plain = hex::encode(&bytes);
    let decimal = Number::from_digits(&plain, 16).map(|n| n.to_string()).unwrap_or_default();
    let url = URL_SAFE_NO_PAD.encode(&bytes);
    put(object, "id", url.as_str());
    put(object, "b64_url", format!("{prefix}{url}").as_str());
    put(object, "b64_std", format!("{prefix}{}", STANDARD.encode(&bytes)).as_str());
    put(object, "hex", format!("{prefix}{plain}").as_str());
    put(object, "dec", format!("{prefix}{decimal}").as_str());
}

fn drawn_text(object: &Entries, random: &mut impl Rng) -> Result<String, String> {
    let special = text(object, "override_special").filter(|s| !s.is_empty()).unwrap_or(SPECIAL).to_owned();
    let sets = [("lower", LOWER), ("upper", UPPER), ("numeric", DIGITS), ("special", special.as_str())];
    let (mut drawn, mut all): (Vec<char>, Vec<char>) = (vec![], vec![]);
    for (name, set) in sets {
        let set: Vec<char> = set.chars().collect();
        let least = number(object, &format!("min_{name}"));
        drawn.extend((0..least).filter_map(|_| set.choose(random)));
        if object.get(name).and_then(Value::as_bool) != Some(false) {
            all.extend(set);
        }
    }
    let length = number(object, "length") as usize;
    if drawn.len() > length {
        return Err("the least numbers of characters together are greater than length".to_owned());
    }
    if all.is_empty() && drawn.len() < length {
        return Err("no kind of character is allowed".to_owned());
    }
    while drawn.len() < length {
        drawn.extend(all.choose(random));
    }
    drawn.shuffle(random);
    Ok(drawn.into_iter().collect())
}

fn pet(object: &mut Entries, random: &mut impl Rng) {
    let length = number(object, "length").clamp(1, 16) as usize;
    let mut words: Vec<&str> = text(object, "prefix").filter(|p| !p.is_empty()).into_iter().collect();
    words.extend((2..length).filter_map(|_| ADVERBS.choose(random)));
    words.extend((length > 1).then(|| ADJECTIVES.choose(random)).flatten());
    words.extend(ANIMALS.choose(random));
    let name = words.join(text(object, "separator").unwrap_or("-"));
    put(object, "id", name.as_str());
}

fn shuffle(object: &mut Entries, random: &mut impl Rng) {
    let mut items: Vec<Value> = object.get("input").and_then(Value::items).unwrap_or_default().to_vec();
    let wanted = object.get("result_count").and_then(Value::as_number).and_then(Number::as_usize);
    let wanted = wanted.unwrap_or(items.len());
    items.shuffle(random);
    let result: Vec<Value> = items.iter().cycle().take(if items.is_empty() { 0 } else { wanted }).cloned().collect();
    put(object, "result", Value::list(Type::String, result));
    put(object, "id", "-");
}
