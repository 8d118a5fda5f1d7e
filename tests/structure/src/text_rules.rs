//! Rules on the text of files: length, width of prose, and words.

use std::sync::LazyLock;

use regex::Regex;

use crate::violation::Violation;

const MAX_LINES: usize = 400;
const MAX_PROSE_WIDTH: usize = 100;

/// The words and phrases that the writing style excludes, as whole words in any case. An underscore
/// ends a word, so names are checked too. A phrase may continue on the next line of a comment.
static FORBIDDEN_WORDS: LazyLock<Regex> = LazyLock::new(|| {
    let phrases: Vec<&str> = include_str!("../forbidden_words.txt").lines().collect();
    let phrases = phrases.join("|").replace(' ', r"[\s/!*>#_-]+");
    Regex::new(&format!(r"(?i)(?:\b|_)({phrases})(?:\b|_)")).expect("the list consists of words")
});

/// An attribute that switches off a limit of functions.
static WAIVERS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"#!?\[[^\]]*(?:allow|expect|warn)[^\]]*clippy::too_many_(?:arguments|lines)").expect("a valid pattern")
});

/// What begins a comment in a file, by its name. In Markdown every line is prose. None for files
/// that the rules do not read.
pub fn comment_marks(path: &str) -> Option<&'static [&'static str]> {
    let name = path.rsplit('/').next().unwrap_or(path);
    if name == "Makefile" || path.starts_with("scripts/") {
        return Some(&["#"]);
    }
    match name.rsplit_once('.')?.1 {
        "rs" => Some(&["//"]),
        "ts" => Some(&["//", "/*", "*"]),
        "md" => Some(&[""]),
        "toml" | "yaml" | "yml" | "sh" => Some(&["#"]),
        _ => None,
    }
}

/// Every violation in a file.
pub fn check(path: &str, marks: &[&str], text: &str) -> Vec<Violation> {
    let violation = |line, message| Violation { file: path.to_owned(), line, message };
    let mut violations = Vec::new();
    let lines = text.lines().count();
    if (path.ends_with(".rs") || path.ends_with(".ts")) && lines > MAX_LINES {
        let message = format!("the file has {lines} lines; at most {MAX_LINES} are allowed");
        violations.push(violation(MAX_LINES + 1, message));
    }
    for (line, width) in prose_widths(marks, text).filter(|(_, width)| *width > MAX_PROSE_WIDTH) {
        let message = format!("the line has {width} characters; at most {MAX_PROSE_WIDTH} are allowed in prose");
        violations.push(violation(line, message));
    }
    for phrase in FORBIDDEN_WORDS.captures_iter(text).filter_map(|found| found.get(1)) {
        let line = text[..phrase.start()].matches('\n').count() + 1;
        violations.push(violation(line, format!("the writing style excludes {:?}", phrase.as_str())));
    }
    if path.ends_with(".rs")
        && let Some(waiver) = WAIVERS.find(text)
    {
        let line = text[..waiver.start()].matches('\n').count() + 1;
        violations.push(violation(line, "an attribute switches off a limit of functions".to_owned()));
    }
    if path.ends_with("Cargo.toml") && text.contains("[package]") && !text.contains("[lints]\nworkspace = true") {
        violations.push(violation(1, "the crate does not take the lints of the workspace".to_owned()));
    }
    violations
}

/// The lines of prose and their widths. Tables, code blocks and words with links are left out,
/// because they cannot be wrapped.
fn prose_widths<'a>(marks: &'a [&str], text: &'a str) -> impl Iterator<Item = (usize, usize)> + 'a {
    let mut is_code_block = false;
    (1..).zip(text.lines()).filter_map(move |(number, line)| {
        let is_prose = marks.iter().any(|mark| line.trim_start().starts_with(mark));
        let content = line.trim_start_matches(|character: char| " \t/!*#".contains(character));
        let is_fence = content.starts_with("```");
        is_code_block = is_prose && is_code_block != is_fence;
        if !is_prose || is_code_block || is_fence || content.starts_with('|') {
            return None;
        }
        let words = line.trim_end().split(' ').filter(|word| !word.contains("](") && !word.contains("://"));
        Some((number, words.map(|word| word.chars().count() + 1).sum::<usize>().saturating_sub(1)))
    })
}
