//! YAML documents whose every node still knows its line.
//!
//! Scalars are read as the Kubernetes tools read them (go-yaml v2's rules, so
//! `yes` and `on` are booleans and `0644` is octal): a folder means the same
//! to `barnabas up` as it does to `kubectl apply -f`.

use std::{collections::HashMap, fmt};

use saphyr_parser::{Event, Parser, ScalarStyle, Span, Tag};
use serde_json::{Map, Number, Value};

/// Aliases may multiply a document; this many nodes are enough for any manifest.
const MAX_NODES: usize = 200_000;
/// Deeper nesting than any resource has; the builder is recursive.
const MAX_DEPTH: usize = 64;

/// Where a node is inside its document.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Path(Vec<Segment>);

/// One step of a [`Path`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Segment {
    /// A field or a map key.
    Key(String),
    /// An element of a list.
    Index(usize),
}

impl Path {
    /// The path of the fields `keys`, from the document's root.
    pub fn of<'a>(keys: impl IntoIterator<Item = &'a str>) -> Self {
        Self(keys.into_iter().map(|key| Segment::Key(key.to_owned())).collect())
    }

    /// Reads a path as messages spell it: `spec.tls`, `spec.config["file"]`, `spec.plugins[0]`. What follows the path
    /// in `text` is left alone.
    pub fn parse(text: &str) -> Self {
        let mut path = Vec::new();
        let mut rest = text;
        loop {
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-').unwrap_or(rest.len());
            if end > 0 {
                path.push(Segment::Key(rest[..end].to_owned()));
                rest = &rest[end..];
            }
            if let Some((key, after)) = rest.strip_prefix("[\"").and_then(|inside| inside.split_once("\"]")) {
                path.push(Segment::Key(key.to_owned()));
                rest = after;
            } else if let Some((index, after)) = rest.strip_prefix('[').and_then(|inside| inside.split_once(']'))
                && let Ok(index) = index.parse()
            {
                path.push(Segment::Index(index));
                rest = after;
            } else if end == 0 {
                return Self(path);
            }
            rest = rest.strip_prefix('.').unwrap_or(rest);
        }
    }

    /// This path and one field more.
    pub fn key(&self, key: &str) -> Self {
        let mut path = self.0.clone();
        path.push(Segment::Key(key.to_owned()));
        Self(path)
    }

    /// This path and one list element more.
    pub fn index(&self, index: usize) -> Self {
        let mut path = self.0.clone();
        path.push(Segment::Index(index));
        Self(path)
    }

    /// True for the document itself.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }
}

