//! From text to tree.

use crate::node::{Content, Entry, Mark, Node, Scalar, Style};
use lem_model::{Diagnostic, Place};
use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Span, Tag};
use std::borrow::Cow;
use std::collections::HashMap;

/// Largest file that is read.
pub const MAX_BYTES: usize = 8 * 1024 * 1024;
/// Deepest nesting that is read.
pub const MAX_DEPTH: usize = 128;
/// Most nodes a file may have once its aliases are expanded.
pub const MAX_NODES: usize = 500_000;

/// What a key that stands twice in one mapping means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum DuplicateKeys {
    /// An error at the second.
    #[default]
    Refuse,
    /// The last one wins, with a warning.
    LastWins,
    /// Both stay; the reader of the tree says what it means.
    Keep,
}

/// What `<<` means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum MergeKeys {
    /// Entries of the referred mapping, the mapping's own first.
    #[default]
    Apply,
    /// A key like any other, which most readers then refuse by name.
    Keep,
}

/// Differences between the dialects that use YAML.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Duplicate keys.
    pub duplicate_keys: DuplicateKeys,
    /// Merge keys.
    pub merge_keys: MergeKeys,
}

/// The documents of a text. On an error the tree is not usable and the diagnostics say why.
pub fn parse(text: &str, file: &str, options: Options) -> (Vec<Node>, Vec<Diagnostic>) {
    if text.len() > MAX_BYTES {
        let message = format!("file has {} bytes; at most {MAX_BYTES} are read", text.len());
        return (vec![], vec![Diagnostic::error("file-too-large", message, Place::file(file))]);
    }
    let mut builder = Builder { file, options, anchors: HashMap::new(), nodes: 0, diagnostics: vec![] };
    let documents = builder.documents(text);
    match documents {
        Ok(documents) => (documents, builder.diagnostics),
        Err(diagnostic) => {
            builder.diagnostics.push(diagnostic);
            (vec![], builder.diagnostics)
        }
    }
}

/// The one document of a text; `None` when it is empty.
pub fn parse_one(text: &str, file: &str, options: Options) -> (Option<Node>, Vec<Diagnostic>) {
    let (mut documents, mut diagnostics) = parse(text, file, options);
    if documents.len() > 1 {
        let second = &documents[1];
        diagnostics.push(Diagnostic::error("yaml-documents", "only one document is expected here", second.place(file)));
    }
    let first = (!documents.is_empty()).then(|| documents.remove(0));
    (first.filter(|n| !(n.is_null() && n.text() == Some(""))), diagnostics)
}

struct Builder<'a> {
    file: &'a str,
    options: Options,
    anchors: HashMap<usize, Node>,
    nodes: usize,
    diagnostics: Vec<Diagnostic>,
}

type Events<'i> = Parser<'i, saphyr_parser::StrInput<'i>>;

