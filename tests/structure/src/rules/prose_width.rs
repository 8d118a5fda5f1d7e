//! Lines of Markdown and of comments have at most 100 characters. Tables, code blocks and the
//! destinations of links are not counted, because they cannot be wrapped.

use std::{collections::BTreeSet, ops::Range};

use pulldown_cmark::{Event, Options, Parser, Tag};

use crate::{
    source::{Language, SourceFile},
    violation::Violation,
};

const RULE: &str = "prose_width";
const MAX_WIDTH: usize = 100;

/// A line of prose: its number, the whole line, and its text without the mark of the comment.
#[derive(Debug, Clone, Copy)]
struct Line<'a> {
    number: usize,
    whole: &'a str,
    text: &'a str,
}

/// One violation for each line of prose that is too long.
pub fn check(file: &SourceFile) -> Vec<Violation> {
    let blocks = blocks(file);
    let lines = blocks.iter().flat_map(|block| {
        let fixed = fixed_lines(block);
        block.iter().enumerate().filter(move |(at, _)| !fixed.contains(at)).map(|(_, line)| line)
    });
    lines
        .filter_map(|line| {
            let width = width(line.whole);
            (width > MAX_WIDTH).then(|| Violation {
                file: file.path.clone(),
                line: line.number,
                rule: RULE,
                message: format!("the line has {width} characters; at most {MAX_WIDTH} are allowed in prose"),
            })
        })
        .collect()
}

/// The blocks of adjacent lines of prose: a whole document, or a comment.
fn blocks(file: &SourceFile) -> Vec<Vec<Line<'_>>> {
    let mut blocks: Vec<Vec<Line<'_>>> = Vec::new();
    let mut last_mark = None;
    for (number, whole) in (1..).zip(file.text.lines()) {
        let (mark, text) = match file.language {
            Language::Markdown => ("", whole),
            language => match comment(language, whole.trim_start()) {
                Some(comment) => comment,
                None => {
                    last_mark = None;
                    continue;
                }
            },
        };
        let line = Line { number, whole, text };
        match blocks.last_mut() {
            Some(block) if last_mark == Some(mark) => block.push(line),
            _ => blocks.push(vec![line]),
        }
        last_mark = Some(mark);
    }
    blocks
}

/// The mark and the text of a line that is a comment.
fn comment(language: Language, line: &str) -> Option<(&'static str, &str)> {
    let marks: &[&str] = match language {
        Language::Rust => &["///", "//!", "//"],
        Language::TypeScript => &["//", "/**", "*"],
        Language::Configuration => &["#"],
        Language::Markdown => &[],
    };
    marks.iter().find_map(|mark| Some((*mark, line.strip_prefix(mark)?)))
}

/// The positions of the lines of a block that cannot be wrapped: tables, code and raw HTML.
fn fixed_lines(block: &[Line<'_>]) -> BTreeSet<usize> {
    let text: String = block.iter().flat_map(|line| [line.text, "\n"]).collect();
    let line_of = |offset: usize| text[..offset].matches('\n').count();
    let mut fixed = BTreeSet::new();
    for (event, Range { start, end }) in Parser::new_ext(&text, Options::ENABLE_TABLES).into_offset_iter() {
        if let Event::Start(Tag::Table(_) | Tag::CodeBlock(_) | Tag::HtmlBlock) = event {
            fixed.extend(line_of(start)..=line_of(end.saturating_sub(1).max(start)));
        }
    }
    fixed
}

/// The characters of a line, without the destinations of links.
fn width(line: &str) -> usize {
    let mut rest = line;
    let mut width = 0;
    while let Some(start) = link_start(rest) {
        width += rest[..start].chars().count();
        let link = &rest[start..];
        let end = link.find(|character: char| character.is_whitespace() || character == ')' || character == '>');
        rest = end.map_or("", |end| &link[end..]);
    }
    width + rest.trim_end().chars().count()
}

/// The position of the first link destination or bare URL.
fn link_start(text: &str) -> Option<usize> {
    let inline = text.find("](").map(|at| at + 2);
    let bare = ["https://", "http://"].iter().filter_map(|scheme| text.find(scheme)).min();
    inline.into_iter().chain(bare).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(path: &str, text: &str) -> Vec<usize> {
        let file = SourceFile::new(path, text).expect("a file that the rules read");
        check(&file).into_iter().map(|violation| violation.line).collect()
    }

    fn words(width: usize) -> String {
        "word ".repeat(width)[..width - 1].to_owned() + "x"
    }

    #[test]
    fn prose_of_101_characters_is_refused() {
        assert_eq!(lines("a.md", &format!("Short.\n\n{}\n{}\n", words(101), words(100))), [3]);
    }

    #[test]
    fn comments_of_101_characters_are_refused_with_their_indentation() {
        for (path, mark) in [("a.rs", "///"), ("a.rs", "//"), ("a.ts", "//"), ("a.ts", "*"), ("Makefile", "#")] {
            let comment = |width: usize| format!("code\n    {mark} {}\n", words(width - 5 - mark.len()));
            assert_eq!(lines(path, &comment(101)), [2], "{path} {mark}");
            assert_eq!(lines(path, &comment(100)), [0; 0], "{path} {mark}");
        }
    }

    #[test]
    fn code_may_be_longer() {
        assert_eq!(lines("a.rs", &format!("let a = \"{}\";\n", words(108))), [0; 0]);
    }

    #[test]
    fn tables_and_code_blocks_may_be_longer() {
        let long = words(120);
        assert_eq!(lines("a.md", &format!("| a | b |\n|---|---|\n| c | {long} |\n\n```\n{long}\n```\n")), [0; 0]);
        assert_eq!(lines("a.rs", &format!("//! | a |\n//! |---|\n//! | {long} |\n//!\n//! {long}\n")), [5]);
    }

    #[test]
    fn destinations_of_links_are_not_counted() {
        let link = "x".repeat(90);
        assert_eq!(lines("a.md", &format!("See [the page](https://{link}) for more.\n")), [0; 0]);
        assert_eq!(lines("a.md", &format!("See https://{link} for more.\n")), [0; 0]);
        assert_eq!(lines("a.md", &format!("{} [the page](https://{link}).\n", words(99))), [1]);
    }
}