/// `spec.config.file`, `spec.tls.trustedCertificates[0]`.
impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, segment) in self.0.iter().enumerate() {
            match segment {
                Segment::Key(key) if position == 0 => write!(f, "{key}")?,
                Segment::Key(key) => write!(f, ".{key}")?,
                Segment::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

/// One document of a stream.
#[derive(Clone, Debug)]
pub struct Document {
    /// The line, from 1, on which its first node stands.
    pub line: usize,
    /// The document as JSON.
    pub value: Value,
    lines: HashMap<Path, usize>,
}

impl Document {
    /// The line of the node at `path`, or of its nearest ancestor that exists.
    pub fn line_of(&self, path: &Path) -> usize {
        let mut path = path.clone();
        loop {
            if let Some(line) = self.lines.get(&path) {
                return *line;
            }
            if path.0.pop().is_none() {
                return self.line;
            }
        }
    }
}

impl Document {
    /// The items of a `kind: List`, as `barnabas get -o yaml` prints one; the document itself when it is none.
    pub fn unlisted(self) -> Vec<Self> {
        if self.value["kind"] != "List" {
            return vec![self];
        }
        let items = self.value["items"].as_array().map_or(0, Vec::len);
        (0..items)
            .map(|index| {
                let root = Path::of(["items"]).index(index);
                let lines: HashMap<Path, usize> = self
                    .lines
                    .iter()
                    .filter_map(|(path, line)| Some((Path(path.0.strip_prefix(root.0.as_slice())?.to_vec()), *line)))
                    .collect();
                Self { line: self.line_of(&root), value: self.value["items"][index].clone(), lines }
            })
            .collect()
    }
}

/// A stream that is not YAML, or not YAML that can become JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyntaxError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong there.
    pub message: String,
}

/// Reads every document of `text`; empty documents are left out.
///
/// # Errors
/// The first place at which the text stops making sense.
pub fn documents(text: &str) -> Result<Vec<Document>, SyntaxError> {
    let mut builder = Builder { parser: Parser::new_from_str(text), anchors: HashMap::new(), nodes: 0 };
    let mut documents = Vec::new();
    while let Some((event, _)) = builder.next()? {
        if !matches!(event, Event::DocumentStart(_)) {
            continue;
        }
        builder.anchors.clear();
        let Some((event, span)) = builder.next()? else { break };
        let node = builder.node(event, span, 0)?;
        if node.content != Content::Scalar(Value::Null) {
            let mut lines = HashMap::new();
            let line = node.line;
            let value = node.into_json(&Path::default(), &mut lines);
            documents.push(Document { line, value, lines });
        }
    }
    Ok(documents)
}

#[derive(Clone, Debug)]
struct Node {
    line: usize,
    content: Content,
}

#[derive(Clone, Debug)]
enum Content {
    Scalar(Value),
    List(Vec<Node>),
    /// Keys with the line of the key.
    Map(Vec<(String, usize, Node)>),
}

impl PartialEq for Content {
    fn eq(&self, other: &Self) -> bool {
        matches!((self, other), (Self::Scalar(left), Self::Scalar(right)) if left == right)
    }
}

impl Node {
    fn into_json(self, path: &Path, lines: &mut HashMap<Path, usize>) -> Value {
        lines.entry(path.clone()).or_insert(self.line);
        match self.content {
            Content::Scalar(value) => value,
            Content::List(items) => Value::Array(
                items.into_iter().enumerate().map(|(i, item)| item.into_json(&path.index(i), lines)).collect(),
            ),
            Content::Map(entries) => {
                let mut map = Map::new();
                for (key, line, node) in entries {
                    let path = path.key(&key);
                    lines.insert(path.clone(), line);
                    map.insert(key, node.into_json(&path, lines));
                }
                Value::Object(map)
            }
        }
    }
}

struct Builder<'a> {
    parser: Parser<'a, saphyr_parser::StrInput<'a>>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
}

impl<'a> Builder<'a> {
    fn next(&mut self) -> Result<Option<(Event<'a>, Span)>, SyntaxError> {
        match self.parser.next_event() {
            None => Ok(None),
            Some(Ok(event)) => Ok(Some(event)),
            Some(Err(error)) => {
                Err(SyntaxError { line: error.marker().line(), message: format!("not valid YAML: {}", error.info()) })
            }
        }
    }

