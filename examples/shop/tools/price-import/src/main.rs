//! Reads `name,price` lines on standard input, writes the shop's price list on standard output.

use smallvec::SmallVec;
use std::io::{self, BufRead as _};

fn main() -> io::Result<()> {
    for line in io::stdin().lock().lines() {
        let line = line?;
        let fields: SmallVec<[&str; 4]> = line.split(',').map(str::trim).collect();
        match fields.as_slice() {
            [name, price] => println!("{name}\t{price}"),
            _ => eprintln!("skipped: {line}"),
        }
    }
    Ok(())
}
