//! `format`.

use super::MAX_RESULT_BYTES;
use super::value::Value;

/// Puts the arguments at `{N}`; `{{` and `}}` stand for a brace.
pub(super) fn format(template: &str, args: &[Value]) -> Result<String, String> {
    let invalid = || format!("The following format string is invalid: {template}");
    let mut out = String::new();
    let mut rest = template;
    while let Some(brace) = rest.find(['{', '}']) {
        out.push_str(&rest[..brace]);
        let after = &rest[brace + 1..];
        let open = rest.as_bytes()[brace] == b'{';
        if after.starts_with(if open { '{' } else { '}' }) {
            out.push(if open { '{' } else { '}' });
            rest = &after[1..];
            continue;
        }
        if !open {
            return Err(invalid());
        }
        let end = after.find('}').ok_or_else(invalid)?;
        // What follows the digits is a format specifier, which is accepted and ignored.
        let digits = after[..end].bytes().take_while(u8::is_ascii_digit).count();
        if digits == 0 {
            return Err(invalid());
        }
        let index = after[..digits].parse::<usize>().unwrap_or(usize::MAX);
        let arg = args.get(index).ok_or_else(|| {
            format!("The following format string references more arguments than were supplied: {template}")
        })?;
        out.push_str(&arg.to_text());
        if out.len() > MAX_RESULT_BYTES {
            return Err(format!("format gives more than {MAX_RESULT_BYTES} bytes"));
        }
        rest = &after[end + 1..];
    }
    out.push_str(rest);
    Ok(out)
}