    fn expect_next(&mut self, line: usize) -> Result<(Event<'a>, Span), SyntaxError> {
        self.next()?.ok_or_else(|| SyntaxError { line, message: "the file ends inside a node".to_owned() })
    }

    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<Node, SyntaxError> {
        let line = span.start.line();
        let error = |message: &str| SyntaxError { line, message: message.to_owned() };
        self.nodes += 1;
        if self.nodes > MAX_NODES || depth > MAX_DEPTH {
            return Err(error("the document is too large or too deep to be a manifest"));
        }
        let (node, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                let value = scalar(&text, style, tag.as_deref()).map_err(|message| SyntaxError { line, message })?;
                (Node { line, content: Content::Scalar(value) }, anchor)
            }
            Event::SequenceStart(anchor, _) => {
                let mut items = Vec::new();
                loop {
                    match self.expect_next(line)? {
                        (Event::SequenceEnd, _) => break,
                        (event, span) => items.push(self.node(event, span, depth + 1)?),
                    }
                }
                (Node { line, content: Content::List(items) }, anchor)
            }
            Event::MappingStart(anchor, _) => {
                let entries = self.mapping(line, depth)?;
                (Node { line, content: Content::Map(entries) }, anchor)
            }
            Event::Alias(anchor) => {
                let node = self.anchors.get(&anchor).cloned().ok_or_else(|| error("this alias names no anchor"))?;
                self.nodes += node.size();
                if self.nodes > MAX_NODES {
                    return Err(error("the aliases make the document too large to be a manifest"));
                }
                return Ok(node);
            }
            _ => return Err(error("a value is missing here")),
        };
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn mapping(&mut self, line: usize, depth: usize) -> Result<Vec<(String, usize, Node)>, SyntaxError> {
        let mut entries: Vec<(String, usize, Node)> = Vec::new();
        let mut merged: Vec<Node> = Vec::new();
        loop {
            let (event, span) = self.expect_next(line)?;
            if matches!(event, Event::MappingEnd) {
                break;
            }
            let key = self.node(event, span, depth + 1)?;
            let (event, span) = self.expect_next(key.line)?;
            let value = self.node(event, span, depth + 1)?;
            let Content::Scalar(name) = key.content else {
                return Err(SyntaxError { line: key.line, message: "a key must be text".to_owned() });
            };
            let name = match name {
                Value::String(name) => name,
                other => other.to_string(),
            };
            if name == "<<" {
                match value.content {
                    Content::List(nodes) => merged.extend(nodes),
                    _ => merged.push(value),
                }
            } else if let Some((_, first, _)) = entries.iter().find(|(other, ..)| *other == name) {
                let message = format!("`{name}` is given twice; the first is on line {first}");
                return Err(SyntaxError { line: key.line, message });
            } else {
                entries.push((name, key.line, value));
            }
        }
        for node in merged {
            let Content::Map(more) = node.content else {
                return Err(SyntaxError { line: node.line, message: "`<<` needs a mapping".to_owned() });
            };
            for (key, line, value) in more {
                if !entries.iter().any(|(other, ..)| *other == key) {
                    entries.push((key, line, value));
                }
            }
        }
        Ok(entries)
    }
}

impl Node {
    fn size(&self) -> usize {
        match &self.content {
            Content::Scalar(_) => 1,
            Content::List(items) => 1 + items.iter().map(Self::size).sum::<usize>(),
            Content::Map(entries) => 1 + entries.iter().map(|(_, _, node)| node.size()).sum::<usize>(),
        }
    }
}

fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Result<Value, String> {
    match tag {
        Some(tag) if tag.is_yaml_core_schema() && tag.suffix == "str" => return Ok(Value::from(text)),
        Some(tag) if !tag.is_yaml_core_schema() && !tag.suffix.is_empty() => {
            return Err(format!("the tag `{tag}` is not known here"));
        }
        _ => {}
    }
    if style != ScalarStyle::Plain {
        return Ok(Value::from(text));
    }
    Ok(match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => Value::Bool(true),
        "false" | "False" | "FALSE" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => Value::Bool(false),
        ".nan" | ".NaN" | ".NAN" | ".inf" | ".Inf" | ".INF" | "+.inf" | "-.inf" | "-.Inf" | "-.INF" => {
            return Err(format!("`{text}` is no number that JSON has"));
        }
        _ => number(text).map_or_else(|| Value::from(text), Value::Number),
    })
}

