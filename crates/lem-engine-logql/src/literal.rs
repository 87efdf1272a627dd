//! Literals that every line must have to come through a pipeline: what lets a store skip blocks.

use lem_engine_logs::{Literal, LiteralKind};
use regex_syntax::hir::{Hir, HirKind};

use crate::ast::{LineOp, LineTerm, LogExpr, Stage};
use crate::pipeline::literal_pieces;

/// Shorter pieces of an expression are not worth a look.
const PIECE_BYTES_MIN: usize = 2;

/// Of every inner list at least one literal occurs in the stored line of every line the pipeline keeps.
pub fn required_literals(log: &LogExpr) -> Vec<Vec<Literal>> {
    let mut out = Vec::new();
    for stage in &log.stages {
        match stage {
            Stage::Line { op, terms } => clauses(*op, terms, &mut out),
            // From here on the line is no longer the stored one.
            Stage::LineFormat(_) | Stage::Unpack | Stage::Decolorize => break,
            Stage::Json(_)
            | Stage::Logfmt { .. }
            | Stage::Regexp(_)
            | Stage::Pattern(_)
            | Stage::Label(_)
            | Stage::LabelFormat(_)
            | Stage::Drop(_)
            | Stage::Keep(_) => {}
        }
    }
    out
}

fn clauses(op: LineOp, terms: &[LineTerm], out: &mut Vec<Vec<Literal>>) {
    let of = |term: &LineTerm| match term {
        LineTerm::Ip(_) => Vec::new(),
        LineTerm::Text(text) => of_term(op, text),
    };
    match terms {
        // One alternative: each of its literals is required.
        [term] => out.extend(of(term).into_iter().map(|literal| vec![literal])),
        // Several: one literal of each will do, the longest.
        many => {
            let longest: Option<Vec<Literal>> =
                many.iter().map(|t| of(t).into_iter().max_by_key(|l| l.bytes.len())).collect();
            out.extend(longest);
        }
    }
}

fn of_term(op: LineOp, text: &str) -> Vec<Literal> {
    let pieces = match op {
        LineOp::Contains => vec![text.as_bytes().to_vec()],
        LineOp::Word => {
            return vec![Literal { bytes: text.as_bytes().to_vec(), kind: LiteralKind::TokenNoCase }];
        }
        LineOp::Pattern => literal_pieces(text),
        LineOp::Matches => {
            regex_syntax::parse(&format!("(?s){text}")).map_or_else(|_| Vec::new(), |hir| of_regex(&hir))
        }
        LineOp::NotContains | LineOp::NotMatches | LineOp::NotPattern => Vec::new(),
    };
    pieces.into_iter().filter(|p| !p.is_empty()).map(Literal::substring).collect()
}

/// Literals every match contains.
fn of_regex(hir: &Hir) -> Vec<Vec<u8>> {
    match hir.kind() {
        HirKind::Literal(literal) if literal.0.len() >= PIECE_BYTES_MIN => vec![literal.0.to_vec()],
        HirKind::Capture(capture) => of_regex(&capture.sub),
        HirKind::Repetition(repetition) if repetition.min > 0 => of_regex(&repetition.sub),
        HirKind::Concat(parts) => parts.iter().flat_map(of_regex).collect(),
        HirKind::Literal(_)
        | HirKind::Repetition(_)
        | HirKind::Alternation(_)
        | HirKind::Class(_)
        | HirKind::Look(_)
        | HirKind::Empty => Vec::new(),
    }
}