impl Builder<'_> {
    fn documents(&mut self, text: &str) -> Result<Vec<Node>, Diagnostic> {
        let mut events = Parser::new_from_str(text);
        let mut documents = vec![];
        loop {
            let (event, span) = self.next(&mut events)?;
            match event {
                Event::StreamEnd => return Ok(documents),
                Event::DocumentStart(_) => self.anchors.clear(),
                Event::StreamStart | Event::DocumentEnd | Event::Nothing => {}
                other => documents.push(self.node(other, span, &mut events, 0)?),
            }
        }
    }

    fn next<'i>(&self, events: &mut Events<'i>) -> Result<(Event<'i>, Span), Diagnostic> {
        match events.next_event() {
            Some(Ok(next)) => Ok(next),
            Some(Err(error)) => {
                let mark = mark(*error.marker());
                let place = Place::new(self.file, mark.line, mark.column);
                Err(Diagnostic::error("yaml-syntax", error.info().to_owned(), place))
            }
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn node<'i>(
        &mut self,
        event: Event<'i>,
        span: Span,
        events: &mut Events<'i>,
        depth: usize,
    ) -> Result<Node, Diagnostic> {
        let start = mark(span.start);
        if depth > MAX_DEPTH {
            return Err(self.error("yaml-depth", format!("nested deeper than {MAX_DEPTH} levels"), start));
        }
        self.count(1, start)?;
        let (anchor, node) = match event {
            Event::Alias(id) => return self.alias(id, start),
            Event::Scalar(text, style, anchor, tag) => {
                let content = Content::Scalar(Scalar { text: text.into_owned(), style: style_of(style) });
                (anchor, Node { mark: start, end: mark(span.end), tag: tag_text(tag), aliased: false, content })
            }
            Event::SequenceStart(anchor, tag) => {
                let (items, end) = self.items(events, depth)?;
                (
                    anchor,
                    Node { mark: start, end, tag: tag_text(tag), aliased: false, content: Content::Sequence(items) },
                )
            }
            Event::MappingStart(anchor, tag) => {
                let (entries, end) = self.entries(events, depth)?;
                (
                    anchor,
                    Node { mark: start, end, tag: tag_text(tag), aliased: false, content: Content::Mapping(entries) },
                )
            }
            _ => return Err(self.error("yaml-syntax", "unexpected end of the document".to_owned(), start)),
        };
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn alias(&mut self, id: usize, at: Mark) -> Result<Node, Diagnostic> {
        let Some(target) = self.anchors.get(&id).cloned() else {
            return Err(self.error("yaml-alias", "alias to an anchor that is not complete".to_owned(), at));
        };
        self.count(size(&target), at)?;
        Ok(Node { mark: at, aliased: true, ..target })
    }

    fn items<'i>(&mut self, events: &mut Events<'i>, depth: usize) -> Result<(Vec<Node>, Mark), Diagnostic> {
        let mut items = vec![];
        loop {
            let (event, span) = self.next(events)?;
            if event == Event::SequenceEnd {
                return Ok((items, mark(span.end)));
            }
            items.push(self.node(event, span, events, depth + 1)?);
        }
    }

    fn entries<'i>(&mut self, events: &mut Events<'i>, depth: usize) -> Result<(Vec<Entry>, Mark), Diagnostic> {
        let mut entries: Vec<Entry> = vec![];
        let mut merges = vec![];
        loop {
            let (event, span) = self.next(events)?;
            if event == Event::MappingEnd {
                for merged in merges {
                    self.merge(&mut entries, merged)?;
                }
                return Ok((entries, mark(span.end)));
            }
            let key = self.node(event, span, events, depth + 1)?;
            let (event, span) = self.next(events)?;
            let value = self.node(event, span, events, depth + 1)?;
            let is_merge = key.scalar().is_some_and(|s| s.text == "<<" && s.style == Style::Plain);
            if is_merge && self.options.merge_keys == MergeKeys::Apply {
                merges.push(value);
            } else {
                self.insert(&mut entries, Entry { key, value })?;
            }
        }
    }

    fn insert(&mut self, entries: &mut Vec<Entry>, entry: Entry) -> Result<(), Diagnostic> {
        let keep = self.options.duplicate_keys == DuplicateKeys::Keep;
        let name = entry.key.text().filter(|_| !keep);
        let twin = name.and_then(|text| entries.iter().position(|e| e.key.text() == Some(text)));
        let Some(twin) = twin else {
            entries.push(entry);
            return Ok(());
        };
        let message = format!("key \"{}\" stands twice", entry.key.text().unwrap_or_default());
        if self.options.duplicate_keys == DuplicateKeys::Refuse {
            return Err(self.error("yaml-duplicate-key", message, entry.key.mark));
        }
        let place = entry.key.place(self.file);
        self.diagnostics.push(Diagnostic::warning("yaml-duplicate-key", message + "; the last one is used", place));
        entries[twin] = entry;
        Ok(())
    }

    /// Merge keys (yaml.org/type/merge): a mapping or a list of mappings; what stands in the mapping itself wins.
    fn merge(&self, entries: &mut Vec<Entry>, merged: Node) -> Result<(), Diagnostic> {
        match merged.content {
            Content::Mapping(from) => {
                for entry in from {
                    if !entries.iter().any(|e| e.key.text() == entry.key.text()) {
                        entries.push(entry);
                    }
                }
                Ok(())
            }
            Content::Sequence(items) => items.into_iter().try_for_each(|item| self.merge(entries, item)),
            Content::Scalar(_) => Err(self.error(
                "yaml-merge",
                "a merge key takes a mapping or a list of mappings".to_owned(),
                merged.mark,
            )),
        }
    }

    fn count(&mut self, more: usize, at: Mark) -> Result<(), Diagnostic> {
        self.nodes += more;
        if self.nodes > MAX_NODES {
            return Err(self.error("yaml-size", format!("more than {MAX_NODES} nodes once aliases are expanded"), at));
        }
        Ok(())
    }

    fn error(&self, code: &str, message: String, at: Mark) -> Diagnostic {
        Diagnostic::error(code, message, Place::new(self.file, at.line, at.column))
    }
}

fn size(node: &Node) -> usize {
    1 + match &node.content {
        Content::Scalar(_) => 0,
        Content::Sequence(items) => items.iter().map(size).sum(),
        Content::Mapping(entries) => entries.iter().map(|e| size(&e.key) + size(&e.value)).sum(),
    }
}

fn mark(marker: Marker) -> Mark {
    Mark { line: marker.line() as u32, column: marker.col() as u32 + 1 }
}

fn style_of(style: ScalarStyle) -> Style {
    match style {
        ScalarStyle::Plain => Style::Plain,
        ScalarStyle::SingleQuoted => Style::SingleQuoted,
        ScalarStyle::DoubleQuoted => Style::DoubleQuoted,
        ScalarStyle::Literal => Style::Literal,
        ScalarStyle::Folded => Style::Folded,
    }
}

fn tag_text(tag: Option<Cow<'_, Tag>>) -> Option<String> {
    tag.map(|t| format!("{}{}", t.handle, t.suffix))
}
