//! Address ranges.

use super::number::{number, whole};
use super::string::text;
use super::{Context, Fault, Outcome};
use crate::value::Value;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

#[derive(Clone, Copy)]
struct Range {
    /// First address.
    base: u128,
    prefix: u32,
    /// 32 or 128.
    bits: u32,
}

impl Range {
    fn parse(text: &str) -> Result<Self, String> {
        let fault = || "this is no address range such as 10.0.0.0/16".to_owned();
        let (address, prefix) = text.split_once('/').ok_or_else(fault)?;
        let address: IpAddr = address.parse().map_err(|_| fault())?;
        let prefix: u32 = prefix.parse().map_err(|_| fault())?;
        let (base, bits) = number_of(address);
        if prefix > bits {
            return Err(fault());
        }
        Ok(Self { base: base & mask(prefix, bits), prefix, bits })
    }

    fn show(self, address: u128) -> String {
        if self.bits == 32 { Ipv4Addr::from(address as u32).to_string() } else { Ipv6Addr::from(address).to_string() }
    }
}

fn number_of(address: IpAddr) -> (u128, u32) {
    match address {
        IpAddr::V4(v4) => (u128::from(u32::from(v4)), 32),
        IpAddr::V6(v6) => (u128::from(v6), 128),
    }
}

fn mask(prefix: u32, bits: u32) -> u128 {
    let all = if bits == 128 { u128::MAX } else { (1 << bits) - 1 };
    let hosts = bits - prefix;
    if hosts >= 128 { 0 } else { all & !((1_u128 << hosts) - 1) }
}

fn range(args: &[Value], at: usize) -> Result<Range, Fault> {
    Range::parse(text(args, at)).map_err(|m| Fault::from(m).at(at))
}

pub(super) fn cidrcontains(args: &[Value], _: &Context) -> Outcome {
    let outer = range(args, 0)?;
    let inner = match text(args, 1).parse::<IpAddr>() {
        Ok(address) => {
            let (base, bits) = number_of(address);
            Range { base, prefix: bits, bits }
        }
        Err(_) => range(args, 1)?,
    };
    if outer.bits != inner.bits {
        return Err(Fault::from("both must be of one address family").at(1));
    }
    let within = inner.prefix >= outer.prefix && inner.base & mask(outer.prefix, outer.bits) == outer.base;
    Ok(Value::Bool(within))
}

/// A negative number counts from the end.
pub(super) fn cidrhost(args: &[Value], _: &Context) -> Outcome {
    let range = range(args, 0)?;
    let host = number(args, 1)?;
    let bits = range.bits - range.prefix;
    let size = if bits >= 128 { u128::MAX } else { 1 << bits };
    let text = host.abs().to_string();
    let count: u128 = text.parse().map_err(|_| Fault::from("a whole number is required").at(1))?;
    let offset =
        if host.signum() < 0 { (count <= size).then(|| size - count) } else { (count < size).then_some(count) };
    match offset {
        Some(offset) => Ok(Value::string(range.show(range.base + offset))),
        None => Err(Fault::from(format!("a prefix of {} has no host {host}", range.prefix)).at(1)),
    }
}

pub(super) fn cidrnetmask(args: &[Value], _: &Context) -> Outcome {
    let range = range(args, 0)?;
    if range.bits != 32 {
        return Err(Fault::from("only IPv4 has netmasks").at(0));
    }
    Ok(Value::string(range.show(mask(range.prefix, 32))))
}

pub(super) fn cidrsubnet(args: &[Value], _: &Context) -> Outcome {
    let range = range(args, 0)?;
    let new = u32::try_from(whole(args, 1)?).map_err(|_| Fault::from("a number of bits is not negative").at(1))?;
    let prefix = range.prefix.saturating_add(new);
    if prefix > range.bits {
        let message = format!("{new} more bits than {} do not fit into {}", range.prefix, range.bits);
        return Err(Fault::from(message).at(1));
    }
    let text = number(args, 2)?.to_string();
    let count: u128 = text.parse().map_err(|_| Fault::from("a subnet number is whole and not negative").at(2))?;
    if new < 128 && count >= 1 << new {
        return Err(Fault::from(format!("{new} bits have no subnet {count}")).at(2));
    }
    let shift = range.bits - prefix;
    let offset = if shift >= 128 { 0 } else { count << shift };
    Ok(Value::string(format!("{}/{prefix}", range.show(range.base | offset))))
}

/// Ranges one after another, each aligned to its own size.
pub(super) fn cidrsubnets(args: &[Value], _: &Context) -> Outcome {
    let range = range(args, 0)?;
    let end = range.base | !mask(range.prefix, range.bits) & mask(range.bits, range.bits);
    let mut next = Some(range.base);
    let mut made = vec![];
    for at in 1..args.len() {
        let new = u32::try_from(whole(args, at)?).ok().filter(|n| (1..=range.bits - range.prefix).contains(n));
        let Some(new) = new else { return Err(Fault::from("so many more bits do not fit").at(at)) };
        let prefix = range.prefix + new;
        let shift = range.bits - prefix;
        let size = 1_u128 << shift;
        let aligned = next.and_then(|n| Some(n.checked_add(size - 1)? & !(size - 1))).filter(|n| *n <= end);
        let Some(start) = aligned else { return Err(Fault::from("the range is used up").at(at)) };
        made.push(format!("{}/{prefix}", range.show(start)));
        next = start.checked_add(size);
    }
    Ok(Value::strings(made))
}