fn number(text: &str) -> Option<Number> {
    let first = text.trim_start_matches(['+', '-']).chars().next()?;
    if !(first.is_ascii_digit() || first == '.') {
        return None;
    }
    let plain = text.replace('_', "");
    let (negative, digits) = match plain.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, plain.strip_prefix('+').unwrap_or(&plain)),
    };
    let radix = |prefix: &str, radix: u32| {
        let value = i64::from_str_radix(digits.strip_prefix(prefix)?, radix).ok()?;
        Some(Number::from(if negative { -value } else { value }))
    };
    if let Some(number) = radix("0x", 16).or_else(|| radix("0b", 2)).or_else(|| radix("0o", 8)) {
        return Some(number);
    }
    if digits.len() > 1 && digits.bytes().all(|digit| digit.is_ascii_digit()) && digits.starts_with('0') {
        return radix("0", 8);
    }
    if let Ok(value) = plain.trim_start_matches('+').parse::<i64>() {
        return Some(value.into());
    }
    if let Ok(value) = plain.trim_start_matches('+').parse::<u64>() {
        return Some(value.into());
    }
    let float = digits.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E' | b'+' | b'-'));
    float.then(|| plain.parse::<f64>().ok()).flatten().and_then(Number::from_f64)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::{Path, documents};

    #[test]
    fn nodes_know_their_lines_across_documents() {
        let text =
            "# a comment\nkind: A\n---\nkind: B\nspec:\n  config:\n    value.converter: x\n  list:\n  - one\n  - two\n";
        let documents = documents(text).unwrap();
        assert_eq!(documents.len(), 2);
        assert_eq!(documents[0].line, 2);
        let second = &documents[1];
        assert_eq!(second.line_of(&Path::of(["spec", "config", "value.converter"])), 7);
        assert_eq!(second.line_of(&Path::of(["spec", "list"]).index(1)), 10);
        assert_eq!(second.line_of(&Path::of(["spec", "config", "missing"])), 6);
        assert_eq!(Path::of(["spec", "list"]).index(1).to_string(), "spec.list[1]");
    }

    #[test]
    fn paths_are_read_as_they_are_written() {
        assert_eq!(Path::parse("spec.config[\"a.b\"]"), Path::of(["spec", "config", "a.b"]));
        assert_eq!(Path::parse("spec.x[1].y is wrong"), Path::of(["spec", "x"]).index(1).key("y"));
        assert_eq!(Path::parse(""), Path::default());
    }

    #[test]
    fn scalars_are_read_as_kubectl_reads_them() {
        let text = "[yes, 'yes', 0644, 0o17, 1_000, 1e3, -5, 1.5, ~, '', v1, 1.2.3, 10.0.0.1, 12:30, !!str 5]";
        let value = documents(text).unwrap().remove(0).value;
        assert_eq!(
            value,
            json!([true, "yes", 420, 15, 1000, 1000.0, -5, 1.5, null, "", "v1", "1.2.3", "10.0.0.1", "12:30", "5"])
        );
    }

    #[test]
    fn anchors_and_merge_keys_work() {
        let text = "base: &b {x: 1, y: 2}\nuse:\n  <<: *b\n  y: 3\n";
        assert_eq!(documents(text).unwrap()[0].value["use"], json!({"y": 3, "x": 1}));
    }

    #[test]
    fn errors_name_the_line() {
        assert_eq!(documents("a: 1\nb: [1, 2\nc: 3\n").unwrap_err().line, 3);
        let twice = documents("spec:\n  a: 1\n  b: 2\n  a: 3\n").unwrap_err();
        assert_eq!((twice.line, twice.message.as_str()), (4, "`a` is given twice; the first is on line 2"));
    }

    #[test]
    fn a_bomb_of_aliases_is_refused() {
        let mut text = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
        for level in 1..9 {
            let previous = format!("*a{},", level - 1).repeat(10);
            text.push_str(&format!("a{level}: &a{level} [{previous}]\n"));
        }
        assert!(documents(&text).unwrap_err().message.contains("too large"));
    }

    #[test]
    fn comments_alone_make_no_document() {
        assert!(documents("# nothing\n---\n# still nothing\n").unwrap().is_empty());
    }
}
